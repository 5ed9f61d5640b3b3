"""The refiner: a rejected row, once, with the reason; or the word that it cannot be saved."""

from __future__ import annotations

from typing import Any

import dspy

from dagent.runtime.agents.asking import ask
from dagent.runtime.rows import Row, row_id


class RepairRow(dspy.Signature):  # type: ignore[misc]
    """A training row was rejected, and you are told why. Repair it or give it up.

    Work the question out from scratch before you look at the rejected answer. If the question is
    sound and only the answer or its form is wrong, keep the question to the letter and correct the
    answer. If the question is unclear, contradictory or has several answers, change as little of it
    as makes it sound, at the same skill and difficulty. If it cannot be saved, say so: a wrong row
    that is kept does more harm than one that is missing.
    """

    goal: str = dspy.InputField(desc="What the student is to become good at.")
    answer_format: str = dspy.InputField(desc="What an answer looks like.")
    skill: str = dspy.InputField()
    difficulty: str = dspy.InputField()
    question: str = dspy.InputField()
    rejected_answer: str = dspy.InputField()
    reason: str = dspy.InputField(desc="Why the row was rejected.")
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    working: str = dspy.OutputField(desc="The solution of the question, step by step.")
    can_be_saved: bool = dspy.OutputField()
    repaired_question: str = dspy.OutputField(desc="Empty if it cannot be saved.")
    repaired_answer: str = dspy.OutputField(desc="In the wanted form, nothing else.")


class Refiner(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.repair = dspy.Predict(RepairRow)


async def repaired(agent: Refiner, row: Row, goal: str, answer: str) -> Row | str:
    """The row anew, or why there is none. ``row`` carries the ``reason`` it was rejected for."""
    asked = await ask(
        agent.repair,
        goal=goal,
        answer_format=answer,
        skill=str(row.get("skill", "")),
        difficulty=str(row.get("difficulty", "")),
        question=row["prompt"],
        rejected_answer=row.get("answer", ""),
        reason=row["reason"],
    )
    found: Any = asked.answer
    if found is None:
        return asked.fault
    if not found.can_be_saved or not found.repaired_question.strip():
        return "the refiner gave it up"
    prompt, text = found.repaired_question, found.repaired_answer
    if (prompt, text) == (row["prompt"], row.get("answer")):
        return "the refiner changed nothing"
    kept = {k: v for k, v in row.items() if k not in ("reason", "verdicts", "fault")}
    mended = {"prompt": prompt, "answer": text, "id": row_id(prompt)}
    return {**kept, **mended, "refined": row["reason"], "refined_from": row["id"]}
