"""Requirements such as ``accuracy >= 0.85 on test``, held against graded rows."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagent.runtime.graders import average, by_skill
from dagent.runtime.judging import scores
from dagent.runtime.rows import NO_SKILL, Row

OPERATORS = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """``value`` is what was reached: of the worst skill where each skill must meet the bound."""

    met: bool
    value: float
    says: str


def said(requirement: Mapping[str, Any]) -> str:
    """The requirement as the spec writes it."""
    skill = requirement.get("skill")
    of = " for each skill" if skill == "each" else f' for skill "{skill}"' if skill else ""
    where = "" if requirement["set"] == requirement["metric"] else f" on {requirement['set']}"
    return f"{requirement['metric']} {requirement['op']} {requirement['value']:g}{where}{of}"


def judge(
    requirement: Mapping[str, Any], rows: Sequence[Row], metric: Mapping[str, Any]
) -> Verdict:
    """Whether graded rows meet a requirement. ``metric`` is the one that the requirement names."""
    values = reached(requirement, rows, metric)
    holds = OPERATORS[requirement["op"]]
    failing = {k: v for k, v in values.items() if not holds(v, requirement["value"])}
    worst = (min if requirement["op"] in (">=", ">") else max)(values.values(), default=0.0)
    says = f"{said(requirement)}: reached {worst:.3f}"
    if requirement.get("skill") == "each" and failing:
        says += f" ({', '.join(sorted(skill or NO_SKILL for skill in failing))})"
    return Verdict(not failing, worst, says)


def reached(
    requirement: Mapping[str, Any], rows: Sequence[Row], metric: Mapping[str, Any]
) -> dict[str, float]:
    """The value of each skill that the requirement speaks of, or of all rows under ``""``."""
    got = scores(rows, metric["name"])
    skill = requirement.get("skill")
    if not skill:
        return {"": average(got, rows, metric)}
    skills = by_skill(got, rows)
    return skills if skill == "each" else {skill: skills.get(skill, 0.0)}
