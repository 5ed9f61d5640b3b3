"""How many calls an endpoint is given at once, and how long to wait after it failed.

The number grows by one with each answer until the endpoint first objects, and then as TCP does:
by one in a whole round of answers, halved when it objects (Chiu and Jain 1989, "Analysis of the
increase and decrease algorithms for congestion avoidance"). A failure is an objection only if
fewer calls at once are known to fail less, or it is not known yet: a server that fails three times
in ten whoever asks would else be asked one call at a time, for hours. Back-off is exponential with
full jitter (Brooker 2015, "Exponential backoff and jitter"), and never earlier than Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

BATCH_TRIES = 4
OBJECTS = 3.0  # times the failures for an answer that half as many calls at once have
REMEMBERED = 64  # calls, of each limit up to a factor of two


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, but for ``tries``.

    An endpoint that answers nobody for ``silence`` is unavailable; after ``notice`` somebody who
    watches is told. A call that failed ``tries``
    times, or was lost ``losses`` times after the server had it (and may have billed it), is given
    up, though others succeed. A call may take ``connect`` plus ``per_token`` for each token that
    it may answer with.

    A batch is sent once no call has joined it for ``linger``, and has ``window`` to end.
    """

    first: float = 0.5
    most: float = 60.0
    silence: float = 600.0
    notice: float = 20.0
    tries: int = 20
    losses: int = 4
    connect: float = 30.0
    per_token: float = 0.05
    linger: float = 0.5
    window: float = 25 * 3600.0  # providers give themselves 24 hours

    def timeout(self, max_tokens: int) -> float:
        return self.connect + self.per_token * max_tokens

    def delay(self, failures: int, jitter: Callable[[], float] = random.random) -> float:
        """Seconds to wait after the n-th failure, from 1."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 16)) * (0.5 + 0.5 * jitter())

    def look(self, looks: int) -> float:
        """Seconds to wait before a batch is looked at again: longer, the longer it takes."""
        return min(self.most, self.first * 1.5 ** min(looks, 64))

    @property
    def of_batches(self) -> Patience:
        """For calls that go in batches, each of which may take its window: that the server is
        silent in between is found out by asking for the batch."""
        tries, silence = min(self.tries, BATCH_TRIES), self.window + self.silence
        return replace(self, connect=self.window, per_token=0.0, tries=tries, silence=silence)


class Pace(Protocol):
    """How many calls may run at once; used by one event loop only."""

    async def enter(self) -> int:
        """Wait for a place; returns the call's number, which ``leave`` takes."""
        ...

    def leave(self, call: int, answered: bool | None) -> None:
        """Give the place back: answered in good time, overloaded, or ``None``, unknown."""
        ...


class Unpaced:
    """Any number at once: a batch waits for nobody but the provider's queue."""

    async def enter(self) -> int:
        return 0

    def leave(self, call: int, answered: bool | None) -> None: ...


class Adaptive:
    """As many as an endpoint bears. ``limit`` is how many calls may run now."""

    def __init__(self, start: float = 128, most: float = 256) -> None:
        self.limit = start
        self._most = most
        self._growing = True
        self._active = 0
        self._calls = 0
        self._halved_at = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Failures and answers, by the limit's power of two.
        self._came: defaultdict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])

    async def enter(self) -> int:
        while self._active >= int(self.limit):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                self._wake()
                raise
        self._active += 1
        self._calls += 1
        return self._calls

    def leave(self, call: int, answered: bool | None) -> None:
        """Calls that began before the last halving do not halve again."""
        self._active -= 1
        if answered is not None and call > self._halved_at:
            self._remember(answered)
        if answered:
            self.limit = min(self._most, self.limit + (1 if self._growing else 1 / self.limit))
        elif answered is False and call > self._halved_at and self._objects():
            self.limit, self._growing = max(1.0, self.limit / 2), False
            self._halved_at = self._calls
        self._wake()

    def _remember(self, answered: bool) -> None:
        came = self._came[int(self.limit).bit_length()]
        came[answered] += 1
        if sum(came) > REMEMBERED:
            came[:] = [n / 2 for n in came]

    def _objects(self) -> bool:
        """Whether half as many calls would fail less, as far as is known."""
        power = int(self.limit).bit_length()
        here, fewer = (
            came[False] / (came[True] + 1)
            for came in map(self._came.__getitem__, (power, power - 1))
        )
        return here > OBJECTS * fewer

    def _wake(self) -> None:
        free = int(self.limit) - self._active
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for: a number or an HTTP date (RFC 9110, 10.2.3).

    >>> retry_after("12"), retry_after("soon"), retry_after(None)
    (12.0, None, None)
    >>> retry_after("Wed, 21 Oct 2015 07:28:00 GMT", datetime(2015, 10, 21, 7, 27, tzinfo=UTC))
    60.0
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - (now or datetime.now(UTC))).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if seconds < float("inf") else None
