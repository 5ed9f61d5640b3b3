"""The refiner: a rejected row, once, with the reason; or the word that it cannot be saved."""

from __future__ import annotations

from typing import Any

import dspy

from dagent.runtime.agents.asking import ask
from dagent.runtime.agents.drafts import BRINGS, DRAFTS, column, shown
from dagent.runtime.rows import Row, row_id

GIVEN_UP = "the refiner gave it up"


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


REPAIRED = """
`repaired_{0}` replaces `{0}` as a whole: keep what is sound in it to the letter, mend what is not,
and do not make it easier for a wrong answer to pass.
"""


class Refiner(dspy.Module):  # type: ignore[misc]
    """``brings`` is the grader for which a model wrote tests or tables: they may be what is wrong,
    and are repaired with the row."""

    def __init__(self, brings: str = "") -> None:
        super().__init__()
        self.brings = brings
        signature = RepairRow
        if brings:
            field, _, said = BRINGS[brings]
            wanted = REPAIRED.format(field).rstrip()
            signature = (
                RepairRow.with_instructions(f"{RepairRow.instructions}\n{said.rstrip()}{wanted}")
                .insert(6, field, dspy.InputField(desc="What came with the rejected row."), str)
                .append(
                    f"repaired_{field}",
                    dspy.OutputField(),
                    DRAFTS[brings].model_fields[field].annotation,
                )
            )
        self.repair = dspy.Predict(signature)

    def forward(self, **inputs: Any) -> Any:
        return self.repair(**inputs)


async def repaired(agent: Refiner, row: Row, goal: str, answer: str, grader: str) -> Row | str:
    """The row anew, or why there is none. ``row`` carries the ``reason`` it was rejected for."""
    asked = await ask(agent.repair, **repair_inputs(agent, row, goal, answer, grader))
    return asked.fault if asked.answer is None else mended(agent, row, asked.answer)


def repair_inputs(agent: Refiner, row: Row, goal: str, answer: str, grader: str) -> dict[str, Any]:
    """What is asked of a rejected row. What a ``grader`` runs its answer against is shown, and is
    repaired only where a model wrote it."""
    judged = {} if agent.brings else shown(grader, row, None)
    more = shown(agent.brings, row, None) or dict.fromkeys(BRINGS.get(agent.brings, ())[:1], "")
    return {
        "goal": goal,
        "answer_format": answer,
        "skill": str(row.get("skill", "")),
        "difficulty": str(row.get("difficulty", "")),
        "question": row["prompt"],
        "rejected_answer": row.get("answer", ""),
        "reason": "\n".join([row["reason"], *(f"{n}:\n{text}" for n, text in judged.items())]),
        **more,
    }


def mended(agent: Refiner, row: Row, said: Any) -> Row | str:
    """The rejected row as the model repaired it, or why it did not."""
    if not said.can_be_saved or not said.repaired_question.strip():
        return GIVEN_UP
    prompt = said.repaired_question
    new: Row = {"prompt": prompt, "answer": said.repaired_answer}
    if agent.brings:
        field, name, _ = BRINGS[agent.brings]
        as_list = isinstance(row.get(name), list)
        new |= column(agent.brings, getattr(said, f"repaired_{field}"), as_list)
    if new.items() <= row.items():
        return "the refiner changed nothing"
    kept = {k: v for k, v in row.items() if k not in ("reason", "verdicts", "fault")}
    lineage = {"id": row_id(prompt), "refined": row["reason"], "refined_from": row["id"]}
    return {**kept, **new, **lineage}
