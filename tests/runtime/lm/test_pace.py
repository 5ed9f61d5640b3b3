"""How many calls servers of several kinds are given at once, and how long a thousand calls take
then: the line and its pace as they are, a wire that is a function of the time, a clock that jumps.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dagent.runtime.lm.failures import Unusable
from dagent.runtime.lm.line import Attempt, Line
from dagent.runtime.lm.pace import Adaptive, Patience
from dagent.runtime.lm.wire import Trouble

CALLS = 1000


class Jumping(selectors.DefaultSelector):
    """Nothing to wait for but timers, and no need to wait for those."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


class Clock(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


class Served:
    """A ``Wire``. ``reply`` is told the time and how many ask now; it gives the seconds that an
    answer takes, or raises."""

    def __init__(self, reply: Callable[[float, int], float]) -> None:
        self.reply, self.asked, self.now, self.most = reply, 0, 0, 0

    async def send(self, body: bytes, timeout: float, call: str) -> dict[str, Any]:
        self.asked += 1
        self.now += 1
        try:
            await asyncio.sleep(self.reply(asyncio.get_running_loop().time(), self.now))
        finally:
            self.now -= 1
        return {}


def played(reply: Callable[[float, int], float]) -> tuple[float, int, Served]:
    """Seconds that all calls took, how many were answered, and the server."""
    random.seed(0)
    loop, served = Clock(), Served(reply)
    line = Line(served, "m", Patience(), Adaptive(), clock=loop.time)
    answered = 0

    async def attempt() -> Attempt:
        return "a", lambda billed: None

    async def call() -> None:
        nonlocal answered
        try:
            await line.ask(b"", 1000, attempt)
            answered += 1
        except Unusable:
            pass

    async def everybody() -> None:
        calls: list[Coroutine[Any, Any, None]] = [call() for _ in range(CALLS)]
        await asyncio.gather(*calls)

    try:
        loop.run_until_complete(everybody())
        return loop.time(), answered, served
    finally:
        loop.close()


def failing(share: float, seconds: float) -> Callable[[float, int], float]:
    rng = random.Random(1)

    def reply(now: float, asking: int) -> float:
        if rng.random() < share:
            raise Trouble("down", "HTTP 502")
        return seconds

    return reply


@pytest.mark.parametrize(("share", "most"), [(0.05, 250.0), (0.33, 400.0), (0.67, 600.0)])
def test_a_server_that_fails_whoever_asks_is_not_asked_one_call_at_a_time(
    share: float, most: float
) -> None:
    """One after the other they take 3,000 s; with two thirds failing they once took 4,500."""
    took, answered, _ = played(failing(share, 3.0))
    assert answered == CALLS
    assert took < most


@pytest.mark.parametrize("room", [1, 4, 16])
@pytest.mark.parametrize("kind", ["busy", "down"])
def test_a_server_with_room_for_some_is_given_about_as_many(room: int, kind: Any) -> None:
    def reply(now: float, asking: int) -> float:
        if asking > room:
            raise Trouble(kind, "HTTP 429")
        return 3.0

    took, answered, served = played(reply)
    assert answered == CALLS
    best = CALLS / room * 3.0
    assert took < 1.25 * best
    assert served.asked < (2.5 if room == 1 else 1.5) * CALLS


@pytest.mark.parametrize("says", [None, 5.0], ids=["silent", "Retry-After"])
def test_a_rate_limit_costs_time_and_no_call(says: float | None) -> None:
    """Sixty in a minute. A server that does not say how long to wait once cost a call in ten."""
    given: dict[int, int] = {}

    def reply(now: float, asking: int) -> float:
        minute = int(now // 60)
        given[minute] = given.get(minute, 0) + 1
        if given[minute] > 60:
            raise Trouble("busy", "HTTP 429", says)
        return 2.0

    took, answered, served = played(reply)
    assert answered == CALLS
    assert took < 1.2 * 60 * CALLS / 60
    assert served.asked < 3 * CALLS


def test_a_server_that_was_gone_is_given_as_many_as_before() -> None:
    def reply(now: float, asking: int) -> float:
        if 5 < now < 65 or asking > 16:
            raise Trouble("down", "HTTP 503")
        return 3.0

    took, answered, _ = played(reply)
    assert answered == CALLS
    assert took < 60 + 1.5 * CALLS / 16 * 3.0
