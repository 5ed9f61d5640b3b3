"""``refine``: each rejected row is repaired once, with the reason, and verified like any other.

What is still wrong, or was given up, is rejected for good, with both reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, read_rows, with_reason, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput
from dagent.runtime.steps.verify import check_rows

kind = "refine"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    verified = read_rows(inputs["verified"].path)
    rejected = read_rows(inputs["rejects"].path)
    worth = [row for row in rejected if is_worth_it(row)]
    lost = [(row, row["reason"]) for row in rejected if not is_worth_it(row)]
    mended: list[Row] = []
    for row, new in zip(worth, _repaired(step, worth, context), strict=True):
        if isinstance(new, str):
            lost.append((row, f"{row['reason']}; {new}"))
        else:
            mended.append(new)
    saved = []
    for row, reason in check_rows(step, mended, inputs, context):
        if reason is None:
            saved.append(row)
        else:
            lost.append((row, f"{reason}; repaired once, was: {row['refined']}"))
    return StepOutput(
        {
            "verified": write_rows(context.scratch / "verified.jsonl", [*verified, *saved]),
            "rejects": write_rows(context.scratch / "rejects.jsonl", with_reason(lost)),
        },
        {"repaired": len(saved), "rejected": len(lost)},
        f"{len(saved)} of {len(rejected)} rejected rows repaired",
    )


def is_worth_it(row: Row) -> bool:
    """A row to repair has a question of its own; an unreadable answer or a repetition has none."""
    return not (row.get("fault") or row.get("malformed")) and bool(row["prompt"].strip())


def _repaired(step: Step, rows: list[Row], context: Context) -> list[Row | str]:
    import asyncio

    from dagent.runtime.agents.asking import speaking, together
    from dagent.runtime.agents.refiner import Refiner, repaired

    params = step.params
    agent = Refiner()

    async def ask() -> list[Row | str]:
        found, _ = await together(
            repaired(agent, row, params["goal"], params["answer"]) for row in rows
        )
        return [row or "not repaired: the budget was spent" for row in found]

    with speaking(params["refiner"], context, step.id, (f"round:{params['round']}", "refiner")):
        return asyncio.run(ask())
