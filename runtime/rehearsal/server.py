"""The stand-in for a model's server: speaks OpenAI's chat completions and batches on a free port.

It counts what it is asked, and bills generously, as a model that thinks aloud would. With faults,
every ``EACH``-th request meets one of those that servers are known for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from dagent.compiler.engineering import CHARACTERS_PER_TOKEN, THINKING
from dagent.runtime.lm.loop import loop
from dagent.runtime.rehearsal.answers import MARK, answer
from dagent.runtime.rehearsal.batching import Batches
from dagent.runtime.rehearsal.serving import completion, serving

EACH = 5
FAULTS = ("busy", "broken", "dropped", "unreadable", "empty")


@dataclass
class StandIn:
    """``with StandIn(known) as server``: listens at ``server.base``. ``longest`` is the largest
    sum of a prompt's tokens and those that it may be answered with, by the model's name."""

    known: Callable[[], Mapping[str, str]]
    faults: bool = False
    base: str = ""
    longest: dict[str, int] = field(default_factory=dict)
    met: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> StandIn:
        self._numbers = itertools.count(1)
        self._serving = serving(loop(), self._respond, more=Batches(self._reply).routes())
        self.base = self._serving.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._serving.__exit__(None, None, None)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        said = self._reply(msgspec.json.decode(await request.read()))
        if said is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body = said
        headers = {"Retry-After": "0"} if status == 429 else {}
        content = msgspec.json.encode(body)
        return web.Response(
            body=content, status=status, headers=headers, content_type="application/json"
        )

    def _reply(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """The status and the body of an answer; None where the connection is dropped."""
        number = next(self._numbers)
        asked = _tokens(sum(len(str(m["content"])) for m in body["messages"]))
        most = int(body.get("max_tokens") or body.get("max_completion_tokens") or 0)
        name = str(body["model"])
        self.longest[name] = max(self.longest.get(name, 0), asked + most)
        fault = FAULTS[number // EACH % len(FAULTS)] if self.faults and number % EACH == 0 else ""
        if fault:
            self.met[fault] = self.met.get(fault, 0) + 1
        if fault == "dropped":
            return None
        if fault in ("busy", "broken"):
            return 429 if fault == "busy" else 500, _error()
        text = {"unreadable": f"{MARK}: no JSON", "empty": ""}.get(fault)
        if text is None:
            text = answer(body, self.known(), self.faults)
        said = min(THINKING * _tokens(len(text)), most or 10**9)
        return 200, completion(name, text, asked, said)


def _tokens(characters: int) -> int:
    return round(characters / CHARACTERS_PER_TOKEN[1])


def _error() -> dict[str, Any]:
    return {"error": {"message": f"{MARK}: a fault that was asked for"}}
