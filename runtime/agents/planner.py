"""The planner: from goal, weaknesses, history and budget to a curriculum, checked item by item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
import pydantic

from dagent.runtime.agents.asking import ask
from dagent.runtime.roles import Task
from dagent.runtime.rows import Cell

# Families of ways to teach. A forced round may only use those that were not tried yet.
METHODS: Mapping[str, str] = {
    "practice": "many varied problems of the skill, as the domain asks them",
    "correct": "questions on which the student's observed mistake gives a visibly wrong answer",
    "contrast": "pairs of nearly equal questions whose answers differ, for the one detail",
    "decompose": "the steps of the skill on their own, then joined",
    "transfer": "the skill in unfamiliar settings, names and values",
    "compose": "the skill together with other skills of the domain",
}
HISTORY = 8  # rounds that the planner is told of
REFUSED = 5  # ideas of a round that were not tried at all, as it is told
MOST = 10**9  # rows of an item
WORTH = 0.5  # of the rows that a plan must place in good items, else it is asked once more


class PlannedItem(pydantic.BaseModel):
    skill: str
    difficulty: str
    count: int = pydantic.Field(description="Rows to keep.")
    method: str = pydantic.Field(description="One of the methods.")
    weakness: str = pydantic.Field(default="", description="Id of the weakness it treats, if any.")
    rationale: str = pydantic.Field(description="Why these rows, in one sentence.")


class PlanCurriculum(dspy.Signature):  # type: ignore[misc]
    """You plan what a student model is taught next, with a fixed number of training rows.

    Spend rows where they will raise the score on the whole domain: a cell matters by how often the
    domain asks for it times how often the student fails there. Prefer cells where it is partly
    right over cells where it is always wrong for lack of a simpler skill; teach that one first.
    Do not abandon what it can do, since skills that get no rows are forgotten. Read the history:
    repeat what was followed by gains, drop or change what was not, and do not plan again what was
    rejected. Treat each weakness with the method that fits its cause. The counts add up to the
    rows.
    """

    goal: str = dspy.InputField(desc="What the student is to become good at.")
    methods: dict[str, str] = dspy.InputField(desc="The methods that may be used.")
    cells: list[dict[str, Any]] = dspy.InputField(
        desc="skill, difficulty, how many rows the domain's sample asks, how many went wrong"
    )
    weaknesses: list[dict[str, Any]] = dspy.InputField(
        desc="What the diagnosis found; failures: how many of those it read show the weakness."
    )
    history: list[dict[str, Any]] = dspy.InputField(desc="Earlier rounds, the oldest first.")
    budget: dict[str, Any] = dspy.InputField(
        desc="rows to place now, rounds left, and the least and the most rows of a cell"
    )
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    curriculum: list[PlannedItem] = dspy.OutputField()


class PlannerAgent(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.plan = dspy.Predict(PlanCurriculum)

    def forward(self, **inputs: Any) -> Any:
        return self.plan(**inputs)


@dataclass(frozen=True, slots=True)
class Proposal:
    """Good items (``cell``, ``count``, ``method``, ``weakness``, ``rationale``) and refused."""

    items: list[dict[str, Any]]
    refused: list[dict[str, Any]]


async def propose(
    agent: PlannerAgent,
    task: Task,
    methods: Collection[str],
    budget: Mapping[str, Any],
) -> Proposal:
    """What the model plans, checked. A plan of too few good items is asked for once more, with
    what was wrong; what is refused in the end is kept with its reason."""
    inputs = planning_inputs(task, methods, budget)
    known = {w["id"]: f"{w['name']}: {w['cause']}" for w in task.weaknesses}
    asked = await ask(agent.plan, **inputs)
    if asked.answer is None:
        return Proposal([], [{"reason": asked.fault}])
    found = checked(asked.answer.curriculum, task.cells, methods, known)
    if sum(i["count"] for i in found.items) < WORTH * task.rows:
        reasons = sorted({r["reason"] for r in found.refused}) or ["too few rows are placed"]
        again = await ask(agent.plan, remark="; ".join(reasons), **inputs)
        items = again.answer.curriculum if again.answer else ()
        second = checked(items, task.cells, methods, known)
        if sum(i["count"] for i in second.items) >= sum(i["count"] for i in found.items):
            found = Proposal(second.items, [*found.refused, *second.refused])
    return found


def planning_inputs(
    task: Task, methods: Collection[str], budget: Mapping[str, Any]
) -> dict[str, Any]:
    counts = task.diagnosis
    return {
        "goal": task.goal,
        "methods": {name: METHODS[name] for name in METHODS if name in methods},
        "cells": [
            {
                "skill": skill,
                "difficulty": difficulty,
                "asked": counts[skill, difficulty].rows if (skill, difficulty) in counts else 0,
                "wrong": round(counts[skill, difficulty].wrong, 2)
                if (skill, difficulty) in counts
                else 0,
            }
            for skill, difficulty in task.cells
        ],
        "weaknesses": [
            {
                **{k: w[k] for k in ("id", "name", "cause", "skill", "difficulties")},
                "failures": len(w.get("evidence", ())),
            }
            for w in task.weaknesses
        ],
        "history": [_told(entry) for entry in task.archive[-HISTORY:]],
        "budget": dict(budget),
    }


def checked(
    items: Sequence[PlannedItem],
    cells: Sequence[Cell],
    methods: Collection[str],
    weaknesses: Mapping[str, str],
) -> Proposal:
    """Names are mended where only case or space differ; what names no cell, no allowed method or
    no rows is refused."""
    by_name = {(_fold(s), _fold(d)): (s, d) for s, d in cells}
    known = {_fold(m): m for m in methods}
    good, refused = [], []
    for item in items:
        cell = by_name.get((_fold(item.skill), _fold(item.difficulty)))
        method = known.get(_fold(item.method))
        reason = None
        if cell is None:
            reason = f"`{item.skill}` at `{item.difficulty}` is no cell of the domain"
        elif method is None:
            reason = f"the method `{item.method}` may not be used in this round"
        elif not 1 <= item.count <= MOST:
            reason = f"it asks for {'no' if item.count < 1 else 'countless'} rows"
        if reason:
            refused.append({**item.model_dump(), "reason": reason})
            continue
        good.append(
            {
                "cell": cell,
                "count": item.count,
                "method": method,
                "weakness": weaknesses.get(item.weakness.strip(), ""),
                "rationale": item.rationale.strip(),
            }
        )
    return Proposal(good, refused)


def _fold(name: object) -> str:
    return " ".join(str(name).casefold().split())


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A round of the archive, as a planner needs it."""
    keys = ("round", "accepted", "reason", "select", "difference")
    items = ("skill", "difficulty", "count", "method", "weakness", "made", "verified", "added")
    ideas = ("skill", "difficulty", "method", "reason")

    def short(name: str, told: Sequence[str]) -> list[dict[str, Any]]:
        return [{k: i[k] for k in told if k in i} for i in entry.get(name, ())]

    return {
        **{k: entry[k] for k in keys if k in entry},
        "tried": short("tried", items),
        "refused": short("refused", ideas)[:REFUSED],
    }
