"""Every answer of a language model, on disk before it is used, so that none is paid for twice.

``answers.jsonl`` in the run's folder: ``{"key", "step", "model", "answer"}``, the answer as an
OpenAI chat completion. A resumed run asks in the same way, finds the answer by its key, and goes
on. In memory is only where each answer stands in the file.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Collection
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any

from dagent.runtime.appender import Appender, whole_size
from dagent.runtime.lm.batch_log import BatchLog
from dagent.runtime.lm.samples import SampleLog

Answer = dict[str, Any]


class AnswerLog:
    """Thread-safe. One per run."""

    def __init__(self, path: Path) -> None:
        self._out = Appender(path)
        self._lock = threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        self._asked: Counter[str] = Counter()
        self._file = path.open("rb")
        self.samples = SampleLog(path.with_name("samples.jsonl"))
        start = 0
        for line in self._file:
            if start < self._out.size:
                self._places[json.loads(line)["key"]] = (start, len(line))
            start += len(line)

    def __len__(self) -> int:
        return len(self._places)

    def key(self, step: str, request: bytes, rollout: object = None) -> str:
        """The identity of a call: what is asked, for which step, and for the how-many-th time.

        ``request`` is the body as it is sent, model and options included. Equal requests of one
        step are counted, so that asking again asks again; ``rollout`` tells them apart by name
        where they are asked at the same time.
        """
        same = hashlib.sha256(f"{step}\n{rollout}\n".encode() + request).hexdigest()
        with self._lock:
            nth = self._asked[same]
            self._asked[same] += 1
        return f"{same[:32]}.{nth}"

    def find(self, key: str) -> Answer | None:
        with self._lock:
            place = self._places.get(key)
            if place is None:
                return None
            self._file.seek(place[0])
            answer: Answer = json.loads(self._file.read(place[1]))["answer"]
            return answer

    def keep(self, key: str, step: str, model: str, answer: Answer) -> Future[None]:
        """Write an answer down; it may be used once the future is done."""
        line = json.dumps(
            {"key": key, "step": step, "model": model, "answer": answer}, ensure_ascii=False
        ).encode("utf-8", "replace")  # half a character, as JSON's escapes may hold it
        with self._lock:
            self._places[key] = (self._out.size, len(line) + 1)
            return self._out.write(line)

    @cached_property
    def batches(self) -> BatchLog:
        """Which calls are in which batch, for models that are asked in batches."""
        return BatchLog(self._out.path.with_name("batches.jsonl"))

    def close(self) -> None:
        self.samples.close()
        if "batches" in vars(self):
            self.batches.close()
        self._out.close()
        self._file.close()


def inherit(before: Path, path: Path, finished: Collection[str]) -> None:
    """Copy to ``path`` the answers of another run but those of its ``finished`` steps, which the
    store holds: what a step asked in vain before a cap was raised is not paid for again."""
    if not before.exists():
        return
    out = Appender(path)
    whole = whole_size(before)
    with before.open("rb") as lines:
        for line in lines:
            whole -= len(line)
            if whole >= 0 and json.loads(line)["step"] not in finished:
                out.write(line.rstrip(b"\n"))
    out.close()
