"""How many calls an endpoint is given at once, and how long to wait after it failed.

The number grows by one with each answer until the endpoint first objects, and then as TCP does:
by one in a whole round of answers, halved when it objects (Chiu and Jain 1989, "Analysis of the
increase and decrease algorithms for congestion avoidance"). Back-off is exponential with full
jitter (Brooker 2015, "Exponential backoff and jitter"), and never earlier than Retry-After.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, but for ``tries``.

    An endpoint that answers nobody for ``silence`` is unavailable. A call that failed ``tries``
    times, or was lost ``losses`` times after the server had it (and may have billed it), is given
    up, though others succeed. A call may take ``connect`` plus ``per_token`` for each token that
    it may answer with.
    """

    first: float = 0.5
    most: float = 60.0
    silence: float = 600.0
    tries: int = 20
    losses: int = 4
    connect: float = 30.0
    per_token: float = 0.05

    def timeout(self, max_tokens: int) -> float:
        return self.connect + self.per_token * max_tokens

    def delay(self, failures: int, jitter: Callable[[], float] = random.random) -> float:
        """Seconds to wait after the n-th failure, from 1."""
        return min(self.most, self.first * 2.0 ** min(failures - 1, 16)) * (0.5 + 0.5 * jitter())


class Pace:
    """Of one endpoint; used by one event loop only. ``limit`` is how many calls may run now."""

    def __init__(self, start: float = 128, most: float = 256) -> None:
        self.limit = start
        self._most = most
        self._growing = True
        self._active = 0
        self._calls = 0
        self._halved_at = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> int:
        """Wait for a place; returns the call's number, which ``leave`` takes."""
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
        """Give the place back: answered in good time, or overloaded, or ``None``: it says nothing.

        Calls that began before the last halving do not halve again.
        """
        self._active -= 1
        if answered:
            self.limit = min(self._most, self.limit + (1 if self._growing else 1 / self.limit))
        elif answered is False and call > self._halved_at:
            self.limit, self._growing = max(1.0, self.limit / 2), False
            self._halved_at = self._calls
        self._wake()

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
