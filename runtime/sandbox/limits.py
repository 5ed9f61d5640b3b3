"""What a program may use, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MIB = 1024 * 1024

Status = Literal["ok", "error", "timeout", "memory", "output", "processes", "signal"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one program. Sizes in bytes, times in seconds.

    ``seconds`` is wall time without the time that the parent spends in calls; every process may
    use as much of the processor. ``memory`` bounds each process's address space and all processes'
    memory together. ``processes`` counts threads too. ``files`` and ``written`` bound the scratch
    folder, ``output`` stdout and stderr together, ``calls`` and ``message`` the callbacks.
    """

    seconds: float = 10.0
    memory: int = 512 * MIB
    processes: int = 16
    files: int = 256
    written: int = 32 * MIB
    output: int = MIB
    calls: int = 10_000
    message: int = MIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended. ``code`` is its exit code, negative for a signal, ``None`` if it was
    stopped; ``reason`` says in words why it is not ``ok``; ``files`` are what it left in its
    scratch folder, and only those that it made or changed."""

    status: Status
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    code: int | None = None
    reason: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status == "ok"
