"""What MLflow gets of a step's outputs: files and tables of a run, and data sets, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dagent.compiler.plan import local
from dagent.runtime import projection as show
from dagent.runtime.projection import Event, Table
from dagent.runtime.rows import read_rows

# Outputs of steps before the rounds that are files of the execution, in a folder named as the step.
BEFORE: Mapping[str, tuple[str, ...]] = {
    "optimise": ("program", "report"),
    "calibrate": ("calibration",),
}
# Outputs that are files of a round: step kind -> outputs. The rows of ``data`` and ``split`` and
# the models are not copied each time; they are data sets and one registered model.
FILES: Mapping[str, tuple[str, ...]] = {
    "diagnose": ("diagnosis",),
    "plan": ("curriculum",),
    "author": ("log", "rejects"),
    "submit": ("added",),
    "verify": ("rejects",),
    "refine": ("rejects",),  # those that stay so, in place of the verifier's
    "dedupe": ("duplicates",),
    "decontaminate": ("leaks",),
    "mix": ("added",),
    "evaluate": ("metrics",),
    "gate": ("decision",),
    "result": ("result",),
}
ROWS = frozenset({"rejects", "duplicates", "leaks", "added"})
DATASETS: Mapping[str, tuple[str, ...]] = {
    "data": ("rows",),
    "split": ("diagnose", "select"),
    "mix": ("added",),
    "submit": ("added",),
}


def files_of(event: Event, paths: Mapping[str, Path]) -> dict[str, Path | str | Table]:
    """The files of a finished step, whose outputs are at ``paths``."""
    files: dict[str, Path | str | Table] = {
        f"{local(event['step'])}/{name}.json": paths[name]
        for name in BEFORE.get(event["kind"], ())
        if name in paths
    }
    if event.get("round") is None and event["kind"] != "result":
        return files
    for name in FILES.get(event["kind"], ()):
        if name not in paths:
            continue
        if name in ROWS:
            files[f"rows/{name}.jsonl"] = paths[name]
            if rows := read_rows(paths[name]):  # MLflow shows an empty table as an empty page
                files[f"tables/{name}.json"] = show.row_table(rows)
        else:
            files[f"{name}.json"] = paths[name]
    return files


def role_of(event: Event, output: str) -> tuple[str, str]:
    """The data set's role for the run, and its name."""
    if event["kind"] == "mix":
        return "training", f"round {event['round']} rows"
    if event["kind"] == "split":
        return output, f"dev/{output}"
    name = event["step"].removeprefix("data.")
    return name, name
