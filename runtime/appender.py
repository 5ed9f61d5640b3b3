"""A file of lines that only grows; many writers share one wait for the disk.

Waiting for the disk takes far longer than writing a line. So ``write`` only queues the line in the
file's order, and all lines written until the disk is asked the next time wait for it together.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path


class Appender:
    """Thread-safe. A last line that a crash tore off is cut away when the file is opened."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._out = path.open("ab", buffering=0)
        self.size = whole_size(path)
        os.truncate(path, self.size)
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._written: Future[None] | None = None
        self._disk = ThreadPoolExecutor(1, thread_name_prefix=f"disk-{path.stem}")

    def write(self, line: bytes) -> Future[None]:
        """Append a line, given without its newline; the future is done once it is on disk.

        The future raises OSError if there was no room; the file is then as it was before.
        """
        with self._lock:
            self._lines.append(line + b"\n")
            self.size += len(line) + 1
            if self._written is None:
                self._written = self._disk.submit(self._write_all)
            return self._written

    def close(self) -> None:
        self._disk.shutdown()
        self._out.close()

    def _write_all(self) -> None:
        with self._lock:
            text, self._lines, self._written = b"".join(self._lines), [], None
        before, left = os.fstat(self._out.fileno()).st_size, text
        try:
            while left:
                left = left[self._out.write(left) :]
            os.fsync(self._out.fileno())
        except OSError:
            os.truncate(self.path, before)
            with self._lock:
                self.size -= len(text)
            raise


def whole_size(path: Path) -> int:
    """Bytes up to the end of the last whole line; 0 if there is no file."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - 65536)
                file.seek(start)
                found = file.read(end - start).rfind(b"\n")
                if found >= 0:
                    return start + found + 1
                end = start
    except FileNotFoundError:
        pass
    return 0
