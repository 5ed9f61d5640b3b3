"""Where a row came from and where it went, read from the journal and the store of an execution.

weakness -> item of the curriculum -> what made it -> verdicts -> rounds that trained on it
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic, Note, Refused
from dagent.runtime.history import STORE
from dagent.runtime.journal import Event
from dagent.runtime.rows import Row, cell, cell_name, read_json

SHORTEST = 4  # letters of an id that are enough to name a row, if only one begins so
SAYS = {
    ("data", "rows"): "read from its file",
    ("split", "diagnose"): "in the half of dev that the engineer may read",
    ("split", "select"): "in the half of dev that only the gate reads",
    ("generate", "candidates"): "made",
    ("author", "candidates"): "made",
    ("author", "rejects"): "submitted and refused",
    ("submit", "added"): "chosen",
    ("submit", "train"): "trained on",
    ("verify", "verified"): "found right",
    ("verify", "rejects"): "rejected",
    ("dedupe", "rows"): "no duplicate",
    ("dedupe", "duplicates"): "a duplicate",
    ("decontaminate", "rows"): "overlaps with nothing that is judged on",
    ("decontaminate", "leaks"): "overlaps with what is judged on",
    ("mix", "added"): "chosen",
    ("mix", "train"): "trained on",
    ("gate", "kept"): "kept",
    ("gate", "aside"): "set aside",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """One thing that happened to the row: at which step, in words, and why if that is recorded."""

    step: str
    says: str
    reason: str | None = None


def lineage(id: str, events: Sequence[Event], project: Path) -> tuple[Row, list[Passage]]:
    """The row whose id begins so, and what happened to it, in order.

    Raises:
        Refused: E721 when no row of the execution has such an id, or several do.
    """
    steps = [e for e in events if e["event"] == "step_finished"]
    found: dict[str, Row] = {}
    passages: dict[tuple[str, str], Passage] = {}
    for event in steps:
        for output, path in _rows_files(event, project):
            for row in _rows_with(path, id):
                found.setdefault(row["id"], row)
                reason = row.get("reason")
                says = SAYS.get((event["kind"], output), output)
                if output == "candidates":
                    passages.update(_origin(row, event, steps, project))
                    says = f"made by {row.get('origin', 'the generator')}"
                passages[event["step"], says] = Passage(event["step"], says, reason)
    if len(found) != 1:
        raise _refused(id, tuple(found))
    (row,) = found.values()
    return row, _folded(list(passages.values()))


def to_json(row: Row, passages: Sequence[Passage]) -> dict[str, Any]:
    return {
        "row": {k: v for k, v in row.items() if k != "reason"},
        "lineage": [
            {"step": p.step, "says": p.says, **({"reason": p.reason} if p.reason else {})}
            for p in passages
        ],
    }


def lines(row: Row, passages: Sequence[Passage]) -> list[str]:
    out = [f"row {row['id']}"]
    for name in ("skill", "difficulty", "prompt", "answer"):
        if name in row:
            first, *rest = str(row[name]).splitlines() or [""]
            out += [f"  {name:<10}  {first}", *(" " * 14 + line for line in rest)]
    width = max(len(p.step) for p in passages)
    out.append("what happened to it")
    for p in passages:
        out.append(f"  {p.step:<{width}}  {p.says}" + (f": {p.reason}" if p.reason else ""))
    return out


def _origin(
    row: Row, made: Event, steps: Sequence[Event], project: Path
) -> Iterator[tuple[tuple[str, str], Passage]]:
    """The weakness and the item of the curriculum that asked for the row, of its own round."""
    prefix = made["step"].rpartition(".")[0]
    for event in steps:
        if event["step"] == f"{prefix}.diagnose":
            for weak in _read(event, "diagnosis", project).get("cells", ()):
                if cell(weak) == cell(row):
                    says = (
                        f"weakness: {weak['wrong']:g} of {how_many(weak['rows'], 'rows')} of "
                        f"{cell_name(weak)} wrong"
                    )
                    yield (event["step"], says), Passage(event["step"], says)
        if event["step"] in (f"{prefix}.plan", f"{prefix}.author"):
            for item in _read(event, "curriculum", project).get("items", ()):
                if item["id"] == row.get("item"):
                    says = f"item {item['id']}: {how_many(item['count'], 'rows')} wanted"
                    yield (event["step"], says), Passage(event["step"], says, item.get("rationale"))


def _folded(passages: list[Passage]) -> list[Passage]:
    """What is said of a row in every later round is said once, of the first and last."""
    out: list[Passage] = []
    for p in passages:
        family = p.step.rpartition(".")[2]
        same = [
            i
            for i, q in enumerate(out)
            if q.step.rpartition(".")[2] == family and (q.says, q.reason) == (p.says, p.reason)
        ]
        if same and p.says in (SAYS["mix", "train"], SAYS["gate", "kept"], SAYS["gate", "aside"]):
            first = out[same[0]].step.partition("…")[0]
            out[same[0]] = Passage(f"{first}…{p.step}", p.says, p.reason)
        else:
            out.append(p)
    return out


def _rows_files(event: Event, project: Path) -> Iterator[tuple[str, Path]]:
    for name, made in event["outputs"].items():
        path = project / STORE / made["path"]
        if (event["kind"], name) in SAYS and path.is_file():
            yield name, path


def _rows_with(path: Path, id: str) -> Iterator[Row]:
    """Rows whose id begins so; most files hold none, which their bytes tell faster than JSON."""
    wanted = id.encode()
    with path.open("rb") as lines:
        for line in lines:
            if wanted in line:
                row: Row = json.loads(line)
                if str(row.get("id", "")).startswith(id):
                    yield row


def _read(event: Event, output: str, project: Path) -> Mapping[str, Any]:
    made = event["outputs"].get(output)
    path = project / STORE / made["path"] if made else None
    body: Mapping[str, Any] = read_json(path) if path and path.is_file() else {}
    return body


def _refused(id: str, found: tuple[str, ...]) -> Refused:
    if not found:
        message = f"no row of the latest execution has an id that begins with `{id}`"
        return Refused(
            Diagnostic("E721", message, suggestion="take an id from a file that `show STEP` names")
        )
    notes = tuple(Note(other) for other in sorted(found)[:SHORTEST])
    message = f"{len(found)} rows have an id that begins with `{id}`"
    return Refused(Diagnostic("E721", message, suggestion="write more of it", notes=notes))
