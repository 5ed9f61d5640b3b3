"""A model's calls as one step makes them: reserved before they go out, journaled before they are
used, found again when the run is resumed. DSPy sees an engine of its own (``dspy.LM(engine=…)``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dagent.compiler.prices import Price
from dagent.runtime.lm.answers import Answer, AnswerLog
from dagent.runtime.lm.batch_log import BatchLog
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import Unusable, told
from dagent.runtime.lm.line import Attempt, Line
from dagent.runtime.lm.loop import loop, on_loop, run
from dagent.runtime.lm.plain import dialect
from dagent.runtime.lm.wire import SHOWN
from dagent.runtime.meter import Meter, OutOfBudget, role_among

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response

# Tokens that a chat template adds at most: to a request, and to each message.
TEMPLATE_TOKENS, MESSAGE_TOKENS = 32, 16
# Of the worst case that was reserved, what a bill may be: thinking need not stop at `max_tokens`.
BELIEVED = 8
CHECK_EVERY = 1.0  # seconds between looks at the cap on wall time
rollout: ContextVar[object] = ContextVar("rollout", default=None)
# An answer that is there already, and holds more than text: DSPy makes of it what it returns.
read_by_dspy: ContextVar[Answer | None] = ContextVar("read_by_dspy", default=None)


@dataclass
class InFlight:
    """Calls that hold their worst case. They will mostly be billed less, so what a cap refuses now
    it may grant once one of them is settled. Lives on the loop of the lines alone."""

    count: int = 0
    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def pay(self, reserve: Callable[[], Future[None]]) -> Future[None]:
        """Reserve now, or when calls in flight have made room.

        Raises:
            OutOfBudget: the cap refuses, and nothing in flight could make room.
        """
        while True:
            try:
                paid = reserve()
            except OutOfBudget:
                if not self.count:
                    raise
                turn = asyncio.get_running_loop().create_future()
                self.waiting.append(turn)
                await turn
            else:
                self.count += 1
                return paid

    def again(self) -> None:
        """A call is in flight that an earlier session paid for."""
        self.count += 1

    def settled(self) -> None:
        self.count -= 1
        waiting, self.waiting = self.waiting, []
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)


@dataclass(frozen=True)
class Calls:
    """The async engine."""

    endpoint: Endpoint
    line: Line
    meter: Meter
    answers: AnswerLog
    step: str
    parts: tuple[str, ...]
    batches: BatchLog | None = None
    in_flight: InFlight = field(default_factory=InFlight)

    async def complete(self, request: Request) -> Response:
        """DSPy's side: called on whatever loop DSPy runs on.

        Raises:
            Fatal, Unavailable, Unusable, OutOfBudget: there is no answer to use.
        """
        answer = read_by_dspy.get()
        if answer is None:
            wire = replace(request, model=self.endpoint.name)
            body: bytes = dialect(self.endpoint.official).build_request(wire, stream=False).body
            answer = await self.answer(body, request.config.max_tokens)
        return _response(answer, request.model)

    async def answer(self, body: bytes, max_tokens: int | None) -> Answer:
        """The same without DSPy's types.

        Raises:
            Fatal, Unavailable, Unusable, OutOfBudget: there is no answer to use.
        """
        key = self.answers.key(self.step, body, rollout.get())
        answer = self.answers.find(key)
        if answer is None:
            asking = self._ask(key, body, max_tokens or self.endpoint.most)
            if on_loop():
                answer = await asking
            else:
                asked = asyncio.run_coroutine_threadsafe(asking, loop())
                answer = await asyncio.wrap_future(asked)
        else:
            self._settle_found(key, answer)
        _refuse_unusable(answer["choices"][0])
        return answer

    async def _ask(self, key: str, body: bytes, max_tokens: int) -> Answer:
        """On the loop of the lines: pay, ask, write down."""
        worst = self._amounts(prompt_bound(body), max_tokens)
        paying, tries, began = "", 0, 0.0

        async def attempt() -> Attempt:
            nonlocal paying, tries, began
            tries += 1
            if not paying and (left := self._left_with_provider(key)):
                paying = left
                self.in_flight.again()
                began = time.time()
                return paying, failed
            paying = self._next_attempt(key)
            paid = await self.in_flight.pay(
                lambda: self.meter.reserve_soon(paying, self.parts, **worst)
            )
            try:
                await self.line.on_disk(paid)
            except BaseException:
                self.in_flight.settled()
                raise
            began = time.time()
            return paying, failed

        def failed(maybe_billed: bool) -> None:
            if not maybe_billed:
                self.meter.report(paying, **dict.fromkeys(worst, 0))
            self.in_flight.settled()

        answer = await self._in_time(self.line.ask(body, max_tokens, attempt))
        try:
            on_disk = self.answers.keep(key, self.step, self.endpoint.model, answer)
            used = self._used(answer, worst)
            self.meter.report(paying, **used)
        finally:
            self.in_flight.settled()
        role = role_among(self.parts)
        if self.answers.samples.wants(self.step, role):
            self.answers.samples.add(
                self.step,
                role,
                body,
                key=key,
                answer=answer,
                price=used.get("money"),
                began=began,
                seconds=time.time() - began,
                tries=tries,
            )
        await self.line.on_disk(on_disk)
        return answer

    async def _in_time(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        """An answer is waited for, whatever the clock says; a batch only while there is wall time
        left. It goes on at the provider, and a later session takes it up.

        Raises:
            OutOfBudget: the time is spent.
        """
        if self.batches is None:
            return await asking
        task = asyncio.ensure_future(asking)
        try:
            while not task.done():
                left = self.meter.wall_left
                if left is not None and left <= 0:
                    raise OutOfBudget("wall: the time is spent, and a batch is at the provider")
                await asyncio.wait({task}, timeout=None if left is None else min(left, CHECK_EVERY))
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        return task.result()

    def _next_attempt(self, key: str) -> str:
        """A key that no attempt has yet, in this session or in one that died; or that of one which
        is in no batch, and so was certainly not sent."""
        number = self._attempts(key)
        last = f"call:{key}.{number}"
        if number and self.batches is not None and self.batches.of(last) is None:
            return last
        return f"call:{key}.{number + 1}"

    def _left_with_provider(self, key: str) -> str | None:
        """The attempt that an earlier session left in a batch, if it may still be answered."""
        last = f"call:{key}.{self._attempts(key)}"
        if self.batches is None or self.batches.of(last) is None:
            return None
        return last if any(self.meter.charged(last).values()) else None

    def _attempts(self, key: str) -> int:
        number = 0
        while self.meter.charged(f"call:{key}.{number + 1}"):
            number += 1
        return number

    def _settle_found(self, key: str, answer: Answer) -> None:
        """A run that died after the answer came may not have settled it."""
        last = f"call:{key}.{max(1, self._attempts(key))}"
        charged = self.meter.charged(last)
        used = self._used(answer, charged)
        if charged and charged != used:
            self.meter.report(last, **used)

    def _amounts(self, prompt: int, completion: int, cached: int = 0) -> dict[str, float]:
        amounts: dict[str, float] = {"calls": 1, "tokens": prompt + completion}
        if self.endpoint.price is not None:
            price = Price(**self.endpoint.price)
            price = price.batched if self.endpoint.batch else price
            amounts["money"] = price.cost(prompt, completion, cached)
        return amounts

    def _used(self, answer: Answer, worst: Any) -> dict[str, float]:
        """By the server's own count. One that counts nothing, or more than can be, is charged the
        worst case."""
        prompt = _count(answer, "usage", "prompt_tokens")
        completion = _count(answer, "usage", "completion_tokens")
        if prompt is None or completion is None:
            return dict(worst)
        if prompt + completion > BELIEVED * worst.get("tokens", prompt + completion):
            self.line.doubt()
            return dict(worst)
        cached = _count(answer, "usage", "prompt_tokens_details", "cached_tokens") or 0
        return self._amounts(prompt, completion, min(cached, prompt))


@dataclass(frozen=True)
class Waiting:
    """The same for callers in threads: each waits for its own call."""

    calls: Calls

    def complete(self, request: Request) -> Response:
        return run(self.calls.complete(request))


def prompt_bound(body: bytes) -> int:
    """More tokens than a prompt can have: each is at least one byte of the request's body.

    True of byte-level tokenisers (GPT, Llama 3, Qwen) and of SentencePiece with bytes to fall back
    on; the templates' own tokens come on top. For English, three to four times the truth.
    """
    return len(body) + TEMPLATE_TOKENS + MESSAGE_TOKENS * body.count(b'"role":')


def _count(answer: Answer, *names: str) -> int | None:
    """A number of tokens that a server tells, if it is one."""
    found: Any = answer
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if type(found) is int and found >= 0 else None


def _usage(answer: Answer) -> dict[str, int] | None:
    """What a server counted, if these are counts."""
    prompt = _count(answer, "usage", "prompt_tokens")
    said = _count(answer, "usage", "completion_tokens")
    if prompt is None or said is None:
        return None
    return {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}


def _response(answer: Answer, model: str) -> Response:
    """DSPy's view of an answer; what it is billed at is read by ``Calls`` alone.

    Raises:
        Unusable: nothing that can be read.
    """
    from dspy.lm15 import response_from_openai_chat

    body = {**answer, "choices": answer["choices"][:1], "usage": _usage(answer)}
    try:
        response: Response = response_from_openai_chat(body, model=model)
    except Exception as error:  # whatever a server puts there, other answers are none the worse
        raise Unusable(f"the answer could not be read: {told(str(error)[:SHOWN])}") from None
    return response


def _refuse_unusable(choice: Mapping[str, Any]) -> None:
    message = choice["message"]
    if message.get("refusal") or choice.get("finish_reason") == "content_filter":
        said = str(message.get("refusal") or "content filter")
        raise Unusable(f"the model refused: {told(said[:SHOWN])}")
    if not message.get("content") and not message.get("tool_calls"):
        if choice.get("finish_reason") == "length":
            raise Unusable("the answer was cut off before it began: raise `max_tokens`")
        raise Unusable("the answer is empty")
