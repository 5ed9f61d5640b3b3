"""Which attempts went into which batch, on disk before the provider is asked to begin it.

``batches.jsonl`` beside the answers: ``{"file", "calls"}`` once a batch's file is uploaded, and
``{"file", "batch"}`` once the batch has an id. An attempt that is in no line was never sent; one
that is can be looked for at the provider, whatever became of the session that sent it.
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
    for the batch, once it is known."""

    file: str
    calls: tuple[str, ...]
    id: str | None = None


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

    def close(self) -> None:
        self._out.close()

    def _write(self, line: dict[str, object]) -> Future[None]:
        return self._out.write(json.dumps(line).encode())


def waited_for(path: Path, events: Iterable[Event]) -> list[dict[str, Any]]:
    """The batches whose calls are not settled: ``{"batch", "calls"}``, how many wait for it."""
    last = {
        e["key"]: e["event"]
        for e in events
        if e["event"] in ("reserved", "settled") and e["key"].startswith("call:")
    }
    unsettled = {
        key for key, event in last.items() if event == "reserved" and _next(key) not in last
    }
    found = [(batch.id, len(unsettled & set(batch.calls))) for batch in _read(path)]
    return [{"batch": id, "calls": calls} for id, calls in found if calls]


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
            else:
                files[line["file"]].id = line["batch"]
    return list(files.values())
