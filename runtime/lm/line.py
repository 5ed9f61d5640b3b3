"""The line to one endpoint: its wire, its pace, and what is known of its health."""

from __future__ import annotations

import asyncio
import atexit
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.lm.answers import Answer
from dagent.runtime.lm.batch_log import BatchLog
from dagent.runtime.lm.batches import BatchWire
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import Fatal, Unavailable, Unusable
from dagent.runtime.lm.loop import loop
from dagent.runtime.lm.pace import Adaptive, Pace, Patience, Unpaced
from dagent.runtime.lm.wire import HttpWire, LiteLLMWire, Trouble, Wire

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger(__name__)
Sleep = Callable[[float], Awaitable[None]]
# The name of an attempt, and what to call if it failed, with whether the server may have billed it.
Attempt = tuple[str, Callable[[bool], None]]


class Line:
    """Used on the event loop only. What is fatal once is fatal for every later call."""

    def __init__(
        self,
        wire: Wire,
        model: str,
        patience: Patience,
        pace: Pace | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._wire = wire
        self._model = model
        self.patience = patience
        self._pace: Pace = pace or Adaptive()
        self._clock = clock
        self._sleep = sleep
        self._silent_since: float | None = None
        self._told = False  # that it is silent
        self._doubted = False
        self._not_before = 0.0
        # Since the last answer: failures, and pauses one after the other.
        self._failed = self._pauses = 0
        self._fatal: Fatal | None = None
        self._writes: WeakKeyDictionary[Future[None], asyncio.Future[None]] = WeakKeyDictionary()

    async def ask(
        self, body: bytes, max_tokens: int, attempt: Callable[[], Awaitable[Attempt]]
    ) -> Answer:
        """The answer, after as many tries as patience allows.

        ``attempt`` is awaited before each try, so that its worst case is paid for.

        Raises:
            Fatal, Unavailable, Unusable: there is no answer.
            OutOfBudget: ``attempt`` raised it.
        """
        failures = losses = 0
        while True:
            place = await self._enter()
            answered: bool | None = None
            try:
                name, failed = await attempt()
                timeout = self.patience.timeout(max_tokens)
                started = self._clock()
                try:
                    answer = await self._wire.send(body, timeout, name)
                except Trouble as trouble:
                    failed(trouble.kind == "lost" or trouble.held)
                    self._raise_if_final(trouble)
                    answered = False
                    failures += 1
                    losses += trouble.kind == "lost"
                    if failures >= self.patience.tries or losses >= self.patience.losses:
                        raise Unusable(f"no answer in {failures} tries: {trouble}") from None
                    wait = self._wait(trouble, failures)
                except BaseException:  # cancelled: the server may go on, and bill
                    failed(True)
                    raise
                else:
                    answered = self._clock() - started < timeout / 2
                    self._silent_since, self._told = None, False
                    self._failed = self._pauses = 0
                    return answer
            finally:
                self._pace.leave(place, answered)
            await self._sleep(wait)

    def doubt(self) -> None:
        """Say, once, that the server's count of a call's tokens is not believed."""
        if not self._doubted:
            self._doubted = True
            _log.warning(
                "`%s` counts more tokens in a call than it can have; such a call is charged the "
                "most that it could take",
                self._model,
            )

    async def on_disk(self, written: Future[None]) -> None:
        """Wait for a write; all who wait for the same one wake the loop up only once."""
        shared = self._writes.get(written)
        if shared is None:
            shared = self._writes[written] = asyncio.wrap_future(written)
        await asyncio.shield(shared)

    async def _enter(self) -> int:
        """A place, once the pause that the server asked of everybody is over."""
        while True:
            if self._fatal is not None:
                raise self._fatal
            place = await self._pace.enter()
            pause = self._not_before - self._clock()
            if pause <= 0:
                return place
            self._pace.leave(place, None)
            await self._sleep(pause)

    def _wait(self, trouble: Trouble, failures: int) -> float:
        """Seconds until the call is tried again. A server that answers others is not down, so their
        answers shorten it. Nobody goes before a server's own time is up; one that is busy and
        names none is given longer each time, else thousands of calls use up their tries on it."""
        self._failed += 1
        now, after = self._clock(), trouble.after
        if after is None and trouble.kind == "busy":
            self._pauses += now >= self._not_before
            after = self.patience.delay(self._pauses)
        if after is not None:
            self._not_before = max(self._not_before, now + after)
        return max(self.patience.delay(min(failures, self._failed)), trouble.after or 0.0)

    def _raise_if_final(self, trouble: Trouble) -> None:
        """Raise what ends the call at once, whatever is tried."""
        if trouble.kind == "request":
            raise Unusable(f"the server refused the request: {trouble}") from None
        if trouble.kind in _FATAL:
            code, what, remedy = _FATAL[trouble.kind]
            self._fatal = Fatal(
                Diagnostic(code, what.format(self._model) + f": {trouble}", suggestion=remedy)
            )
            raise self._fatal from None
        now = self._clock()
        if self._silent_since is None:
            self._silent_since = now
        silent = now - self._silent_since
        asked = trouble.after or 0.0
        if silent + asked > self.patience.notice and not self._told:
            self._told = True
            how = f"has not answered for {silent:.0f} s"
            how = f"asks to wait {asked:.0f} s" if asked > silent else how
            _log.warning(
                "`%s` %s: %s; tried again until it was silent for %.0f s",
                self._model, how, trouble, self.patience.silence,
            )  # fmt: skip
        if trouble.held or silent + asked > self.patience.silence:
            how = "does not answer" if trouble.held else f"has not answered for {silent:.0f} s"
            how = f"asks to wait {asked:.0f} s" if asked > self.patience.silence else how
            raise Unavailable(
                Diagnostic(
                    "E855",
                    f"`{self._model}` {how}: {trouble}",
                    suggestion="run the same command again once the server answers; every answer "
                    "so far is kept and not paid for again",
                )
            ) from None


_FATAL = {
    "auth": (
        "E851",
        "the server refused the key for `{}`",
        "check the key: it may be mistyped, expired, or lack access to the model",
    ),
    "keyless": (
        "E851",
        "the server wants a key for `{}`, and none was sent",
        "a key goes to an `api_base` of yours only where the spec says so: "
        "`param key { env = NAME_OF_THE_VARIABLE  secret = true }`, and `api_key = $key` beside it",
    ),
    "model": (
        "E853",
        "the server does not have `{}`",
        "check the model's name and `api_base`; the provider lists its names",
    ),
    "credit": (
        "E854",
        "the account for `{}` has no credit left",
        "top it up and run the same command again; every answer so far is kept",
    ),
    "batch": (
        "E859",
        "the server does not take the batch for `{}`",
        "follow its message, or remove `batch = true`: not every server that speaks OpenAI's "
        "language has its batch endpoints",
    ),
    "cancelled": (
        "E860",
        "somebody cancelled a batch for `{}`",
        "run the same command again to ask what it left open; every answer it gave is kept",
    ),
}


@cache
def line(
    model: str,
    api_base: str | None,
    api_key_env: str | None,
    patience: Patience,
    batches: BatchLog | None = None,
) -> Line:
    """The one line to a model at an address; with ``batches``, of a run that asks in batches."""
    endpoint = Endpoint(model, api_base, api_key_env)
    if batches is not None:
        batching = BatchWire(endpoint, _session(), batches, patience)
        return Line(batching, model, patience.of_batches, Unpaced())
    wire: Wire = HttpWire(endpoint, _session()) if endpoint.compatible else LiteLLMWire(endpoint)
    return Line(wire, model, patience)


@cache
def _session() -> aiohttp.ClientSession:
    """Connections for all lines: as many as their paces allow."""

    async def make() -> aiohttp.ClientSession:
        import aiohttp

        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60))

    session = asyncio.run_coroutine_threadsafe(make(), loop()).result()
    atexit.register(lambda: asyncio.run_coroutine_threadsafe(session.close(), loop()).result(5))
    return session
