"""``refine``: each rejected row is repaired once, with the reason, and verified like any other.

What is still wrong, or was given up, is rejected for good, with both reasons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.locked import loads
from dagent.runtime.programs import load_function
from dagent.runtime.roles import Refiner
from dagent.runtime.rows import Row, is_row, own_columns, read_rows, row_id, with_reason, write_rows
from dagent.runtime.shortfall import UNREPAIRED
from dagent.runtime.step import Artifact, Context, Params, StepOutput
from dagent.runtime.steps.verify import check_rows

kind = "refine"
version = 1
# What a row says of itself that no program rewrites.
LINEAGE = (
    *("id", "skill", "difficulty", "round", "item", "origin", "reason", "verdicts"),
    *("method", "weakness", "pattern", "source", "prompt_version"),
)


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    role = step.params["refiner"]
    return loads(lambda: _program(role, project)) if "program" in role else ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    verified = read_rows(inputs["verified"].path)
    rejected = read_rows(inputs["rejects"].path)
    worth = [row for row in rejected if is_worth_it(row)]
    lost = [(row, row["reason"]) for row in rejected if not is_worth_it(row)]
    mended: list[Row] = []
    for row, new in zip(worth, _repaired(step, worth, inputs, context), strict=True):
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
    n = sum(UNREPAIRED in reason for _, reason in lost)
    return StepOutput(
        {
            "verified": write_rows(context.scratch / "verified.jsonl", [*verified, *saved]),
            "rejects": write_rows(context.scratch / "rejects.jsonl", with_reason(lost)),
        },
        {"repaired": len(saved), "rejected": len(lost)},
        f"{len(saved)} of {len(rejected)} rejected rows repaired"
        + (f"; {n} {UNREPAIRED}" if n else ""),
    )


def is_worth_it(row: Row) -> bool:
    """A row to repair has a question of its own; an unreadable answer or a repetition has none."""
    return not (row.get("fault") or row.get("malformed")) and bool(row["prompt"].strip())


def _repaired(
    step: Step, rows: list[Row], inputs: Mapping[str, Artifact], context: Context
) -> list[Row | str]:
    """Each row anew, or why there is none."""
    role = step.params["refiner"]
    if "program" not in role:
        return _asked(step, rows, inputs, context)
    program = _program(role, context.project)
    return [read_mended(row, program(dict(row)), role["program"]) for row in rows]


def _program(role: Params, project: Path) -> Refiner:
    function = load_function(role["program"], project)
    return lambda row: function(row, **role["options"])


def read_mended(row: Row, new: Any, program: str) -> Row | str:
    """What a program made of a rejected ``row``, with the row's cell and lineage.

    Raises:
        Refused: E815: it is no row.
    """
    if new is None:
        return "the refiner gave it up"
    if not is_row(new):
        what = (
            f"the refiner `{program}` must return a row with texts `prompt` and `answer`, or None"
        )
        raise Refused(Diagnostic("E815", f"{what}; for `{row['id']}` it returned {new!r:.80}"))
    old = {k: v for k, v in row.items() if k not in ("reason", "verdicts")}
    changed = old | {k: v for k, v in own_columns(new).items() if k not in LINEAGE}
    if changed == old:
        return "the refiner changed nothing"
    id = row_id(changed["prompt"])
    return {**changed, "id": id, "refined": row["reason"], "refined_from": row["id"]}


def _asked(
    step: Step, rows: list[Row], inputs: Mapping[str, Artifact], context: Context
) -> list[Row | str]:
    from dagent.runtime.agents.asking import speaking, together
    from dagent.runtime.agents.refiner import Refiner, repaired
    from dagent.runtime.agents.versions import restore
    from dagent.runtime.lm.loop import run

    params = step.params
    agent = Refiner(params["refiner"].get("brings", ""))
    restore(agent, inputs["refiner"].path if "refiner" in inputs else None)

    async def ask() -> list[Row | str]:
        found, _ = await together(
            repaired(agent, row, params["goal"], params["answer"], params["metric"]["grader"])
            for row in rows
        )
        return [row or UNREPAIRED for row in found]

    with speaking(params["refiner"], context, step.id, (f"round:{params['round']}", "refiner")):
        return run(ask())
