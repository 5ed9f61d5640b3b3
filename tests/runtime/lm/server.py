"""A small OpenAI-compatible server, for tests and benchmarks: answers are a function, faults a
plan. It is the one thing that is not real; all that talks to it is.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from dagent.runtime.rehearsal.batching import Batches
from dagent.runtime.rehearsal.serving import completion as chat
from dagent.runtime.rehearsal.serving import own_loop, serving

Request = dict[str, Any]
# The text of an answer, or a whole chat completion.
Answer = Callable[[Request], str | dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer.

    ``status`` answers with an error, ``body`` with these bytes; ``drop`` closes the connection
    (``"before"`` anything, or in the ``"middle"`` of the answer; of batches also ``"after"`` doing
    what was asked); ``hang`` waits these seconds.
    """

    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: str | None = None
    hang: float = 0.0


# The fault of the n-th request (from 0), or None for an answer.
Faults = Callable[[int, Request], Fault | None]


def first(*faults: Fault | None) -> Faults:
    """These faults for the first requests, one each; then none."""
    return lambda n, request: faults[n] if n < len(faults) else None


class Batching(Batches):
    """Files and batches of a ``Server``. ``asked`` counts the requests by what they ask:
    ``upload``, ``begin``, ``look``, ``listed``, ``content``."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.reply)
        self.asked: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self._server = server

    def routes(self) -> list[web.RouteDef]:
        return [
            web.RouteDef(r.method, r.path, self._faulty(r.handler), r.kwargs)
            for r in super().routes()
        ]

    def lines(self, batch: Request) -> list[Request]:
        """What was sent in a batch."""
        return [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]

    def proceed(self, batch: Request) -> None:
        looks = self.looks[batch["id"]]
        self.looks[batch["id"]] += 1
        if batch["status"] == "validating":
            self._server.ending(self, batch, looks)

    def _faulty(self, handler: Any) -> Any:
        async def respond(request: web.Request) -> web.StreamResponse:
            name = handler.__name__
            fault = self._server.batch_faults(name, self.asked[name])
            self.asked[name] += 1
            self._server.headers.append(dict(request.headers))
            if fault is None:
                return await handler(request)
            if fault.drop == "after":
                await handler(request)
            return await self._server.fail(fault, request, {"model": "", "messages": []})

        return respond


# What becomes of a batch the n-th time that it is looked at, from 0: when it is begun.
Ending = Callable[[Batching, Request, int], None]


def completed(batches: Batching, batch: Request, looks: int) -> None:
    """The second time."""
    if looks:
        batches.end(batch, "completed")


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Fault:
    body = json.dumps({"error": {"message": message, "code": code}})
    return Fault(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Server:
    """``with Server(answer) as server``: listens at ``server.base``. ``requests`` keeps the bodies
    in the order they came, ``headers`` theirs, ``answered`` how many got an answer."""

    answer: Answer = lambda request: "fine"
    faults: Faults = lambda n, request: None
    ending: Ending = completed
    # The fault of the n-th request of a name (``Batching``), from 0.
    batch_faults: Callable[[str, int], Fault | None] = lambda name, n: None
    delay: float = 0.0
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answered: int = 0
    most_at_once: int = 0
    connections: set[Any] = field(default_factory=set)
    base: str = ""

    def __enter__(self) -> Server:
        self._at_once = 0
        self.batches = Batching(self)
        with ExitStack() as stack:
            loop = stack.enter_context(own_loop())
            routes = self.batches.routes()
            self.base = stack.enter_context(serving(loop, self._respond, self.port, routes))
            self._serving = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.close()

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        number = len(self.requests)
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.connections.add(request.transport.get_extra_info("peername"))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            fault = self.faults(number, body)
            if self.delay:
                await asyncio.sleep(self.delay)
            if fault is None:
                self.answered += 1
                return web.json_response(completion(self.answer(body), body))
            return await self.fail(fault, request, body)
        finally:
            self._at_once -= 1

    def reply(self, body: Request) -> tuple[int, Request] | None:
        """The line of a request in a batch."""
        number = len(self.requests)
        self.requests.append(body)
        fault = self.faults(number, body)
        if fault is None:
            self.answered += 1
            return 200, completion(self.answer(body), body)
        return None if fault.drop else (fault.status, json.loads(fault.body or "{}"))

    async def fail(self, fault: Fault, request: web.Request, body: Request) -> web.StreamResponse:
        if fault.hang:
            await asyncio.sleep(fault.hang)
        text = fault.body
        if text is None:
            text = json.dumps(completion("cut short", body))
        if fault.drop in ("before", "after"):
            request.transport.abort()
            return web.Response()
        if fault.drop == "middle":
            response = web.StreamResponse(headers={"Content-Length": str(len(text))})
            await response.prepare(request)
            await response.write(text[: len(text) // 2].encode())
            request.transport.abort()
            return response
        return web.Response(
            status=fault.status,
            text=text,
            headers=fault.headers,
            content_type="application/json",
        )


def completion(answer: str | dict[str, Any], request: Request) -> dict[str, Any]:
    """A chat completion, with usage counted in words: some number that both sides can check."""
    if isinstance(answer, dict):
        return answer
    return chat(request["model"], answer, words(request["messages"]), len(answer.split()))


def words(messages: Sequence[dict[str, Any]]) -> int:
    return sum(len(str(message["content"]).split()) for message in messages)
