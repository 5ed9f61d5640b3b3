"""``split``: dev into a half that the engineer may read and a half that only the gate reads.

Choosing on the rows that guided the search inflates the score; in pilots, by 6 to 8 points.
Stratified by cell, seeded. ``select_by_skill`` tells as how many rows those of select count where
every skill counts the same.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.detectable import effective_rows
from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Cell, Row, cell, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "split"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    rows = read_rows(inputs["rows"].path)
    diagnose, select = split(rows, step.params["select"], step.params["seed"])
    return StepOutput(
        {
            "diagnose": write_rows(context.scratch / "diagnose.jsonl", diagnose),
            "select": write_rows(context.scratch / "select.jsonl", select),
        },
        {
            "diagnose": len(diagnose),
            "select": len(select),
            "select_by_skill": effective_rows(Counter(cell(row)[0] for row in select).values()),
        },
        f"{how_many(len(diagnose), 'rows')} to diagnose on, {len(select)} to select on",
    )


def split(rows: list[Row], select: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(diagnose, select), with ``round(select * len(rows))`` rows in the second.

    Rows are dealt cell by cell along one line and every stretch of it gives its share, so each cell
    is split as evenly as whole rows allow and the sizes come out right in total.
    """
    cells: dict[Cell, list[Row]] = {}
    for row in rows:
        cells.setdefault(cell(row), []).append(row)
    rng = random.Random(seed)
    line: list[Row] = []
    for key in sorted(cells):
        rng.shuffle(cells[key])
        line.extend(cells[key])
    halves: tuple[list[Row], list[Row]] = ([], [])
    for i, row in enumerate(line):
        halves[round((i + 1) * select) - round(i * select)].append(row)
    return halves
