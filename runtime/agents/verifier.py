"""The verifier: a judge whose threshold is calibrated on labelled rows, and independent answers."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
import pydantic

from dagent.compiler.engineering import LABELLED
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.agents.asking import Asked, ask, together
from dagent.runtime.grade import Grader
from dagent.runtime.lm.loop import in_caller
from dagent.runtime.rows import Row, cell
from dagent.runtime.shortfall import UNVERIFIED

MAJORITY = 0.5  # more than this share of the independent answers must agree with the row's
LEAST_AGREEMENT = 0.6  # with the labels, right and wrong rows counting half each; 0.5 is guessing
UNSCORED = "the score is not between 0 and 10"


class JudgeRow(dspy.Signature):  # type: ignore[misc]
    """You examine a question with a proposed answer before a student model learns from it.

    A wrong answer that you let through teaches a mistake; a right one that you refuse is only lost.
    First solve the question yourself, without trusting the proposal. Then compare: is the proposed
    answer right, complete, and exactly in the wanted form? Is the question clear, consistent and
    answerable in one way? A score of 10 means that you would stake your reputation on both; 5 that
    you cannot tell; 0 that it is certainly wrong.
    """

    goal: str = dspy.InputField(desc="What the student is to become good at.")
    answer_format: str = dspy.InputField(desc="What an answer looks like.")
    question: str = dspy.InputField()
    proposed_answer: str = dspy.InputField()
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    working: str = dspy.OutputField(desc="Your own solution, step by step.")
    own_answer: str = dspy.OutputField(desc="Your own answer, in the wanted form.")
    fault: str = dspy.OutputField(
        desc="What is wrong with the row, in one sentence; empty if none."
    )
    score: float = dspy.OutputField(desc="0 to 10.")


class SolveQuestion(dspy.Signature):  # type: ignore[misc]
    """Answer the question. Work step by step, check the result, then give the answer alone, exactly
    in the wanted form."""

    goal: str = dspy.InputField(desc="The domain of the question.")
    answer_format: str = dspy.InputField(desc="What an answer looks like.")
    question: str = dspy.InputField()
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    working: str = dspy.OutputField()
    answer: str = dspy.OutputField(desc="The answer alone.")


class VerifierAgent(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.judge = dspy.Predict(JudgeRow)
        self.solve = dspy.Predict(SolveQuestion)

    def forward(self, **inputs: Any) -> Any:
        return self.judge(**inputs)


class Calibration(pydantic.BaseModel):
    """``threshold``: the least score that passes. ``agreement`` is balanced: the mean of the share
    of right rows passed and of wrong rows refused."""

    threshold: float
    agreement: float
    rows: int


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is told of the domain."""

    goal: str
    answer: str


def labelled(
    answers: Sequence[Row], grade: Grader, seed: int, most: int = LABELLED
) -> list[tuple[Row, bool]]:
    """Right rows, each followed by itself with the nearest wrong answer: another row's, of the same
    cell where there is one. At most ``most`` of each; the same arguments give the same rows."""
    rng = random.Random(seed)
    order = rng.sample(list(answers), len(answers))
    found: list[tuple[Row, bool]] = []
    for row in order[:most]:
        found.append((row, True))
        nearest = sorted(order, key=lambda r: (cell(r) != cell(row), cell(r)[0] != cell(row)[0]))
        # Grading may run a program: only as many are graded as it takes to find a wrong one.
        wrong = next(
            (r["answer"] for r in nearest if grade(r["answer"], row).score < 1), row["answer"] + "?"
        )
        found.append(({**row, "answer": wrong}, False))
    return found


def calibrated(scored: Sequence[tuple[float, bool]]) -> Calibration:
    """The threshold with the best balanced agreement; of equals the strictest.

    >>> calibrated([(9, True), (7, True), (6, False), (2, False)]).threshold
    7.0
    """
    right = [s for s, ok in scored if ok]
    wrong = [s for s, ok in scored if not ok]

    def agreement(threshold: float) -> float:
        passed = sum(s >= threshold for s in right) / max(1, len(right))
        refused = sum(s < threshold for s in wrong) / max(1, len(wrong))
        return (passed + refused) / 2

    best = max(sorted({s for s, _ in scored}), key=lambda t: (agreement(t), t), default=10.0)
    return Calibration(threshold=best, agreement=agreement(best), rows=len(scored))


async def judged(agent: VerifierAgent, brief: Brief, rows: Iterable[Row]) -> list[Asked]:
    """What the judge says of each row.

    Raises:
        OutOfBudget: a call could not be paid.
    """
    answers, out = await together(_judge(agent, brief, row) for row in rows)
    if out is not None:
        raise out
    return [asked for asked in answers if asked is not None]


def settled(
    answers: Sequence[Asked], right: Sequence[bool], model: str, remedy: str
) -> Calibration:
    """The threshold from what a judge said of rows that are known to be right or not; what could
    not be read does not count.

    Raises:
        Refused: E656, the judge cannot tell right from wrong.
    """
    scored = [
        (score, ok)
        for asked, ok in zip(answers, right, strict=True)
        if (score := examined(asked)) is not None
    ]
    found = calibrated(scored)
    if found.agreement >= LEAST_AGREEMENT:
        return found
    fails = f"cannot tell right from wrong: it agrees with {found.agreement:.0%} of {found.rows} "
    fails += "labelled rows, where guessing gives 50%"
    if not scored:
        fault = next((a.fault for a in answers if a.fault), UNSCORED)
        fails = f"cannot be calibrated: none of its {len(answers)} answers could be used; {fault}"
    raise Refused(Diagnostic("E656", f"the judge `{model}` {fails}", suggestion=remedy))


async def verdicts(
    agent: VerifierAgent,
    brief: Brief,
    rows: Sequence[Row],
    grade: Grader,
    *,
    threshold: float | None,
    samples: int,
    model: str,
) -> list[tuple[list[dict[str, Any]], str | None]]:
    """For each row what was said of it, and the reason to reject it or None. All calls of a check
    are in flight at once; independent answers are asked for only what the judge let pass."""
    found: list[tuple[list[dict[str, Any]], str | None]] = [([], None) for _ in rows]
    if threshold is not None:
        scored, _ = await together(_judge(agent, brief, row) for row in rows)
        found = [_judged(asked, threshold, model) for asked in scored]
    if samples:
        passed = [i for i, (_, reason) in enumerate(found) if reason is None]
        jobs = ((i, k) for i in passed for k in range(1, samples + 1))
        answers, _ = await together(
            ask(
                agent.solve,
                rollout=k,
                goal=brief.goal,
                answer_format=brief.answer,
                question=rows[i]["prompt"],
            )
            for i, k in jobs
        )
        for n, i in enumerate(passed):
            own = [a for a in answers[n * samples : (n + 1) * samples] if a is not None]
            said, reason = await in_caller(_agreed, own, rows[i], grade, model)
            found[i] = ([*found[i][0], said], reason)
    return found


async def _judge(agent: VerifierAgent, brief: Brief, row: Row) -> Any:
    return await ask(
        agent.judge,
        goal=brief.goal,
        answer_format=brief.answer,
        question=row["prompt"],
        proposed_answer=row["answer"],
    )


def examined(asked: Asked) -> float | None:
    """The score of a judge's answer; None where there is none between 0 and 10."""
    score = -1.0 if asked.answer is None else float(asked.answer.score)
    return score if 0 <= score <= 10 else None


def _judged(asked: Any, threshold: float, model: str) -> tuple[list[dict[str, Any]], str | None]:
    if asked is None:
        return [], UNVERIFIED
    if asked.answer is None:
        return [], f"not judged: {asked.fault}"
    score = examined(asked)
    if score is None:
        return [], f"not judged: {UNSCORED}"
    said = {"by": "judge", "model": model, "score": score, "threshold": threshold}
    if score >= threshold:
        return [said], None
    fault = " ".join(str(asked.answer.fault).split()) or "no fault named"
    return [said], f"judge: {fault} (score {score:g}, {threshold:g} needed)"


def _agreed(
    answers: Sequence[Any], row: Row, grade: Grader, model: str
) -> tuple[dict[str, Any], str | None]:
    given = [a.answer.answer for a in answers if a.answer is not None]
    agree = sum(grade(text, row).score >= 1 for text in given)
    said = {"by": "consistency", "model": model, "agree": agree, "of": len(given)}
    if not given:
        return said, UNVERIFIED if not answers else "consistency: no answer could be read"
    if agree > MAJORITY * len(given):
        return said, None
    return said, f"consistency: {agree} of {len(given)} independent answers agree"
