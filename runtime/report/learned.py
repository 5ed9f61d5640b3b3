"""How each round's student was trained: stage by stage, from the logs in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import local
from dagent.runtime.projection import Event, rounds
from dagent.runtime.report import facts, parts
from dagent.runtime.report.markup import Part, el
from dagent.runtime.rows import read_rows

NOT_MEASURED = ("stage", "step", "loss")


def trainings(past: Sequence[Event], project: Path) -> Part:
    """Of every round that was trained: the rows of each stage, and what it measured at its first
    and its last logged step."""
    done = {e["round"]: e for e in past if e["event"] == "step_finished" and e["kind"] == "train"}
    body = [row for n in rounds(past) if n in done for row in _stages(past, project, done[n])]
    if not body:
        return None
    columns = 6 if any(row[-1] for row in body) else 5
    return el(
        "details",
        el(
            "summary",
            "Training, stage by stage ",
            el("span", f"of each of {len(done)} rounds" if len(done) > 1 else "of the round"),
        ),
        parts.table(
            ("round", "stage", "rows", "steps", "loss", "what else the stage measures")[:columns],
            [row[:columns] for row in body],
            "From the first steps that were logged to the last",
            numbers=(2, 3),
        ),
    )


def _stages(past: Sequence[Event], project: Path, event: Event) -> list[tuple[Any, ...]]:
    path = facts.stored(past, f"r{event['round']}.train", "log", project)
    logged: dict[str, list[Mapping[str, Any]]] = {}
    for point in read_rows(path) if path else ():
        logged.setdefault(point["stage"], []).append(point)
    measured = event["metrics"]
    of_stage = {
        name.removeprefix("rows/"): rows for name, rows in measured.items() if "rows/" in name
    }
    names = list(dict.fromkeys((*of_stage, *logged)))
    return [
        (
            event["round"],
            name,
            f"{of_stage.get(name, measured['rows']):,.0f}",
            f"{logged[name][-1]['step']:,}" if name in logged else "",
            _from_to(logged[name], "loss") if name in logged else "not logged",
            ", ".join(f"{k} {_from_to(logged[name], k)}" for k in _others(logged.get(name, ()))),
        )
        for name in sorted(names)
    ]


def _others(points: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({k for point in points for k in point if k not in NOT_MEASURED})


def _from_to(points: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [point[name] or 0.0 for point in points if name in point]  # -0.0 is 0
    ends = [f"{value:.3g}" for value in (values[0], values[-1])]
    return ends[0] if len(values) == 1 else f"{ends[0]} → {ends[1]}"


def prepared(past: Sequence[Event]) -> Part:
    """What was done with language models before the first round, and how well it went."""
    told = [
        (local(e["step"]), e["note"])
        for e in past
        if e["event"] == "step_finished" and e["kind"] in ("optimise", "calibrate")
    ]
    if not told:
        return None
    return parts.table(("step", "what it found"), told, "Prepared before the first round")
