"""How good a refiner is: the share of deliberately spoilt rows that it repairs.

Their questions are sound and their right answers are known. So a repair keeps the question and is
right by the metric's grader, and the row passes what costs nothing to check. Giving up is better
than a wrong repair, which a student would learn.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dspy

from dagent.compiler.plan import Step
from dagent.compiler.reading import unfenced
from dagent.compiler.scoring import SCORED
from dagent.runtime.agents.drafts import BRINGS
from dagent.runtime.agents.refiner import GIVEN_UP, Refiner, mended, repair_inputs
from dagent.runtime.agents.scoring import Objective
from dagent.runtime.agents.verifier import labelled
from dagent.runtime.code_grader import as_text
from dagent.runtime.grade import Grader
from dagent.runtime.graders import grader
from dagent.runtime.mutants import of_code, of_query
from dagent.runtime.rows import Row
from dagent.runtime.step import Context
from dagent.runtime.steps.verify import Screen, screen

GAVE_UP = 0.25
SUSPECT = "judge: the proposed answer is wrong"
_INSERT = re.compile(r"\binsert\s+into\b.*", re.IGNORECASE | re.DOTALL)


def mending(step: Step, rows: Sequence[Row], context: Context) -> Objective:
    params = step.params
    agent = Refiner(params["agent"].get("brings", ""))
    grade = grader(params["metric"], context.project)
    sound = screen(params, context.project)
    examples = []
    for known, bad in _spoilt(rows, params["metric"]["grader"], agent.brings, grade, sound, params):
        told = repair_inputs(
            agent, bad, params["goal"], params["answer"], params["metric"]["grader"]
        )
        example = dspy.Example(**told, remark="", known=known, spoilt=bad)
        examples.append(example.with_inputs(*told, "remark"))

    def worth(example: Any, prediction: Any) -> tuple[float, str]:
        new, known = mended(agent, example.spoilt, prediction), example.known
        if isinstance(new, str):
            saved = f"{new}; the question is sound and the right answer is {known['answer']}"
            return (GAVE_UP if new == GIVEN_UP else 0.0), saved
        if new["prompt"].strip() != known["prompt"].strip():
            return 0.0, "the question was sound, and was not kept to the letter"
        if grade(new["answer"], known).score < 1:
            return 0.0, f"the repaired answer is wrong; the right one is {known['answer']}"
        if agent.brings and grade(known["answer"], new).score < 1:
            return 0.0, f"the repaired {BRINGS[agent.brings][0]} fail a right answer"
        reason = sound(new)
        return (0.0, f"still rejected: {reason}") if reason else (1.0, "repaired")

    return Objective("spoilt rows repaired", examples, worth)


def _spoilt(
    rows: Sequence[Row], judge: str, brings: str, grade: Grader, sound: Screen, params: Any
) -> Iterator[tuple[Row, Row]]:
    """Rows that are right, each with itself spoilt and the ``reason`` that a verifier would give;
    where a model brings tests or tables, every other time these."""
    pairs = labelled(rows, grade, params["seed"], SCORED)
    for number, ((known, _), (nearest, _)) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
        tried = [{**known, "answer": text} for text in _mutants(judge, known["answer"])]
        tried = [*tried[number % max(1, len(tried)) :], nearest]
        if number % 2:
            tried = [*_brought_wrong(brings, known), *tried]
        for bad in tried:
            reason = sound(bad)
            if reason or grade(bad["answer"], known).score < 1:
                yield known, {**bad, "reason": reason or SUSPECT}
                break


def _mutants(judge: str, answer: str) -> list[str]:
    """Near misses, where answers have a grammar."""
    if judge == "sql":
        return of_query(unfenced(answer))
    try:
        return of_code(unfenced(answer)) if judge == "code" else []
    except (SyntaxError, ValueError, RecursionError):
        return []


def _brought_wrong(brings: str, row: Row) -> Iterable[Row]:
    """The row with tests that expect something else, or with tables that hold nothing."""
    if not brings or not row.get(BRINGS[brings][1]):
        return
    name = BRINGS[brings][1]
    text = as_text(row[name])
    for changed in _mutants("code", text) if brings == "code" else [_INSERT.sub("", text)]:
        yield {**row, name: changed.splitlines() if isinstance(row[name], list) else changed}
