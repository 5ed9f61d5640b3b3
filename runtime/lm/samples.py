"""The first calls of every role in every step: what was asked and answered, for people to read.

``samples.jsonl`` in the run's folder; MLflow shows them as traces. Nothing that runs reads them.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dagent.runtime.appender import Appender

MOST = 5  # calls of a role in a step


class SampleLog:
    """Thread-safe. One per run."""

    def __init__(self, path: Path) -> None:
        self._out = Appender(path)
        self._lock = threading.Lock()
        self._kept = Counter((s["step"], s["role"]) for s in read_samples(path))

    def wants(self, step: str, role: str) -> bool:
        return self._kept[step, role] < MOST

    def add(self, step: str, role: str, body: bytes, **sample: Any) -> None:
        """Keep a call whose request was ``body``. Nobody waits for the disk."""
        with self._lock:
            if not self.wants(step, role):
                return
            self._kept[step, role] += 1
        line = {"step": step, "role": role, "request": json.loads(body), **sample}
        self._out.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace"))

    def close(self) -> None:
        self._out.close()


def read_samples(path: Path) -> Iterator[dict[str, Any]]:
    """``{"step", "key", "role", "request", "answer", "price", "began", "seconds", "tries"}``, where
    ``began`` is in seconds since 1970 and ``price`` in USD, ``None`` where it is unknown."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return
    for line in lines:
        if line.endswith(b"\n"):
            yield json.loads(line)
