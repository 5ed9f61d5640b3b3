"""The journal of an execution: append-only JSON Lines, each event on disk before its effect counts.

Events: ``execution_started``, ``step_started``, ``step_finished``,
``reserved``, ``settled``, ``round_finished``, ``execution_finished``, ``execution_stopped``. Each
has ``seq`` (from 1, without gaps), ``time`` (ISO 8601, UTC) and ``event``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagent.runtime.appender import Appender

Event = Mapping[str, Any]


def read_events(path: Path) -> list[Event]:
    """All whole events; a last line that a crash tore off is no event."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in raw[: raw.rfind(b"\n") + 1].splitlines()]


class Journal:
    """Opened before anything runs; thread-safe. ``events`` holds earlier sessions' too."""

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.path = path
        self._out = Appender(path)
        self.events = read_events(path)
        self._now = now
        self._lock = threading.Lock()

    def append(self, event: str, **fields: Any) -> Event:
        """Write one event and wait until it is on disk.

        Raises:
            OSError: there was no room for it; the file is as it was before.
        """
        body, on_disk = self._write(event, fields)
        try:
            on_disk.result()
        except OSError:
            with self._lock:
                self.events.remove(body)
            raise
        return body

    def write(self, event: str, **fields: Any) -> Future[None]:
        """Write one event; the future is done once it is on disk."""
        return self._write(event, fields)[1]

    def close(self) -> None:
        self._out.close()

    def _write(self, event: str, fields: dict[str, Any]) -> tuple[Event, Future[None]]:
        with self._lock:
            body: Event = {
                "seq": len(self.events) + 1,
                "time": self._now().isoformat(timespec="milliseconds"),
                "event": event,
                **fields,
            }
            line = json.dumps(body, ensure_ascii=False, sort_keys=True).encode(errors="replace")
            on_disk = self._out.write(line)
            self.events.append(body)
            return body, on_disk
