"""The budget meter: reserve before dispatch, settle after; both in the journal.

A reservation is made under a key that names the work (a step, later a single call). Reserving the
same key again replaces what it held, so a run that was killed between reserving and settling pays
for the repeated work once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dagent.runtime.journal import Event, Journal

Caps = Mapping[str, Mapping[str, float]]


class OutOfBudget(Exception):
    """A cap would be exceeded. The run ends with what it has; ``str`` says which cap."""


@dataclass(frozen=True, slots=True)
class _Held:
    scopes: tuple[str, ...]
    amounts: Mapping[str, float]


class Meter:
    """Thread-safe. ``caps`` are the plan's: ``{"run": {"calls": …}, "round": {…}, …}``."""

    def __init__(
        self, caps: Caps, journal: Journal, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._caps = caps
        self._journal = journal
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._before = elapsed(journal.events)
        self._started = clock()
        for event in journal.events:
            if event["event"] in ("reserved", "settled"):
                self._held[event["key"]] = _Held(tuple(event["scopes"]), event["amounts"])

    def reserve(self, key: str, scopes: tuple[str, ...] = (), **amounts: float) -> None:
        """Set ``amounts`` aside for ``key``, against the run's caps and those of ``scopes``.

        A scope is ``"round:3"`` (capped by ``per round``) or a role's name.

        Raises:
            OutOfBudget: if any cap would be exceeded; nothing is then reserved.
        """
        with self._lock:
            for scope in ("run", *scopes):
                for unit, amount in amounts.items():
                    cap = self._caps.get(scope.partition(":")[0], {}).get(unit)
                    spent = self._spent(scope, unit, besides=key)
                    if cap is not None and spent + amount > cap:
                        raise OutOfBudget(
                            f"{scope} {unit}: {spent:g} of {cap:g} spent, {amount:g} more needed"
                        )
            self._write("reserved", key, scopes, amounts)

    def settle(self, key: str, **amounts: float) -> None:
        """Replace what was reserved under ``key`` by what was really used; never more than that.

        Raises:
            ValueError: if more was used than was reserved: a bug in the caller.
        """
        with self._lock:
            held = self._held[key]
            for unit, amount in amounts.items():
                if amount > held.amounts.get(unit, 0):
                    raise ValueError(f"{key} used {amount} {unit}, reserved {held.amounts}")
            self._write("settled", key, held.scopes, {**dict.fromkeys(held.amounts, 0), **amounts})

    def spent(self, unit: str, scope: str = "run") -> float:
        with self._lock:
            return self._spent(scope, unit)

    def charged(self, key: str) -> Mapping[str, float]:
        """What ``key`` holds: reserved, or used if it is settled; empty if it never reserved."""
        with self._lock:
            held = self._held.get(key)
            return dict(held.amounts) if held else {}

    def left(self, unit: str, scope: str = "run") -> float | None:
        """What a cap still allows; ``None`` without a cap."""
        cap = self._caps.get(scope.partition(":")[0], {}).get(unit)
        return None if cap is None else max(0.0, cap - self.spent(unit, scope))

    @property
    def elapsed(self) -> float:
        """Seconds of wall time, earlier sessions of the same execution included."""
        return self._before + self._clock() - self._started

    @property
    def wall_left(self) -> float | None:
        """Seconds until the cap on wall time; ``None`` without one."""
        cap = self._caps.get("run", {}).get("wall")
        return None if cap is None else cap - self.elapsed

    def _spent(self, scope: str, unit: str, besides: str | None = None) -> float:
        return sum(
            held.amounts.get(unit, 0)
            for key, held in self._held.items()
            if key != besides and (scope == "run" or scope in held.scopes)
        )

    def _write(
        self, event: str, key: str, scopes: tuple[str, ...], amounts: Mapping[str, float]
    ) -> None:
        self._journal.append(event, key=key, scopes=list(scopes), amounts=dict(amounts))
        self._held[key] = _Held(scopes, dict(amounts))


def elapsed(events: Sequence[Event]) -> float:
    """Seconds between each session's first and last event, added up."""
    total, first, last = 0.0, None, None
    for event in events:
        moment = datetime.fromisoformat(event["time"])
        if event["event"] == "execution_started":
            if first and last:
                total += (last - first).total_seconds()
            first = moment
        last = moment
    return total + ((last - first).total_seconds() if first and last else 0.0)
