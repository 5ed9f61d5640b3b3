"""How good a diagnoser is: whether the mistakes that it names foretell those it was not shown.

A named weakness states the wrong rule that a student follows. Somebody who knows the rule should be
able to say what the student answers elsewhere. So part of the failures is held back; the model is
told the weaknesses and asked what the student answered there, and the student's own answers tell.
The failures are the untouched student's, which round 1 diagnoses.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dspy

from dagent.compiler.engineering import FAILURES
from dagent.compiler.plan import Step
from dagent.runtime.agents.diagnoser import checked, failures, shown_failure
from dagent.runtime.agents.scoring import Objective
from dagent.runtime.graders import grader
from dagent.runtime.rows import Row
from dagent.runtime.step import Context

HELD_BACK, LEAST = 4, 2  # failures of an example to be foretold; to be shown
# Graders that say of two answers whether they are the same, though neither is right.
_TELLS_ALIKE = ("exact", "normalised", "numeric", "choice", "regex")


class ForeseeMistakes(dspy.Signature):  # type: ignore[misc]
    """A teacher has described what a student does wrong in one skill. For each question say what
    that student answers.

    You know the right answer, and that the student did not give it. Work out what the described
    mistake leads to in this question, step by step, and write what the student would write. Use the
    descriptions as they stand: do not mend them, and add no mistakes of your own to them.
    """

    skill: str = dspy.InputField()
    weaknesses: list[dict[str, str]] = dspy.InputField(desc="name and cause")
    questions: list[dict[str, str]] = dspy.InputField(desc="question and right answer")
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    working: str = dspy.OutputField(desc="For each question what the described mistake leads to.")
    answers: list[str] = dspy.OutputField(
        desc="The student's answer alone to each question, in their order."
    )


def foreseeing(step: Step, answered: Sequence[Row], context: Context) -> Objective:
    params = step.params
    wrong = failures(answered, params["metric"]["name"])
    alike = _alike(params["metric"], context)
    foresee = dspy.Predict(ForeseeMistakes)
    examples = [
        dspy.Example(
            goal=params["goal"],
            skill=skill,
            failures=[shown_failure(row) for row in shown],
            remark="",
            shown=shown,
            held_back=held,
        ).with_inputs("goal", "skill", "failures", "remark")
        for skill in sorted(wrong)
        for shown, held in _groups(wrong[skill], params["seed"])
    ]

    def worth(example: Any, prediction: Any) -> tuple[float, str]:
        found, refused = checked(prediction.weaknesses, example.skill, example.shown)
        said = [*(foretold(example, found) if found else ()), *[""] * HELD_BACK]
        missed = [
            f"to {row['prompt']!r} the student answered {row['output']!r}, and the weaknesses led "
            f"to {text!r}"
            for row, text in zip(example.held_back, said, strict=False)
            if not alike(row, text)
        ]
        told = "; ".join([*missed, *(w["reason"] for w in refused)])
        return 1 - len(missed) / len(example.held_back), told or "every mistake was foretold"

    def foretold(example: Any, weaknesses: Sequence[Row]) -> Sequence[str]:
        asked = [{"question": r["prompt"], "right": r["answer"]} for r in example.held_back]
        named = [{"name": w["name"], "cause": w["cause"]} for w in weaknesses]
        with dspy.context(trace=[]):  # a demonstration shows what the diagnoser was asked
            said = foresee(skill=example.skill, weaknesses=named, questions=asked, remark="")
        answers: Sequence[str] = said.answers
        return answers

    return Objective("mistakes foretold", examples, worth, calls_per_score=2)


def _groups(rows: Sequence[Row], seed: int) -> Iterator[tuple[list[Row], list[Row]]]:
    """Failures to show and to hold back. No failure is in two groups: what a demonstration shows
    must not be what another example asks."""
    order = random.Random(seed).sample(list(rows), len(rows))
    number = max(1, len(order) // (2 * HELD_BACK))
    for start in range(number):
        group = order[start::number]
        if len(group) >= HELD_BACK + LEAST:
            yield group[HELD_BACK:][:FAILURES], group[:HELD_BACK]


def _alike(metric: Any, context: Context) -> Callable[[Row, str], bool]:
    """Whether a text is what the student answered. A grader that runs answers cannot say: two that
    fail need not be the same."""
    told = metric if metric["grader"] in _TELLS_ALIKE else {"grader": "normalised"}
    grade = grader(told, context.project)
    return lambda row, text: grade(text, {**row, "answer": row["output"]}).score == 1
