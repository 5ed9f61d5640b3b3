"""``generate``: candidate rows for every item of the curriculum.

More are made than are kept, so that ``mix`` can choose. A program that repeats itself or rows
that are kept already is asked again for what is missing, a few times; each row that it makes is a
call on the budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step, digest
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.locked import loads, unchanged
from dagent.runtime.programs import load_function
from dagent.runtime.roles import Generator
from dagent.runtime.rows import (
    Row,
    is_row,
    own_columns,
    read_json,
    read_rows,
    row_id,
    write_rows,
)
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "generate"
version = 2
ATTEMPTS = 3


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    role = step.params["generator"]
    if "lm" in role:
        for path, sha256 in role["sources"].items():
            yield from unchanged(f"the document `{path}`", project / path, sha256)
    else:
        yield from loads(lambda: load_function(role["program"], project))


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    if "lm" in step.params["generator"]:
        from dagent.runtime.agents.writing import write_candidates

        return write_candidates(step, inputs, context)
    params = step.params
    items = read_json(inputs["curriculum"].path)["items"]
    wanted = [math.ceil(item["count"] * params["candidates"]) for item in items]
    scopes = (f"round:{params['round']}", "generator")
    # What a call yields is not known before: set the most aside that the attempts can take.
    most = sum(wanted)
    left = context.meter.left("calls")
    allowed = most * ATTEMPTS if left is None else min(most * ATTEMPTS, max(most, int(left)))
    for scope in scopes:
        cap = context.meter.left("calls", scope)
        allowed = allowed if cap is None else min(allowed, max(most, int(cap)))
    context.meter.reserve(step.id, scopes, calls=allowed)

    generator = handed(load_function(params["generator"]["program"], context.project), inputs)
    seen = {row["id"] for row in read_rows(inputs["kept"].path)}
    rows: list[Row] = []
    calls = repeated = 0
    for item, count in zip(items, wanted, strict=True):
        made, used, again = _fill(generator, item, count, seen, params, allowed - calls)
        rows += made
        calls += used
        repeated += again
        context.progress(len(rows), most)
    context.meter.settle(step.id, calls=calls)
    return StepOutput(
        {"candidates": write_rows(context.scratch / "candidates.jsonl", rows)},
        {"candidates": len(rows), "calls": calls, "repeated": repeated},
        f"{how_many(len(rows), 'candidates')} from {how_many(calls, 'calls')}"
        + (f"; {how_many(repeated, 'rows')} were there already" if repeated else ""),
    )


def handed(generator: Generator, inputs: Mapping[str, Artifact]) -> Generator:
    """The generator with the rows of the spec's seeds and pools as keywords ``seeds`` and ``pool``,
    where its function takes them. Rows of dev or test are never among the inputs."""
    rows: dict[str, Any] = {}
    for name, artifact in sorted(inputs.items()):
        role = name.partition(".")[0]
        if keyword := {"seed": "seeds", "pool": "pool"}.get(role):
            rows.setdefault(keyword, []).extend(read_rows(artifact.path))
    taken = signature(generator).parameters.values()
    if not any(p.kind is Parameter.VAR_KEYWORD for p in taken):
        rows = {k: v for k, v in rows.items() if k in {p.name for p in taken}}
    return partial(generator, **rows) if rows else generator


def _fill(
    generator: Generator,
    item: Mapping[str, Any],
    count: int,
    seen: set[str],
    params: Mapping[str, Any],
    calls_left: int,
) -> tuple[list[Row], int, int]:
    """Up to ``count`` rows that are new, the calls they took, and how many rows that were there
    already the generator gave besides. Adds to ``seen``."""
    rows: list[Row] = []
    calls = repeated = 0
    options = params["generator"]["options"]
    for attempt in range(ATTEMPTS):
        ask = min(count - len(rows), calls_left - calls)
        if ask <= 0:
            break
        seed = int(digest([params["seed"], item["skill"], item["difficulty"], attempt])[:8], 16)
        made = list(generator(item["skill"], item["difficulty"], ask, seed, **options))[:ask]
        calls += ask
        for raw in made:
            row = _row(raw, item, params)
            if row["id"] in seen:
                repeated += 1
            else:
                seen.add(row["id"])
                rows.append(row)
        if not made:
            break
    return rows, calls, repeated


def _row(raw: object, item: Mapping[str, Any], params: Mapping[str, Any]) -> Row:
    """The row with its lineage; what is no row is kept as such, for ``verify`` to reject."""
    lineage = {
        "round": params["round"],
        "item": item["id"],
        "origin": params["generator"]["program"],
    }
    cell = {"skill": item["skill"], "difficulty": item["difficulty"]}
    if not is_row(raw):
        text = repr(raw)
        return {**cell, **lineage, "id": row_id(text), "prompt": text, "malformed": True}
    own = own_columns(raw)
    return {**own, **cell, **lineage, "id": row_id(own["prompt"])}
