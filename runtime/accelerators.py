"""Accelerator time: how many accelerators a task of the worker holds, and what that is charged.

The unit is the second of one accelerator: two that are held for a minute are 120 s. It is reserved
some seconds ahead and settled when the task ends, so that a run which dies is charged what it held
and at most ``AHEAD`` seconds of each accelerator more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dagent.runtime.meter import OutOfBudget

UNIT = "gpu"
BASE = "base"  # the scope of what the untouched student is measured by: no round's cap holds for it
AHEAD = 30.0
ANSWERS = ("answer", "benchmark")  # tasks of the worker in which the student answers


class Purse(Protocol):
    """The part of ``dagent.runtime.meter.Meter`` that is used here."""

    def reserve(self, key: str, scopes: tuple[str, ...] = (), **amounts: float) -> None: ...
    def report(self, key: str, **amounts: float) -> None: ...
    def charged(self, key: str) -> Mapping[str, float]: ...
    def time_left(self, unit: str) -> tuple[float, str] | None: ...


@dataclass
class Holding:
    """One task that holds ``devices`` accelerators from ``since`` on."""

    purse: Purse
    key: str
    scopes: tuple[str, ...]
    devices: int
    clock: Callable[[], float]
    since: float
    reserved: float = 0.0

    @property
    def used(self) -> float:
        return self.devices * (self.clock() - self.since)

    def check(self) -> float | None:
        """Pay for the next seconds; how long until a cap is reached, ``None`` without a cap.

        Raises:
            OutOfBudget: it is reached.
        """
        ends = self.purse.time_left(UNIT)
        # What is left does not count what this task has reserved already.
        most = None if ends is None else self.reserved + ends[0]
        if ends is not None and most is not None and self.used >= most:
            raise OutOfBudget(f"{ends[1]}: the time on accelerators is spent")
        if self.used + AHEAD * self.devices / 3 > self.reserved:
            wanted = self.used + AHEAD * self.devices
            wanted = wanted if most is None else min(wanted, most)
            if wanted > self.reserved:
                self.purse.reserve(self.key, self.scopes, **{UNIT: wanted})
                self.reserved = wanted
        return None if most is None else (most - self.used) / self.devices

    def end(self) -> float:
        """Settle; the seconds that were used."""
        used = round(min(self.used, self.reserved), 3)
        if not self.reserved:
            return 0.0
        self.purse.report(self.key, **{UNIT: used})
        return used


def free_key(purse: Purse, step: str) -> str:
    """A key that no task of the step has yet, in this session or in one that died."""
    number = 1
    while purse.charged(f"gpu:{step}.{number}"):
        number += 1
    return f"gpu:{step}.{number}"


def held(task: str, request: Mapping[str, Any]) -> int:
    """Runs in the worker: how many accelerators a task takes.

    Answering takes one, for the tasks of a guard too. A training takes as many as the accelerate
    config has processes; without one, all that this process sees, since the trainer spreads over
    them.
    """
    import torch

    if task not in (*ANSWERS, "train") or not torch.accelerator.is_available():
        return 0
    if task in ANSWERS:
        return 1
    config = request.get("accelerate")
    return int(torch.accelerator.device_count()) if config is None else _processes(Path(config))


def _processes(config: Path) -> int:
    import yaml

    from dagent.compiler.passes.check_accelerate import accelerators

    return accelerators(yaml.safe_load(config.read_text(encoding="utf-8")))
