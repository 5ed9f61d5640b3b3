"""Graders: a student's answer and the row it belongs to, to a score in 0..1.

A metric's grader is made once from the metric's parameters (``{"name", "grader", …}``) and then
called for every answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.runtime.programs import load_function
from dagent.runtime.rows import Row, cell, normalised

Grader = Callable[[str, Row], float]

_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:[eE][-+]?\d+)?")


def grader(metric: Mapping[str, Any], project: Path) -> Grader:
    """The grader of a metric.

    Raises:
        Refused: when the user's grading program cannot be loaded.
    """
    match metric["grader"]:
        case "exact":
            return lambda answer, row: float(answer.strip() == row["answer"].strip())
        case "normalised":
            return lambda answer, row: float(normalised(answer) == normalised(row["answer"]))
        case "numeric":
            return _numeric(metric.get("tolerance", 0.0), metric.get("relative_tolerance", 0.0))
        case "choice":
            return _choice(metric["choices"])
        case "regex":
            return _regex(re.compile(metric["pattern"]))
        case "program":
            grade = load_function(metric["program"], project)
            return lambda answer, row: float(grade(answer, row))
    raise ValueError(f"no grader {metric['grader']!r}")


def last_number(text: str) -> float | None:
    """The last number in a text, thousands separators allowed; ``None`` when there is none."""
    found = [m.group() for m in _NUMBER.finditer(text) if any(c.isdigit() for c in m.group())]
    return float(found[-1].replace(",", "")) if found else None


def _numeric(tolerance: float, relative: float) -> Grader:
    def grade(answer: str, row: Row) -> float:
        got, want = last_number(answer), last_number(row["answer"])
        if got is None or want is None:
            return 0.0
        return float(math.isclose(got, want, rel_tol=relative, abs_tol=tolerance))

    return grade


def _choice(choices: Sequence[str]) -> Grader:
    # Longest first, so that "not sure" is not read as "not".
    ordered = "|".join(re.escape(c) for c in sorted(choices, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{ordered})(?!\w)", re.IGNORECASE)

    def grade(answer: str, row: Row) -> float:
        got, want = pattern.search(answer), pattern.search(row["answer"])
        return float(bool(got and want and got.group().casefold() == want.group().casefold()))

    return grade


def _regex(pattern: re.Pattern[str]) -> Grader:
    def extract(text: str) -> str | None:
        found = pattern.search(text)
        return None if found is None else (found.group(1) if pattern.groups else found.group())

    def grade(answer: str, row: Row) -> float:
        got = extract(answer)
        # The reference may be the bare value rather than a text to extract it from.
        want = extract(row["answer"])
        return float(got is not None and got == (row["answer"].strip() if want is None else want))

    return grade


def average(scores: Sequence[float], rows: Sequence[Row], metric: Mapping[str, Any]) -> float:
    """``micro``: the mean over rows. ``macro``: the mean over skills of each skill's mean."""
    if not scores:
        return 0.0
    if metric.get("average", "micro") == "micro":
        return sum(scores) / len(scores)
    means = by_skill(scores, rows).values()
    return sum(means) / len(means)


def by_skill(scores: Sequence[float], rows: Sequence[Row]) -> dict[str, float]:
    """Mean score of each skill, sorted by name."""
    groups: dict[str, list[float]] = {}
    for score, row in zip(scores, rows, strict=True):
        groups.setdefault(cell(row)[0], []).append(score)
    return {skill: sum(v) / len(v) for skill, v in sorted(groups.items())}
