"""The journal of an execution: append-only JSON Lines, each event on disk before its effect counts.

Events: ``execution_started``, ``step_started``, ``step_finished``,
``reserved``, ``settled``, ``round_finished``, ``execution_finished``, ``execution_stopped``. Each
has ``seq`` (from 1, without gaps), ``time`` (ISO 8601, UTC) and ``event``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Event = dict[str, Any]


def read_events(path: Path) -> list[Event]:
    """All whole events; a last line that a crash tore off is no event."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]


class Journal:
    """Opened before anything runs. ``events`` holds what is on disk, earlier sessions included."""

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.events = read_events(path)
        self._now = now
        self._out = path.open("ab", buffering=0)
        os.truncate(path, _whole_size(path))

    def append(self, event: str, **fields: Any) -> Event:
        """Write one event and wait until it is on disk.

        Raises:
            OSError: there was no room for it; the file is as it was before.
        """
        body: Event = {
            "seq": len(self.events) + 1,
            "time": self._now().isoformat(timespec="milliseconds"),
            "event": event,
            **fields,
        }
        line = json.dumps(body, ensure_ascii=False, sort_keys=True).encode() + b"\n"
        before = self.path.stat().st_size
        try:
            while line:
                line = line[self._out.write(line) :]
            os.fsync(self._out.fileno())
        except OSError:
            os.truncate(self.path, before)
            raise
        self.events.append(body)
        return body

    def close(self) -> None:
        self._out.close()


def _whole_size(path: Path) -> int:
    return path.read_bytes().rfind(b"\n") + 1
