"""The diagnoser: from the student's wrong answers in one skill to named, evidenced weaknesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dspy
import pydantic

from dagent.runtime.agents.asking import ask, together
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.rows import Row

FAILURES = 16  # of one skill, shown with a call


class Weakness(pydantic.BaseModel):
    name: str = pydantic.Field(description="A few words that tell this weakness from others.")
    cause: str = pydantic.Field(
        description="The wrong rule that the student seems to follow, so that a teacher could "
        "predict its next mistake."
    )
    difficulties: list[str] = pydantic.Field(description="The levels where it shows.")
    evidence: list[str] = pydantic.Field(description="Ids of the failures that show it.")


class FindWeaknesses(dspy.Signature):  # type: ignore[misc]
    """You are an experienced teacher who reads a student's failed answers in one skill.

    Group the failures by the mistake behind them, not by topic. For each group work out what the
    student did instead of the right thing: compare its answer with the right one step by step,
    and state the wrong rule that would produce exactly that answer. A rule that explains several
    failures is worth more than one that explains a single one. Where an answer is noise (empty,
    cut off, in another form), say so instead of inventing a rule. Name only what the failures
    show: every group cites the ids of the failures that it explains, and none is cited twice.
    """

    goal: str = dspy.InputField(desc="What the student is to become good at.")
    skill: str = dspy.InputField()
    failures: list[dict[str, str]] = dspy.InputField(
        desc="id, difficulty, question, right answer, the student's answer, and why it is wrong"
    )
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    weaknesses: list[Weakness] = dspy.OutputField(desc="The most frequent first; at most five.")


class Diagnoser(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.find = dspy.Predict(FindWeaknesses)

    def forward(self, **inputs: Any) -> Any:
        return self.find(**inputs)


def failures(rows: Sequence[Row], metric: str) -> dict[str, list[Row]]:
    """Those of the graded rows that the student got wrong, by skill."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["scores"][metric] < 1:
            found.setdefault(str(row.get("skill", "")), []).append(row)
    return found


async def diagnose(
    agent: Diagnoser, goal: str, failures: Mapping[str, Sequence[Row]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Weaknesses over all skills, and what was refused and why.

    ``failures`` are graded rows with ``output``, by skill.

    Raises:
        OutOfBudget: the calls could not be paid.
    """
    skills = sorted(failures)
    shown = {skill: failures[skill][:FAILURES] for skill in skills}
    answers, out = await together(
        ask(agent.find, goal=goal, skill=skill, failures=[shown_failure(r) for r in shown[skill]])
        for skill in skills
    )
    if out is not None:
        raise OutOfBudget(str(out))
    found: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for skill, asked in zip(skills, answers, strict=True):
        assert asked is not None
        if asked.answer is None:
            refused.append({"skill": skill, "reason": asked.fault})
            continue
        good, bad = checked(asked.answer.weaknesses, skill, shown[skill])
        found += good
        refused += bad
    found.sort(key=lambda w: (-len(w["evidence"]), w["skill"], w["name"]))
    return [{"id": f"w{n}", **w} for n, w in enumerate(found, 1)], refused


def checked(
    weaknesses: Sequence[Weakness], skill: str, shown: Sequence[Row]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Those that cite failures which were shown, each failure once; the others with a reason."""
    free = {row["id"]: str(row.get("difficulty", "")) for row in shown}
    found, refused = [], []
    for weakness in weaknesses:
        evidence = [id for id in dict.fromkeys(weakness.evidence) if id in free]
        body = {"skill": skill, "name": weakness.name.strip(), "cause": weakness.cause.strip()}
        if not evidence or not body["name"]:
            refused.append({**body, "reason": "cites no failure that it was shown"})
            continue
        levels = sorted({free.pop(id) for id in evidence})
        found.append({**body, "difficulties": levels, "evidence": evidence})
    return found, refused


def shown_failure(row: Row) -> dict[str, str]:
    return {
        "id": row["id"],
        "difficulty": str(row.get("difficulty", "")),
        "question": row["prompt"],
        "right": row["answer"],
        "student": row["output"],
        "why": "; ".join(row.get("reasons", {}).values()),
    }
