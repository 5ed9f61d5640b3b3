"""``dspy.LM`` that hands our exceptions on as they are, and asks for plain text by the short way.
It imports DSPy: import it where needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import LMUnexpectedError

from dagent.runtime.lm import plain
from dagent.runtime.lm.calls import Calls, read_by_dspy, rollout
from dagent.runtime.lm.failures import Fatal, Unavailable, Unusable
from dagent.runtime.meter import OutOfBudget

OURS = (Fatal, Unavailable, Unusable, OutOfBudget)


class Model(dspy.LM):  # type: ignore[misc]
    """DSPy wraps what an engine raises; callers here tell failures apart by their class."""

    def __init__(self, model: str, *, calls: Calls | None = None, **options: Any) -> None:
        super().__init__(model, **options)
        self._calls = calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _ours(kwargs.get("rollout_id")):
            return super().__call__(*args, **kwargs)

    async def acall(
        self, prompt: Any = None, *, messages: Any = None, **kwargs: Any
    ) -> list[Any] | Any:
        with _ours(kwargs.get("rollout_id")):
            body = self._plain(prompt, messages, kwargs)
            if body is None or self._calls is None:
                return await super().acall(prompt, messages=messages, **kwargs)
            answer = await self._calls.answer(*body)
            if (text := plain.text(answer)) is not None:
                return [text]
            token = read_by_dspy.set(answer)
            try:
                return await super().acall(prompt, messages=messages, **kwargs)
            finally:
                read_by_dspy.reset(token)

    def _plain(self, prompt: Any, messages: Any, kwargs: dict[str, Any]) -> plain.Body | None:
        """The body of a call that is plain, where nobody watches DSPy make it: no history, no
        callbacks, no stream, no count of its usage."""
        settings = dspy.settings
        watched = settings.callbacks or settings.send_stream or settings.usage_tracker
        if self._calls is None or watched or self.callbacks or not settings.disable_history:
            return None
        if isinstance(prompt, str) and not messages:
            messages = [{"role": "user", "content": prompt}]
        return plain.body(self._calls.endpoint, messages, {**self.kwargs, **kwargs})


@contextmanager
def _ours(number: object) -> Iterator[None]:
    """Also tells the answers' keys DSPy's rollout, which is not part of a request."""
    token = rollout.set(number)
    try:
        yield
    except LMUnexpectedError as error:
        if isinstance(error.__cause__, OURS):
            raise error.__cause__ from None
        raise
    finally:
        rollout.reset(token)
