"""``dspy.LM`` that hands our exceptions on as they are. It imports DSPy: import it where needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.exceptions import LMUnexpectedError

from dagent.runtime.lm.calls import rollout
from dagent.runtime.lm.failures import Fatal, Unavailable, Unusable
from dagent.runtime.meter import OutOfBudget

OURS = (Fatal, Unavailable, Unusable, OutOfBudget)


class Model(dspy.LM):  # type: ignore[misc]
    """DSPy wraps what an engine raises; callers here tell failures apart by their class."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with _ours(kwargs.get("rollout_id")):
            return super().__call__(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        with _ours(kwargs.get("rollout_id")):
            return await super().acall(*args, **kwargs)


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
