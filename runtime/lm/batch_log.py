"""Which attempts went into which batch, on disk before the provider is asked to begin it.

``batches.jsonl`` beside the answers: ``{"file", "calls"}`` once a batch's file is uploaded,
``{"file", "batch"}`` once the batch has an id, ``{"file", "done"}`` as it gets on. An attempt that
is in no line was never sent; one that is can be looked for at the provider, whatever became of the
session that sent it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.runtime.appender import Appender, whole_size
from dagent.runtime.journal import Event


@dataclass
class Batch:
    """``calls`` are the attempts in the order of the file's lines; ``id`` is the provider's name
    for the batch, once it is known, ``done`` how many calls it says that it answered."""

    file: str
    calls: tuple[str, ...]
    id: str | None = None
    done: int | None = None


class BatchLog:
    """One per run."""

    def __init__(self, path: Path) -> None:
        self._out = Appender(path)
        self._of = {call: batch for batch in _read(path) for call in batch.calls}

    def of(self, call: str) -> Batch | None:
        """The batch that an attempt was last sent in."""
        return self._of.get(call)

    def uploaded(self, batch: Batch) -> Future[None]:
        """The batch may be begun once the future is done."""
        self._of |= dict.fromkeys(batch.calls, batch)
        return self._write({"file": batch.file, "calls": batch.calls})

    def begun(self, batch: Batch, id: str) -> Future[None]:
        batch.id = id
        return self._write({"file": batch.file, "batch": id})

    def got_on(self, batch: Batch, done: Any) -> None:
        """What ``dagent status`` says; nothing waits for it."""
        if isinstance(done, int) and done != batch.done:
            batch.done = done
            self._write({"file": batch.file, "done": done})

    def close(self) -> None:
        self._out.close()

    def _write(self, line: dict[str, object]) -> Future[None]:
        return self._out.write(json.dumps(line).encode())


def waited_for(path: Path, events: Iterable[Event]) -> list[dict[str, Any]]:
    """The batches whose calls are not settled: ``{"batch", "calls", "done"}``, how many wait for it
    and how many it has answered; the latter None where the provider does not say."""
    open_ = unsettled(events)
    found = [(batch, len(open_.keys() & set(batch.calls))) for batch in _read(path)]
    return [{"batch": b.id, "calls": calls, "done": b.done} for b, calls in found if calls]


def unsettled(events: Iterable[Event]) -> dict[str, Event]:
    """The reservations of calls that nothing is known of yet, by attempt."""
    last = {
        e["key"]: e
        for e in events
        if e["event"] in ("reserved", "settled") and e["key"].startswith("call:")
    }
    return {
        key: event
        for key, event in last.items()
        if event["event"] == "reserved" and _next(key) not in last
    }


def inherit(before: Path, path: Path, events: Iterable[Event]) -> list[Event]:
    """Copy to ``path`` the batches of another run that were waited for when it ended, of which its
    journal is ``events``; and the reservations of their calls, which this run goes on to hold."""
    open_ = unsettled(events)
    waiting = [batch for batch in _read(before) if open_.keys() & set(batch.calls)]
    if not waiting:
        return []
    out = Appender(path)
    for batch in waiting:
        out.write(json.dumps({"file": batch.file, "calls": batch.calls}).encode())
        if batch.id is not None:
            out.write(json.dumps({"file": batch.file, "batch": batch.id}).encode())
    out.close()
    return [open_[call] for batch in waiting for call in batch.calls if call in open_]


def _next(attempt: str) -> str:
    """What the same call is named when it is attempted once more."""
    call, _, number = attempt.rpartition(".")
    return f"{call}.{int(number) + 1}"


def _read(path: Path) -> list[Batch]:
    """In the order in which they were uploaded; a last line that a crash tore off says nothing."""
    files: dict[str, Batch] = {}
    if not path.exists():
        return []
    with path.open("rb") as file:
        for raw in file.read(whole_size(path)).splitlines():
            line = json.loads(raw)
            if "calls" in line:
                files[line["file"]] = Batch(line["file"], tuple(line["calls"]))
            elif "batch" in line:
                files[line["file"]].id = line["batch"]
            else:
                files[line["file"]].done = line["done"]
    return list(files.values())
