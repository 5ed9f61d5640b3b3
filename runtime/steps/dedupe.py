"""``dedupe``: drops rows that ask what a kept row, or an earlier one of the same batch, asks."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "dedupe"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    first = {_fold(row["prompt"]): row["id"] for row in read_rows(inputs["kept"].path)}
    unique: list[Row] = []
    duplicates: list[Row] = []
    for row in read_rows(inputs["rows"].path):
        same = first.setdefault(_fold(row["prompt"]), row["id"])
        if same == row["id"]:
            unique.append(row)
        else:
            duplicates.append({**row, "reason": f"asks the same as row {same}", "matches": same})
    return StepOutput(
        {
            "rows": write_rows(context.scratch / "rows.jsonl", unique),
            "duplicates": write_rows(context.scratch / "duplicates.jsonl", duplicates),
        },
        {"unique": len(unique), "duplicates": len(duplicates)},
        f"{len(duplicates)} duplicates dropped",
    )


def _fold(prompt: str) -> str:
    """White space and Unicode forms do not make another question; case may (``"A".lower()``)."""
    return " ".join(unicodedata.normalize("NFKC", prompt).split())
