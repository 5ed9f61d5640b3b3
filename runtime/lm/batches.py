"""Waves of calls as batches of the provider's: OpenAI's ``/files`` and ``/batches``.

Calls that arrive together become one file; the batch is followed until it ends, and each call gets
its own line of what came out. A batch outlives the session that sent it: its attempts are in the
log before it begins, and a later session follows it instead of sending it again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from dagent.runtime.lm.answers import Answer
from dagent.runtime.lm.batch_log import Batch, BatchLog
from dagent.runtime.lm.batch_results import CODES, Results, read
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import told
from dagent.runtime.lm.pace import Patience
from dagent.runtime.lm.wire import SHOWN, Kind, Trouble, exchange

if TYPE_CHECKING:
    import aiohttp

_log = logging.getLogger(__name__)
T = TypeVar("T")
State = Mapping[str, Any]  # of a batch, as the provider tells it

CHATS = "/v1/chat/completions"
# What OpenAI takes in one file is twice as large.
REQUESTS, BYTES = 50_000, 100_000_000
TRANSFER = 600.0  # seconds for a file to go up or come down
PAGES = 20  # of a hundred batches each, searched for one whose id is not known
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
ON_ITS_WAY = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
# What an attempt that has no line comes to, by how its batch ended: only a batch that was completed
# may have billed it.
_MISSING: dict[str, tuple[Kind, str]] = {
    "completed": ("lost", "has no line for this call"),
    "expired": ("down", "expired before this call was answered"),
    "cancelled": ("cancelled", "was cancelled at the provider"),
}


class _Full(Exception):
    """The provider's queue has no room for a batch of this size."""


@dataclass
class _Flight:
    """A batch on its way, and how many wait for it."""

    results: asyncio.Task[Results]
    waiting: int = 0


@dataclass
class _Gathering:
    """Calls that will go into one file: their lines, by attempt."""

    flight: _Flight | None = None
    lines: dict[str, bytes] = field(default_factory=dict)
    size: int = 0
    last: float = 0.0  # when the last one joined


class BatchWire:
    """A ``Wire``; used on the event loop only."""

    def __init__(
        self, endpoint: Endpoint, session: aiohttp.ClientSession, log: BatchLog, patience: Patience
    ) -> None:
        self._endpoint = endpoint
        self._session = session
        self._log = log
        self._patience = patience
        self._gathering: _Gathering | None = None
        self._flights: dict[str, _Flight] = {}  # by attempt

    async def send(self, body: bytes, timeout: float, call: str) -> Answer:
        """``timeout`` is for the whole batch; ``call`` names the attempt. One that an earlier
        session sent is not sent again.

        A batch that nobody waits for any longer goes on at the provider; the log knows of it.
        """
        flight = self._flights.get(call) or self._flight(body, timeout, call)
        flight.waiting += 1
        try:
            found = (await asyncio.shield(flight.results)).get(call)
        finally:
            flight.waiting -= 1
            self._flights.pop(call, None)
            if not flight.waiting and not flight.results.done():
                self._give_up(flight)
        if isinstance(found, dict):
            return found
        assert found is not None, f"{call} has no result"
        said = self._endpoint.without_key(str(found))[:SHOWN]
        raise Trouble(found.kind, said, found.after, held=found.held)

    def _flight(self, body: bytes, timeout: float, call: str) -> _Flight:
        """The batch that was sent with this attempt, or one that is about to be."""
        if (batch := self._log.of(call)) is not None:
            flight = _Flight(asyncio.create_task(self._resume(batch, timeout)))
            self._flights |= dict.fromkeys(batch.calls, flight)
            return flight
        flight = self._join(body, timeout, call)
        self._flights[call] = flight
        return flight

    def _join(self, body: bytes, timeout: float, call: str) -> _Flight:
        line = {"custom_id": call, "method": "POST", "url": CHATS, "body": json.loads(body)}
        text = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        into = self._gathering
        if into is None or len(into.lines) >= REQUESTS or into.size + len(text) > BYTES:
            into = self._gathering = _Gathering()
        if into.flight is None:
            into.flight = _Flight(asyncio.create_task(self._gather(into, timeout)))
        into.lines[call] = text
        into.size += len(text)
        into.last = monotonic()
        return into.flight

    def _give_up(self, flight: _Flight) -> None:
        flight.results.cancel()
        self._flights = {call: f for call, f in self._flights.items() if f is not flight}
        if self._gathering is not None and self._gathering.flight is flight:
            self._gathering = None

    async def _gather(self, calls: _Gathering, timeout: float) -> Results:
        while (left := calls.last + self._patience.linger - monotonic()) > 0:
            await asyncio.sleep(left)
            if calls is not self._gathering:  # full
                break
        if calls is self._gathering:
            self._gathering = None
        return await self._batch(calls.lines, timeout)

    async def _batch(self, lines: Mapping[str, bytes], timeout: float) -> Results:
        """One batch; in halves, one after the other, where the provider has no room for it."""
        try:
            return await self._sent(lines, timeout)
        except _Full as full:
            if len(lines) == 1:
                return dict.fromkeys(lines, Trouble("busy", str(full)))
            items, half = list(lines.items()), len(lines) // 2
            first = await self._batch(dict(items[:half]), timeout)
            return first | await self._batch(dict(items[half:]), timeout)

    async def _sent(self, lines: Mapping[str, bytes], timeout: float) -> Results:
        calls = tuple(lines)
        try:
            batch = Batch(await self._upload(b"".join(lines.values())), calls)
            await asyncio.wrap_future(self._log.uploaded(batch))
            state = await self._begin(batch)
            await asyncio.wrap_future(self._log.begun(batch, str(state["id"])))
            return await self._follow(batch, state, timeout)
        except Trouble as trouble:
            return dict.fromkeys(calls, trouble)

    async def _resume(self, batch: Batch, timeout: float) -> Results:
        """Follow what an earlier session sent."""
        try:
            if batch.id is None:
                state = await self._find(batch.file)
                if state is None:
                    raise Trouble("lost", f"no batch of the file {batch.file} is known there")
                await asyncio.wrap_future(self._log.begun(batch, str(state["id"])))
            else:
                state = await self._look(batch.id)
            return await self._follow(batch, state, timeout)
        except Trouble as trouble:
            return dict.fromkeys(batch.calls, trouble)
        except _Full as full:
            return dict.fromkeys(batch.calls, Trouble("busy", str(full)))

    async def _upload(self, content: bytes) -> str:
        async def upload() -> str:
            import aiohttp

            form = aiohttp.FormData()
            form.add_field("purpose", "batch")
            form.add_field(
                "file", content, filename="dagent.jsonl", content_type="application/jsonl"
            )
            if not (id := await self._asked("POST", "/files", "id", TRANSFER, data=form)):
                raise Trouble("lost", "POST /files did not say how the file is called")
            return str(id)

        return await self._patiently(_of_batches(upload))

    async def _begin(self, batch: Batch) -> State:
        """Have the batch begun, once.

        Raises:
            Trouble: ``lost`` where it may have been begun without our being told.
        """
        body = {"input_file_id": batch.file, "endpoint": CHATS, "completion_window": "24h"}

        async def begin() -> State:
            try:
                return await self._object("POST", "/batches", json=body)
            except Trouble as trouble:
                if trouble.kind not in ("down", "lost"):
                    raise
                if (state := await self._find(batch.file)) is not None:
                    return state
                raise

        return await self._patiently(_of_batches(begin), ("busy", "down"))

    async def _find(self, file: str) -> State | None:
        """The batch of a file, among those that the provider lists."""
        after = ""
        for _ in range(PAGES):
            try:
                listed = partial(self._asked, "GET", f"/batches?limit=100{after}", "data")
                page = await self._patiently(listed)
            except Trouble as trouble:
                if trouble.held or trouble.kind in ("auth", "keyless", "credit"):
                    raise
                return None  # it does not list them
            states = [s for s in page if isinstance(s, dict)] if isinstance(page, list) else []
            for state in states:
                if state.get("input_file_id") == file and state.get("id"):
                    return state
            if len(states) < 100:
                break
            after = f"&after={states[-1].get('id')}"
        return None

    async def _follow(self, batch: Batch, state: State, timeout: float) -> Results:
        """What came of each attempt, once the batch has ended.

        Raises:
            Trouble: of all attempts alike.
            _Full: it was refused for its size.
        """
        began, looks, strange = monotonic(), 0, ""
        while (status := str(state.get("status"))) not in ENDED:
            if monotonic() - began > timeout:
                what = f"the batch {batch.id} is {status[:SHOWN]} after {timeout:.0f} s"
                raise Trouble("lost", what, held=True)
            if status not in ON_ITS_WAY and status != strange:
                strange = status
                _log.warning(
                    "the provider calls the batch %s %r, which is no status that is known; it is "
                    "looked at again until it ends, for %.1f h at most",
                    told(str(batch.id)), told(status[:SHOWN]), timeout / 3600,
                )  # fmt: skip
            await asyncio.sleep(self._patience.look(looks))
            looks += 1
            state = await self._look(str(batch.id))
            counts = state.get("request_counts")
            self._log.got_on(batch, counts.get("completed") if isinstance(counts, dict) else None)
        if status == "failed":
            return _refused(batch, state)
        results: Results = {}
        for name in ("error_file_id", "output_file_id"):
            if state.get(name):
                results |= await self._results(str(state[name]))
        kind, what = _MISSING[status]
        missing = Trouble(kind, f"the batch {batch.id} {what}")
        return {call: results.get(call, missing) for call in batch.calls}

    async def _look(self, id: str) -> State:
        return await self._kept(lambda: self._object("GET", f"/batches/{_quoted(id)}"))

    async def _results(self, file: str) -> Results:
        """What a result file says. Its answers are paid for: if not one line can be read, as of a
        gateway's page, it is fetched again for ``silence`` seconds."""
        began, failures = monotonic(), 0
        while not (found := read(await self._content(file))):
            if monotonic() - began > self._patience.silence:
                break
            if not failures:
                _log.warning("no line of the result file %s can be read; fetched again", told(file))
            failures += 1
            await asyncio.sleep(self._patience.delay(failures))
        return found

    async def _content(self, file: str) -> bytes:
        path = f"/files/{_quoted(file)}/content"
        return await self._kept(
            lambda: exchange(self._endpoint, self._session, "GET", path, TRANSFER)
        )

    async def _kept(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask about a batch that is on its way: what goes wrong now says nothing of its calls.

        Raises:
            Trouble: ``held`` if it can be asked again later, else ``lost``: it is gone.
        """
        try:
            return await self._patiently(ask)
        except Trouble as trouble:
            if trouble.held or trouble.kind in ("auth", "keyless", "credit"):
                raise Trouble(trouble.kind, str(trouble), held=True) from None
            raise Trouble("lost", str(trouble)) from None

    async def _patiently(
        self,
        ask: Callable[[], Awaitable[T]],
        passing: tuple[Kind, ...] = ("busy", "down", "lost"),
    ) -> T:
        """Again while the server is busy, down or breaks off.

        Raises:
            Trouble: what does not pass, and, ``held``, what has not passed for ``silence`` seconds.
        """
        began, failures = monotonic(), 0
        while True:
            try:
                return await ask()
            except Trouble as trouble:
                if trouble.held or trouble.kind not in passing:
                    raise
                silent = monotonic() - began
                if silent > self._patience.silence:
                    what = f"no answer for {silent:.0f} s: {trouble}"
                    raise Trouble(trouble.kind, what, held=True) from None
                failures += 1
                wait = max(self._patience.delay(failures), trouble.after or 0.0)
            await asyncio.sleep(wait)

    async def _object(self, method: str, path: str, **content: Any) -> State:
        state: State = await self._asked(method, path, None, **content)
        if not isinstance(state, dict) or not state.get("id"):
            raise Trouble("lost", f"{method} {path} did not answer with a batch")
        return state

    async def _asked(
        self, method: str, path: str, key: str | None, timeout: float | None = None, **content: Any
    ) -> Any:
        """The JSON object of an answer, or what it holds under ``key``."""
        seconds = timeout or self._patience.connect
        raw = await exchange(self._endpoint, self._session, method, path, seconds, **content)
        try:
            body = json.loads(raw)
            return body if key is None else body[key]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Trouble(
                "lost", f"{method} {path} did not answer as a server of batches"
            ) from None


def _quoted(id: str) -> str:
    """A name that the provider gave, as part of an address."""
    return quote(id, errors="replace")


def _of_batches(ask: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """A refusal of the whole is no fault of a call: the server does not take such batches."""

    async def asked() -> T:
        try:
            return await ask()
        except Trouble as trouble:
            if trouble.kind in ("request", "model"):
                raise Trouble("batch", str(trouble)) from None
            raise

    return asked


def _refused(batch: Batch, state: State) -> Results:
    """A batch that was not begun: nothing was billed. Lines that are named are at fault; if none
    is, the whole is.

    Raises:
        _Full: it may be sent in parts.
    """
    told = state.get("errors")
    errors = told.get("data") if isinstance(told, dict) else None
    others = Trouble("down", f"the batch {batch.id} was refused for another call's fault")
    results: Results = dict.fromkeys(batch.calls, others)
    named = False
    whole = Trouble("batch", f"the batch {batch.id} failed")
    for error in errors if isinstance(errors, list) else ():
        if not isinstance(error, dict):
            continue
        code, said = str(error.get("code") or ""), str(error.get("message") or "")
        if code == "token_limit_exceeded":
            raise _Full(said or code)
        line = error.get("line")
        if isinstance(line, int) and 0 < line <= len(batch.calls):
            results[batch.calls[line - 1]] = Trouble("request", said or code)
            named = True
        else:
            whole = Trouble(CODES.get(code, "batch"), said or code)
    return results if named else dict.fromkeys(batch.calls, whole)
