"""What a better agent is, for each role: examples to try it on and a score that is cheap to take.

generator: the share of rows that are verified, less for those that repeat or miss the difficulty.
verifier: how far its score agrees with rows that are known to be right or wrong.
planner: valid items within the budget, and rows where the failures are. That is a proxy: the gain
per row, which it stands for, is known only after a training.
refiner and diagnoser: in ``mending`` and ``foreseeing``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from dagent.compiler.plan import Step
from dagent.compiler.scoring import SCORED, SCORED_ROWS
from dagent.runtime.agents.coverage import PATTERNS, NearDuplicates
from dagent.runtime.agents.drafts import brought
from dagent.runtime.agents.foreseeing import foreseeing
from dagent.runtime.agents.grounding import Grounds, handed
from dagent.runtime.agents.mending import mending
from dagent.runtime.agents.planner import METHODS, checked, planning_inputs
from dagent.runtime.agents.scoring import Objective
from dagent.runtime.agents.verifier import VerifierAgent, labelled
from dagent.runtime.graders import grader
from dagent.runtime.roles import CellCount, Task
from dagent.runtime.rows import Cell, Row, cell, read_rows, row_id
from dagent.runtime.step import Artifact, Context
from dagent.runtime.steps.verify import screen

JUDGED = 5.0  # the score from which a judge that is not calibrated yet is taken to say yes
NEW, HIT = 0.2, 0.2  # parts of a verified row's worth that repetition and a wrong level cost


def objective(step: Step, inputs: Mapping[str, Artifact], context: Context) -> Objective:
    rows = read_rows(inputs["labelled"].path)
    match step.params["role"]:
        case "generator":
            return _generator(step, rows, inputs, context)
        case "verifier":
            return _verifier(step, rows, context)
        case "refiner":
            return mending(step, rows, context)
        case "diagnoser":
            return foreseeing(step, read_rows(inputs["answers"].path), context)
        case _:
            return _planner(step, rows)


def _generator(
    step: Step, rows: list[Row], inputs: Mapping[str, Artifact], context: Context
) -> Objective:
    params = step.params
    brings = params["agent"].get("brings", "")
    grounds = Grounds(handed(inputs, "seed."), [], [], params["seed"], brings)
    cells = sorted({cell(r) for r in rows}) or [("", "")]
    grid = [(c, pattern) for pattern in PATTERNS for c in cells]
    rng = random.Random(params["seed"])
    examples = []
    for number, ((skill, difficulty), pattern) in enumerate(rng.sample(grid, len(grid))):
        examples.append(
            dspy.Example(
                goal=params["goal"],
                answer_format=params["answer"],
                skill=skill,
                difficulty=difficulty,
                method=f"practice: {METHODS['practice']}",
                weakness="",
                pattern=f"{pattern}: {PATTERNS[pattern]}",
                examples=grounds.examples(skill, difficulty, params["seed"] + number),
                passage="",
                avoid=[],
                count=SCORED_ROWS,
                remark="",
            ).with_inputs(*_GENERATOR_INPUTS)
        )
    worth = _Worth(step, rows, context)
    each = 1 + (SCORED_ROWS if worth.judges else 0)
    name = "verified yield, novelty and difficulty"
    return Objective(name, examples[:SCORED], worth, each)


_GENERATOR_INPUTS = (
    "goal", "answer_format", "skill", "difficulty", "method", "weakness", "pattern", "examples",
    "passage", "avoid", "count", "remark",
)  # fmt: skip


class _Worth:
    """What drafted rows are worth: verified by the program where there is one, else judged."""

    def __init__(self, step: Step, rows: Sequence[Row], context: Context) -> None:
        role = step.params["verifier"] or {}
        self._screen = screen(step.params, context.project)
        self.judges = "lm" in role and "program" not in role
        self._brief = {"goal": step.params["goal"], "answer_format": step.params["answer"]}
        self._levels = _levels(rows)
        self._brings = step.params["agent"].get("brings", "")

    def __call__(self, example: Any, prediction: Any) -> tuple[float, str]:
        found = self._each(example, prediction)
        said = [f"row {n}: {why}" for n, (_, why) in enumerate(found, 1)]
        missing = example.count - len(said)
        said += [f"{missing} rows are missing"] if missing > 0 else []
        return sum(worth for worth, _ in found) / int(example.count), "; ".join(said)

    def _each(self, example: Any, prediction: Any) -> list[tuple[float, str]]:
        seen = NearDuplicates()
        for number, shown in enumerate(example.examples):
            seen.add(f"example {number}", shown["prompt"], shown["answer"])
        found: list[tuple[float, str]] = []
        for draft in prediction.rows[: example.count]:
            row: Row = {"prompt": draft.question, "answer": draft.result}
            row |= brought(self._brings, draft, as_list=True)
            row |= {"id": row_id(draft.question)}
            row |= {"skill": example.skill, "difficulty": example.difficulty}
            reason = self._screen(row) or self._judged(row)
            if reason:
                found.append((0.0, f"rejected: {reason}"))
                continue
            near = seen.add(row["id"], row["prompt"], row["answer"])
            level = _nearest_level(self._levels, row)
            worth = 1.0 - NEW * (near is not None) - HIT * (level not in (None, row["difficulty"]))
            said = "right" + (f", but repeats {near}" if near else "")
            said += (
                f", but looks like level {level}" if level not in (None, row["difficulty"]) else ""
            )
            found.append((worth, said))
        return found

    def _judged(self, row: Row) -> str | None:
        if not self.judges:
            return None
        said = VerifierAgent()(**self._brief, question=row["prompt"], proposed_answer=row["answer"])
        return None if said.score > JUDGED else said.fault or "judged wrong"


def _levels(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Mean length of the question and answer, by skill and level: a cheap stand-in for difficulty,
    which only the student can tell."""
    sizes: dict[Cell, list[int]] = {}
    for row in rows:
        sizes.setdefault(cell(row), []).append(len(row["prompt"]) + len(row["answer"]))
    levels: dict[str, dict[str, float]] = {}
    for (skill, level), found in sizes.items():
        levels.setdefault(skill, {})[level] = sum(found) / len(found)
    return levels


def _nearest_level(levels: Mapping[str, Mapping[str, float]], row: Row) -> str | None:
    known = levels.get(row["skill"], {})
    size = len(row["prompt"]) + len(row["answer"])
    return min(known, key=lambda level: (abs(known[level] - size), level)) if known else None


def _verifier(step: Step, rows: list[Row], context: Context) -> Objective:
    params = step.params
    grade = grader(params["metric"], context.project)
    examples = [
        dspy.Example(
            goal=params["goal"],
            answer_format=params["answer"],
            question=row["prompt"],
            proposed_answer=row["answer"],
            remark="",
            right=right,
        ).with_inputs("goal", "answer_format", "question", "proposed_answer", "remark")
        for row, right in labelled(rows, grade, params["seed"])
    ]

    def worth(example: Any, prediction: Any) -> tuple[float, str]:
        said = min(10.0, max(0.0, float(prediction.score))) / 10
        truth = "right" if example.right else "wrong"
        told = f"the proposed answer is {truth}, and the score given was {prediction.score}"
        return said if example.right else 1 - said, told

    return Objective("agreement with labelled rows", examples, worth)


def _planner(step: Step, rows: list[Row]) -> Objective:
    """Diagnoses are drawn: before the first round the student has not been asked anything."""
    params = step.params
    cells = tuple(sorted({cell(r) for r in rows}))
    asked = {c: sum(cell(r) == c for r in rows) for c in cells}
    examples = []
    for number in range(min(SCORED, params["calls"])):
        rng = random.Random(f"{params['seed']}:{number}")
        wrong = {c: CellCount(asked[c], round(asked[c] * rng.random(), 2)) for c in cells}
        task = Task(params["goal"], params["answer"], cells, wrong, [], params["rows"], 1, 0)
        budget = {"rows": params["rows"], "rounds_left": 1}
        inputs = planning_inputs(task, list(METHODS), budget)
        names = (*inputs, "remark")
        examples.append(dspy.Example(**inputs, remark="").with_inputs(*names))

    def worth(example: Any, prediction: Any) -> tuple[float, str]:
        found = checked(prediction.curriculum, cells, list(METHODS), {})
        total = sum(max(0, i.count) for i in prediction.curriculum)
        reasons = "; ".join(sorted({r["reason"] for r in found.refused}))
        told = f"{total} of {params['rows']} rows placed. {reasons or 'All items are valid'}."
        if not total:
            return 0.0, told
        valid = sum(i["count"] for i in found.items) / total
        within = min(total, params["rows"]) / max(total, params["rows"])
        wrong = {(c["skill"], c["difficulty"]): c["wrong"] for c in example.cells}
        given = {c: sum(i["count"] for i in found.items if i["cell"] == c) / total for c in cells}
        failures = sum(wrong.values()) or 1.0
        covered = sum(min(given[c], wrong.get(c, 0) / failures) for c in cells)
        return float(valid * within * covered), told

    return Objective("valid, within budget, where the failures are", examples, worth)
