"""Lanes: where each variant of a plan stands while all of them are walked together.

A plan without arms has one lane, named ``""``. With arms every variant has a lane: its own caps,
its own clock, its own last gate. A step that several variants need is done once and charged to
each of them, as if each had done it alone: otherwise an arm that shares a step could spend more
than one that does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dagent.compiler.plan import Plan, Step, local, users
from dagent.runtime.accelerators import BASE, Holding, free_key
from dagent.runtime.journal import Event, Journal
from dagent.runtime.meter import Meter, OutOfBudget

Clock = Callable[[], float]


@dataclass
class Stopwatch:
    """Seconds that one lane's steps took; stands still while other lanes are at work."""

    clock: Clock
    before: float = 0.0
    since: float | None = None

    def __call__(self) -> float:
        return self.before + (self.clock() - self.since if self.since is not None else 0.0)

    def start(self) -> None:
        self.since = self.clock()

    def stop(self) -> None:
        self.before, self.since = self(), None


@dataclass
class Lane:
    """``rounds`` counts the rounds reserved; ``stopped`` says why there are no more."""

    id: str
    meter: Meter
    watch: Stopwatch | None = None
    rounds: int = 0
    last_gate: Step | None = None
    stopped: str | None = None


@dataclass(frozen=True)
class _Labelled:
    """A journal as one lane's meter sees it."""

    journal: Journal
    lane: str

    @property
    def events(self) -> list[Event]:
        return [e for e in self.journal.events if e.get("variant") == self.lane]

    def append(self, event: str, **fields: Any) -> Event:
        return self.journal.append(event, variant=self.lane, **fields)

    def write(self, event: str, **fields: Any) -> Future[None]:
        return self.journal.write(event, variant=self.lane, **fields)


@dataclass
class Lanes:
    """All lanes of an execution; knows which of them need a step, and which are at work."""

    by_id: Mapping[str, Lane]
    users: Mapping[str, tuple[str, ...]]
    clock: Clock = time.monotonic
    held: float = 0.0  # seconds of accelerators that the step at work took so far
    _active: list[Lane] = field(default_factory=list)
    _step: Step | None = None
    _holdings: list[tuple[Lane, Holding]] = field(default_factory=list)

    def of(self, step: Step) -> list[Lane]:
        """The lanes that need a step; none for what compares them."""
        if "" in self.by_id:
            return [self.by_id[""]]
        return [self.by_id[id] for id in self.users[step.id]]

    @contextmanager
    def at_work(self, lanes: Sequence[Lane], step: Step) -> Iterator[None]:
        self._active, self._step, self.held = list(lanes), step, 0.0
        for lane in lanes:
            lane.meter.within = f"round:{step.round}" if step.round else None
        watches = [lane.watch for lane in lanes if lane.watch]
        for watch in watches:
            watch.start()
        try:
            yield
        finally:
            for watch in watches:
                watch.stop()
            for lane in lanes:
                lane.meter.within = None

    @contextmanager
    def holding(self, devices: int) -> Iterator[None]:
        """The step at work holds so many accelerators within; each of its lanes pays for them, and
        one that cannot any longer stops while the others go on."""
        step, since = self._step, self.clock()
        assert step is not None
        scopes = {None: (), 0: (BASE,)}.get(step.round, (f"round:{step.round}",))
        for lane in self._active:
            if not (step.round and lane.stopped):
                key = free_key(lane.meter, step.id)
                holding = Holding(lane.meter, key, scopes, devices, self.clock, since)
                self._holdings.append((lane, holding))
        paying = list(self._holdings)
        try:
            yield
        finally:
            self._holdings.clear()
            self.held += max((holding.end() for _, holding in paying), default=0.0)

    def _pay(self) -> float | None:
        """For accelerators; seconds until nobody can, ``None`` without a cap.

        Raises:
            OutOfBudget: nobody can.
        """
        ends, refused = [], None
        for lane, holding in list(self._holdings):
            try:
                ends.append(holding.check())
            except OutOfBudget as out:
                self._holdings.remove((lane, holding))
                lane.stopped, refused = lane.stopped or f"budget spent: {out}", out
        if refused is not None and not ends:
            raise refused
        known = [end for end in ends if end is not None]
        return max(known) if known and len(known) == len(ends) else None

    def check(self, task: str) -> float | None:
        """Seconds until a cap on time ends what is at work; ``None`` without one.

        Raises:
            OutOfBudget: it is reached.
        """
        left = self.wall_left
        if left is not None and left <= 0:
            name = self._active[0].meter.time_left("wall") if self._active else None
            raise OutOfBudget(f"{name[1] if name else 'run wall'}: the time ran out during {task}")
        gpu = self._pay()
        return min((x for x in (left, gpu) if x is not None), default=None)

    @property
    def wall_left(self) -> float | None:
        """Seconds until no lane at work has any time left; ``None`` without a cap."""
        left = [lane.meter.wall_left for lane in self._active or self.by_id.values()]
        known = [seconds for seconds in left if seconds is not None]
        return max(known) if known and len(known) == len(left) else None

    def spent(self, unit: str) -> float:
        """Of the first lane at work: what a person watching wants to know."""
        lane = self._active[0] if self._active else next(iter(self.by_id.values()))
        return lane.meter.spent(unit)


def lanes(plan: Plan, journal: Journal, clock: Clock = time.monotonic) -> Lanes:
    """The lanes of a plan, with what earlier sessions of the execution spent."""
    if not plan.variants:
        return Lanes({"": Lane("", Meter(plan.budget, journal, clock))}, {}, clock)
    found = {}
    for variant in plan.variants:
        watch = Stopwatch(clock, _worked(journal.events, variant.id))
        labelled: Any = _Labelled(journal, variant.id)
        meter = Meter(plan.budget, labelled, watch, before=watch.before)
        found[variant.id] = Lane(variant.id, meter, watch)
    return Lanes(found, users(plan), clock)


def meter_of(lanes: list[Lane], step: Step) -> Any:
    """The meter of a step that these lanes need."""
    return lanes[0].meter if len(lanes) == 1 else Shared(lanes, bool(step.round))


def _worked(events: Sequence[Event], variant: str) -> float:
    return sum(
        float(e["seconds"])
        for e in events
        if e["event"] == "step_finished" and not e["reused"] and variant in e.get("variants", ())
    )


class Shared:
    """The meter of a step that several lanes need: whatever is charged is charged to each.

    A lane that cannot afford the step stops; the others go on with it. One that stopped before
    has no part in a round, but in what follows the rounds.
    """

    def __init__(self, lanes: Sequence[Lane], in_round: bool) -> None:
        self._lanes, self._in_round = lanes, in_round
        self._out: set[str] = set()

    def reserve(self, key: str, scopes: tuple[str, ...] = (), **amounts: float) -> None:
        self._each(lambda meter: meter.reserve(key, scopes, **amounts))

    def reserve_soon(
        self, key: str, scopes: tuple[str, ...] = (), **amounts: float
    ) -> Future[None]:
        given: Future[None] = self._each(lambda m: m.reserve_soon(key, scopes, **amounts))
        return given

    def settle(self, key: str, **amounts: float) -> None:
        for meter in self._holders(key):
            meter.settle(key, **amounts)

    def report(self, key: str, **amounts: float) -> None:
        for meter in self._holders(key):
            meter.report(key, **amounts)

    def spent(self, unit: str, scope: str = "run") -> float:
        return max(meter.spent(unit, scope) for meter in self._meters())

    def charged(self, key: str) -> Mapping[str, float]:
        holders = self._holders(key)
        return holders[0].charged(key) if holders else {}

    def left(self, unit: str, scope: str = "run") -> float | None:
        left = [meter.left(unit, scope) for meter in self._meters()]
        known = [amount for amount in left if amount is not None]
        return max(known) if known and len(known) == len(left) else None

    def caps(self, unit: str) -> bool:
        return any(meter.caps(unit) for meter in self._meters())

    @property
    def wall_left(self) -> float | None:
        left = [meter.wall_left for meter in self._meters()]
        known = [seconds for seconds in left if seconds is not None]
        return max(known) if known and len(known) == len(left) else None

    def _meters(self) -> list[Meter]:
        return [lane.meter for lane in self._going()]

    def _going(self) -> list[Lane]:
        lanes = [lane for lane in self._lanes if lane.id not in self._out]
        return [lane for lane in lanes if not (self._in_round and lane.stopped)]

    def _holders(self, key: str) -> list[Meter]:
        return [lane.meter for lane in self._lanes if lane.meter.charged(key)]

    def _each(self, charge: Callable[[Meter], Any]) -> Any:
        """What the last lane's charge gave.

        Raises:
            OutOfBudget: no lane can afford it.
        """
        given, refused = None, None
        for lane in self._going():
            try:
                given = charge(lane.meter)
            except OutOfBudget as out:
                self._out.add(lane.id)
                lane.stopped, refused = lane.stopped or f"budget spent: {out}", out
        if refused is not None and not self._meters():
            raise refused
        return given


def of_variant(events: Sequence[Event], variant: str) -> list[Event]:
    """The journal as if the variant had been executed alone: its events, steps by local names, and
    by their own as ``planned``."""
    found = []
    for event in events:
        users = event.get("variants")
        if event.get("variant", variant) != variant or (users is not None and variant not in users):
            continue
        own = event.get("by_variant", {}).get(variant, {})
        alone = {k: v for k, v in event.items() if k not in ("variants", "by_variant")} | own
        if "step" in alone:
            alone |= {"planned": alone["step"], "step": local(alone["step"])}
        found.append(alone)
    return found
