"""The teacher: prompts in, answers out. Each prompt is a call: counted, paid for, and kept by id.

How many calls a program may make is decided once, before it starts, and remembered in the journal:
a program that runs again in a resumed session must see the same number, though part is spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from dagent.runtime.authoring.answers import parsed
from dagent.runtime.lm.failures import Unusable
from dagent.runtime.meter import Meter, OutOfBudget

if TYPE_CHECKING:
    import dspy


class TimeUp(Exception):
    """The program has used all its time, its calls included."""


@dataclass(frozen=True, slots=True)
class Call:
    """One prompt and what was said to it."""

    id: str
    prompt: str
    system: str
    text: str

    def line(self) -> dict[str, str]:
        return asdict(self)


def allowed(meter: Meter, name: str, parts: Sequence[str]) -> int:
    """Calls that the caps leave to the attempt of that name, now or when an earlier session asked.

    Raises:
        OutOfBudget: none at all.
    """
    memory = f"{name}.allowed"
    if known := meter.charged(memory):
        return int(known["allowed_calls"])
    left = {scope: meter.left("calls", scope) for scope in ("run", *parts)}
    capped = {scope: int(n) for scope, n in left.items() if n is not None}
    scope = min(capped, key=lambda s: capped[s])  # every attempt has a cap of its own
    if capped[scope] < 1:
        raise OutOfBudget(f"{scope} calls: all spent")
    meter.reserve(memory, allowed_calls=capped[scope])
    return capped[scope]


@dataclass
class Teacher:
    """``first`` is the number of the attempt's first call among all of its step; ``left`` gives the
    seconds that the program may still take."""

    lm: dspy.BaseLM
    attempt: str
    allowed: int
    first: int
    left: Callable[[], float]
    made: int = 0
    calls: dict[str, Call] = field(default_factory=dict)

    @property
    def available(self) -> int:
        return self.allowed - self.made

    def generate(
        self, prompts: object, sys_prompt: object = "", json: object = False
    ) -> list[dict[str, Any] | None]:
        """One answer a prompt, ``{"call", "text"}`` with ``"json"`` where asked for; None for what
        the caps do not pay for and what the model refused.

        Raises:
            ValueError: the arguments are not of that form; the program is told.
            TimeUp, and what the client raises when the model cannot be reached.
        """
        if not isinstance(prompts, list) or not all(isinstance(p, str) and p for p in prompts):
            raise ValueError("prompts must be a list of texts, none of them empty")
        if not isinstance(sys_prompt, str):
            raise ValueError("sys_prompt must be a text")
        paid = prompts[: self.available]
        start = self.made + 1
        self.made += len(paid)
        answers = asyncio.run(self._ask_all(paid, sys_prompt, bool(json), start))
        return [*answers, *[None] * (len(prompts) - len(paid))]

    async def _ask_all(
        self, prompts: list[str], system: str, json: bool, start: int
    ) -> list[dict[str, Any] | None]:
        asked = (self._ask(p, system, json, n) for n, p in enumerate(prompts, start))
        try:
            async with asyncio.timeout(max(0.0, self.left())):
                return await asyncio.gather(*asked)
        except TimeoutError:
            raise TimeUp from None

    async def _ask(self, prompt: str, system: str, json: bool, n: int) -> dict[str, Any] | None:
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": prompt})
        form = {"response_format": {"type": "json_object"}} if json else {}
        try:
            said = await self.lm.acall(messages=messages, rollout_id=self.first + n, **form)
        except (Unusable, OutOfBudget):
            return None
        text = said[0]["text"] if isinstance(said[0], dict) else said[0]
        call = Call(f"{self.attempt}#{n}", prompt, system, str(text))
        self.calls[call.id] = call
        answer: dict[str, Any] = {"call": call.id, "text": call.text}
        if json:
            answer["json"] = parsed(call.text)
        return answer
