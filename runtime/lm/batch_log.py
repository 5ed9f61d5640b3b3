"""Which attempts went into which batch, on disk before the provider is asked to begin it.

``batches.jsonl`` beside the answers: ``{"file", "calls"}`` once a batch's file is uploaded, and
``{"file", "batch"}`` once the batch has an id. An attempt that is in no line was never sent; one
that is can be looked for at the provider, whatever became of the session that sent it.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from dagent.runtime.appender import Appender


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
        self._of: dict[str, Batch] = {}
        files: dict[str, Batch] = {}
        for raw in path.read_bytes().splitlines():
            line = json.loads(raw)
            if "calls" in line:
                files[line["file"]] = batch = Batch(line["file"], tuple(line["calls"]))
                self._of |= dict.fromkeys(batch.calls, batch)
            else:
                files[line["file"]].id = line["batch"]

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
