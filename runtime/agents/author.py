"""The program author: plans how to make a student's training data, and writes the program."""

from __future__ import annotations

from typing import Any

import dspy

from dagent.runtime.agents.asking import Asked, ask


class WriteProgram(dspy.Signature):  # type: ignore[misc]
    """You are a data engineer. A small student model must become reliable in one domain. You write
    one Python program that makes its training set, by asking a teacher model through a function.
    The student is then trained on the set, afresh, and examined on questions that nobody shows you.

    What the program has. Python's standard library, no network, a folder of its own with
    `few_shot.json` (rows of the domain with `prompt` and `answer`), `seeds.json` if it is listed
    under `files` (questions to start from), and documents. Without imports it can call:
    - `api_generate_batch(prompts, sys_prompt="", json=False)`: one answer for each prompt, all
      asked at once, as `{"call": id, "text": text}`, and with `json=True` also `"json"`: the parsed
      answer or None. An item is None where no call was left or the teacher refused. Every prompt is
      one call on the budget. Ask in batches of hundreds, not one by one.
    - `get_available_api_calls()`: the calls that this program may still make. `api_count()`: made.
    - `check_submission(rows=None)`: `{"valid", "wanted", "least", "reasons", "refused"}` for rows,
      or for submission.json. Use it before the end, and make more rows while they are too few.
    - `train_model(rows=None)` and `evaluate_dataset()`: train the student on the first valid rows,
      and its score with the worst cases. Slow, and allowed once if at all; most programs leave it.

    What it must leave. `submission.json`: a list of `{"prompt", "answer", "call", "skill",
    "difficulty"}`, best rows first; the first `wanted` valid ones train. `call` is the id of the
    call that made the row, or a list of ids. The prompt must stand word for word in what such a
    call asked or answered, the answer word for word in what one answered; rows written or changed
    by the program itself are refused. So have the teacher write questions in the exact form that
    the examples show, or send it the final question and take the final part of its answer.

    What makes good data. A wrong answer costs more than a missing row: have answers worked out step
    by step, computed a second time or checked by code, and drop what disagrees. Cover the domain as
    the examples do, in topics, forms and difficulty; vary structure, not only names and numbers. Do
    not pour the budget into the few topics of the bad cases: the student forgets the rest. Keep the
    answer's form to the letter. Over-generate, since rows will be refused, and top up until enough
    are valid. Keep the program short and plain: validate each answer, skip None, catch what a model
    may get wrong, never let one bad answer end the run.

    The state says what is asked for. draft: a new plan and program. debug: the last program failed;
    mend the cause and keep the plan. repair: it ran and left too few valid rows; mend that, and
    where `previous.json` is listed, its rows with their calls still count. improve: the last plan
    and program made the best student so far; make one change that its score and bad cases call for.
    """

    state: str = dspy.InputField(desc="draft, debug, repair or improve.")
    goal: str = dspy.InputField(desc="What the student is to become good at.")
    answer_format: str = dspy.InputField(desc="What an answer looks like.")
    examples: list[dict[str, Any]] = dspy.InputField(desc="Rows of the domain.")
    files: list[str] = dspy.InputField(desc="Files in the program's folder.")
    skills: list[str] = dspy.InputField(desc="Skills of the domain, to label rows with.")
    difficulties: list[str] = dspy.InputField(desc="Levels of difficulty, to label rows with.")
    limits: dict[str, Any] = dspy.InputField(
        desc="rows wanted, least valid rows, calls of the teacher, minutes, trainings"
    )
    last_plan: str = dspy.InputField(desc="The plan to mend or improve; empty for a draft.")
    last_program: str = dspy.InputField(desc="Its program.")
    what_happened: str = dspy.InputField(desc="How that program ended.")
    data_sample: list[dict[str, Any]] = dspy.InputField(desc="Rows that it made.")
    score: str = dspy.InputField(desc="Of the student trained on them; empty if unknown.")
    base_score: str = dspy.InputField(desc="Of the untouched student; empty if unknown.")
    bad_cases: list[dict[str, Any]] = dspy.InputField(
        desc="Questions that it failed, with the right answer and its own. Never reuse them."
    )
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    plan: str = dspy.OutputField(desc="The plan, in a few sentences.")
    program: str = dspy.OutputField(desc="The whole program, as Python source.")


class ProgramAuthor(dspy.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.write = dspy.Predict(WriteProgram)

    def forward(self, **inputs: Any) -> Any:
        return self.write(**inputs)


async def written(author: ProgramAuthor, number: int, **inputs: Any) -> Asked:
    """A plan and a program; ``number`` tells attempts apart that are asked for alike."""
    return await ask(author.write, rollout=number, **inputs)


def unfenced(program: str) -> str:
    """The source without the fence that models like to put around it."""
    lines = program.strip().splitlines()
    if lines and lines[0].startswith("```"):
        lines = lines[1:-1] if lines[-1].startswith("```") else lines[1:]
    return "\n".join(lines) + "\n"
