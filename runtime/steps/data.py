"""``data``: reads a data set of the user's into rows, after checking that it is the locked one."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.locked import unchanged
from dagent.runtime.rows import Row, row_id, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "data"
version = 1
COLUMNS = ("id", "prompt", "answer", "skill", "difficulty")


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    path = step.params["path"]
    return unchanged(f"the data file `{path}`", project / path, step.params["sha256"])


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    path = context.project / step.params["path"]
    rows = [_row(raw, step.params["columns"]) for raw in _read(path, step.params["format"])]
    if (size := step.params["sample"]) is not None:
        rows = random.Random(step.params["seed"]).sample(rows, size)
    if found := list(check(step, context.project)):  # it must not change while we read it
        raise Refused(found)
    return StepOutput(
        {"rows": write_rows(context.scratch / "rows.jsonl", rows)},
        {"rows": len(rows)},
        f"{len(rows)} rows of {step.params['name']}",
    )


def _read(path: Path, format: str) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        if format == "csv":
            yield from csv.DictReader(file)
        else:
            yield from (json.loads(line) for line in file if line.strip())


def _row(raw: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    named = {
        name: raw[columns.get(name, name)] for name in COLUMNS if columns.get(name, name) in raw
    }
    row: Row = {**named, "prompt": str(named["prompt"]), "answer": str(named["answer"])}
    return {"id": row_id(row["prompt"]), **row}
