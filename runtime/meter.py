"""The budget meter: reserve before dispatch, settle after; both in the journal.

A reservation is made under a key that names the work: a step, or one attempt at a call of a
language model. Reserving the same key again replaces what it held, so a step that was killed
between reserving and settling is charged for the repeated work once. A call is another matter: what
was in flight when a run died may have been answered and billed, so its attempt keeps what it
reserved and the next one has a key of its own (``runtime/lm/calls.py``).
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

from dagent.runtime.journal import Event, Journal

# The scope of what counts towards a cap although another paid for it.
ADOPTED = "adopted"

Caps = Mapping[str, Mapping[str, float]]


class OutOfBudget(Exception):
    """A cap would be exceeded. The run ends with what it has; ``str`` says which cap."""


def role_among(scopes: Sequence[str]) -> str:
    """The role that a call was for; what else it counts towards is named with a colon, as
    ``round:3`` and ``attempt:2``."""
    return next((scope for scope in scopes if ":" not in scope and scope != ADOPTED), "")


@dataclass(frozen=True, slots=True)
class _Held:
    scopes: tuple[str, ...]
    amounts: Mapping[str, float]


class Meter:
    """Thread-safe. ``caps`` are the plan's: ``{"run": {"calls": …}, "round": {…}, …}``."""

    def __init__(
        self,
        caps: Caps,
        journal: Journal,
        clock: Callable[[], float] = time.monotonic,
        before: float | None = None,
    ) -> None:
        """``before`` are the seconds of earlier sessions; by default the journal says them."""
        self._caps = caps
        self._journal = journal
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._totals: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._before = elapsed(journal.events) if before is None else before
        self._started = clock()
        self._began: dict[str, float] = {}
        self.within: str | None = None  # the round at work, as a scope; outside, its caps are none
        self.kept: Mapping[str, float] = {}  # time that rounds must leave for what follows them
        for event in journal.events:
            if event["event"] in ("reserved", "settled"):
                self._hold(event["key"], _Held(tuple(event["scopes"]), event["amounts"]))
                if "at" in event:
                    self._began[event["key"]] = event["at"]

    def reserve(self, key: str, scopes: tuple[str, ...] = (), **amounts: float) -> None:
        """Set ``amounts`` aside for ``key``, against the run's caps and those of ``scopes``.

        A scope is ``"round:3"`` (capped by ``per round``) or a role's name.

        Raises:
            OutOfBudget: if any cap would be exceeded; nothing is then reserved.
        """
        with self._lock:
            self._afford(key, scopes, amounts)
            self._hold(key, _Held(scopes, dict(amounts)))
            self._journal.append("reserved", key=key, scopes=list(scopes), amounts=dict(amounts))

    def begin(self, number: int) -> None:
        """Reserve a round, and start its clock unless an earlier session did.

        Raises:
            OutOfBudget: there are no more.
        """
        key, at = f"round:{number}", round(self.elapsed, 3)
        with self._lock:
            self._afford(key, (), {"rounds": 1})
            self._hold(key, _Held((), {"rounds": 1}))
            self._began[key] = at
            self._journal.append("reserved", key=key, scopes=[], amounts={"rounds": 1}, at=at)

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
            used = {**dict.fromkeys(held.amounts, 0), **amounts}
            self._hold(key, _Held(held.scopes, used))
            self._journal.append("settled", key=key, scopes=list(held.scopes), amounts=used)

    def reserve_soon(
        self, key: str, scopes: tuple[str, ...] = (), **amounts: float
    ) -> Future[None]:
        """``reserve`` without the wait: the work may start once the future is done.

        Raises:
            OutOfBudget: as ``reserve`` does, at once.
        """
        with self._lock:
            self._afford(key, scopes, amounts)
            self._hold(key, _Held(scopes, dict(amounts)))
            return self._journal.write(
                "reserved", key=key, scopes=list(scopes), amounts=dict(amounts)
            )

    def report(self, key: str, **amounts: float) -> None:
        """Settle by what somebody else's bill says, even where that is more than was reserved.

        Nothing waits for the disk: a settlement that is lost leaves the reservation, which is
        more. ``key`` may be one that an earlier session reserved.
        """
        with self._lock:
            scopes = self._held[key].scopes
            self._hold(key, _Held(scopes, amounts))
            self._journal.write("settled", key=key, scopes=list(scopes), amounts=amounts)

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

    def caps(self, unit: str) -> bool:
        """Whether anything caps the unit."""
        return any(unit in caps for caps in self._caps.values())

    @property
    def elapsed(self) -> float:
        """Seconds of wall time, earlier sessions of the same execution included."""
        return self._before + self._clock() - self._started

    def time_left(self, unit: str) -> tuple[float, str] | None:
        """Seconds of ``wall`` or ``gpu`` until a cap, and which cap; ``None`` without one."""
        ends = []
        if (cap := self._caps.get("run", {}).get(unit)) is not None:
            kept = self.kept.get(unit, 0.0) if self.within else 0.0
            ends.append((cap - kept - self._time(unit, "run"), f"run {unit}"))
        if self.within and (cap := self.round_cap(unit)) is not None:
            ends.append((cap - self._time(unit, self.within), f"{self.within} {unit}"))
        return min(ends, default=None)

    @property
    def wall_left(self) -> float | None:
        """Seconds until the first cap on wall time; ``None`` without one."""
        ends = self.time_left("wall")
        return None if ends is None else ends[0]

    def round_cap(self, unit: str) -> float | None:
        return self._caps.get("round", {}).get(unit)

    def _time(self, unit: str, scope: str) -> float:
        if unit != "wall":
            return self.spent(unit, scope)
        return self.elapsed - self._began.get(scope, 0.0)

    def _spent(self, scope: str, unit: str) -> float:
        return self._totals[scope, unit]

    def _afford(self, key: str, scopes: tuple[str, ...], amounts: Mapping[str, float]) -> None:
        ends = self.time_left("wall") if "calls" in amounts else None
        if ends is not None and ends[0] <= 0:  # nothing else stops who waits for answers
            raise OutOfBudget(f"{ends[1]}: the time is spent")
        held = self._held.get(key)
        for scope in ("run", *scopes):
            for unit, amount in amounts.items():
                cap = self._caps.get(scope.partition(":")[0], {}).get(unit)
                if cap is None:
                    continue
                spent = self._spent(scope, unit)
                if held and (scope == "run" or scope in held.scopes):
                    spent -= held.amounts.get(unit, 0)
                if spent + amount > cap:
                    raise OutOfBudget(
                        f"{scope} {unit}: {spent:g} of {cap:g} spent, {amount:g} more needed"
                    )

    def _hold(self, key: str, new: _Held) -> None:
        for held, sign in ((self._held.get(key), -1), (new, 1)):
            if held is not None:
                for scope in ("run", *held.scopes):
                    for unit, amount in held.amounts.items():
                        self._totals[scope, unit] += sign * amount
        self._held[key] = new


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
