"""The caps, whatever the schedule: concurrent calls, bills, kills between any two of them, resumes.

The bill is kept apart from the meter, as a provider keeps it: a call is billed once it was sent,
and it is sent only after its reservation is on disk. A kill loses all that was not.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagent.runtime.appender import whole_size
from dagent.runtime.journal import Journal
from dagent.runtime.meter import Meter, OutOfBudget

ROLES = ("planner", "generator")
UNITS = ("calls", "tokens", "money")
Amounts = dict[str, float]


@dataclass
class Call:
    key: str
    scopes: tuple[str, ...]
    worst: Amounts
    on_disk: Future[None]


@dataclass
class World:
    """A run over several sessions, and the provider that bills it."""

    path: Path
    caps: dict[str, Amounts]
    billed: list[tuple[tuple[str, ...], Amounts]] = field(default_factory=list)
    flying: list[Call] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        self.number = 0
        self.sent: set[str] = set()
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.path)
        self.meter = Meter(self.caps, self.journal)

    def reserve(self, role: str, round: int, worst: Amounts) -> None:
        self.number += 1
        key, scopes = f"call:{self.number}", (f"round:{round}", role)
        try:
            on_disk = self.meter.reserve_soon(key, scopes, **worst)
        except OutOfBudget:
            self.refused += 1
        else:
            self.flying.append(Call(key, scopes, worst, on_disk))

    def end(self, which: int, share: float, answered: bool) -> None:
        """A call comes back: billed by a share of its worst case, or failed for certain."""
        if not self.flying:
            return
        call = self.flying.pop(which % len(self.flying))
        self.send(call)
        bill = {unit: amount * share for unit, amount in call.worst.items()}
        bill["calls"] = 1
        if answered:
            self.billed.append((call.scopes, bill))
            self.meter.report(call.key, **bill)
        else:
            self.meter.report(call.key, **dict.fromkeys(call.worst, 0))

    def send(self, call: Call) -> None:
        call.on_disk.result()
        self.sent.add(call.key)

    def kill(self, share: float, torn: int) -> None:
        """What is in flight was sent or not; the file ends anywhere after what was waited for."""
        for call in self.flying:
            if share > 0.5:
                self.send(call)
                self.billed.append((call.scopes, call.worst))
        self.flying.clear()
        self.journal.close()
        certain, size = self.certain(), self.path.stat().st_size
        os.truncate(self.path, int(certain + (size - certain) * share))
        if torn:
            with self.path.open("ab") as file:
                file.write(b'{"event": "reser'[:torn])
        self.start()

    def certain(self) -> int:
        """Where the last reservation ends that a call waited for."""
        end = position = 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            position += len(line)
            event = json.loads(line)
            if event["event"] == "reserved" and event["key"] in self.sent:
                end = position
        return end

    def check(self) -> None:
        for scope, cap in self.caps.items():
            names = [f"round:{n}" for n in (1, 2)] if scope == "round" else [scope]
            for name in names:
                for unit, most in cap.items():
                    paid = sum(
                        bill.get(unit, 0)
                        for scopes, bill in self.billed
                        if name == "run" or name in scopes
                    )
                    assert paid <= most, f"{name} {unit}: {paid} of {most}"
                    assert paid <= self.meter.spent(unit, name) <= most


quarters = st.integers(0, 4).map(lambda n: n / 4)
reserve = st.tuples(
    st.just("reserve"),
    st.sampled_from(ROLES),
    st.integers(1, 2),
    st.fixed_dictionaries(
        {"calls": st.just(1), "tokens": st.integers(4, 40).map(lambda n: 4 * n)},
        optional={"money": st.integers(1, 8).map(lambda n: n / 2)},
    ),
)
end = st.tuples(st.just("end"), st.integers(0, 9), quarters, st.booleans())
kill = st.tuples(st.just("kill"), quarters, st.integers(0, 16))
schedules = st.lists(st.one_of(reserve, reserve, reserve, end, end, kill), max_size=25)
caps = st.dictionaries(
    st.sampled_from(("run", "round", *ROLES)),
    st.fixed_dictionaries(
        {},
        optional={
            "calls": st.integers(0, 12),
            "tokens": st.integers(0, 800),
            "money": st.integers(0, 20),
        },
    ),
    max_size=4,
)


def play(schedule: list[tuple[Any, ...]], caps: dict[str, Amounts]) -> World:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "journal.jsonl", caps)
        for name, *arguments in schedule:
            getattr(world, name)(*arguments)
            world.check()
        world.kill(1.0, 0)
        world.check()
        world.journal.close()
        assert whole_size(world.path) == world.path.stat().st_size
        return world


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is cut where a kill would leave it, so that waiting for the disk adds nothing."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


quick = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(schedules, caps)
@settings(quick, max_examples=300)
def test_no_schedule_exceeds_a_cap(
    quick_disk: None, schedule: list[tuple[Any, ...]], caps: dict[str, Amounts]
) -> None:
    play(schedule, caps)


@pytest.mark.slow
@given(schedules, caps)
@settings(quick, max_examples=10_000)
def test_no_schedule_of_ten_thousand_exceeds_a_cap(
    quick_disk: None, schedule: list[tuple[Any, ...]], caps: dict[str, Amounts]
) -> None:
    play(schedule, caps)


def test_the_schedules_do_reach_the_caps(quick_disk: None) -> None:
    """What the property would miss if it never came near a cap, and that caps are used in full."""
    calls = [("reserve", "planner", 1, {"calls": 1, "tokens": 4})] * 9
    ends = [("end", 0, 1.0, True)] * 9
    world = play([*calls, ("kill", 1.0, 3), *calls, *ends], {"run": {"calls": 10}})
    assert world.refused == 8
    assert len(world.billed) == 10


def test_threads_that_reserve_and_settle_at_once_use_a_cap_up_and_never_more(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    meter = Meter({"run": {"tokens": 10_000}, "generator": {"calls": 150}}, journal)

    def work(number: int) -> float:
        rng, paid = random.Random(number), 0.0
        for n in range(50):
            key, worst = f"{number}.{n}", rng.randrange(50, 100)
            try:
                meter.reserve_soon(key, ("generator",), calls=1, tokens=worst).result()
            except OutOfBudget:
                continue
            used = rng.randrange(worst)
            paid += used
            assert meter.spent("tokens") <= 10_000
            meter.report(key, calls=1, tokens=used)
        return paid

    with ThreadPoolExecutor(8) as pool:
        paid = sum(pool.map(work, range(8)))
    assert meter.spent("tokens") == paid <= 10_000
    assert meter.spent("calls") == 150
    journal.close()
    again = Meter({}, Journal(journal.path))
    assert (again.spent("tokens"), again.spent("calls", "generator")) == (paid, 150)
