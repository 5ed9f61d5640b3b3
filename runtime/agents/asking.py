"""Asking a model for a structured answer. What cannot be read is asked for once more, with the
reason; after that it is a fault that the caller writes down. Nothing disappears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dagent.compiler.prices import place
from dagent.runtime.meter import OutOfBudget

if TYPE_CHECKING:
    import dspy

    from dagent.runtime.step import Context, Params

T = TypeVar("T")
ATTEMPTS = 2
SHOWN = 300  # characters of an unreadable answer that are kept


@dataclass(frozen=True, slots=True)
class Asked:
    """A prediction, or why there is none."""

    answer: Any | None
    fault: str = ""


async def ask(predict: dspy.Predict, rollout: int = 0, remark: str = "", **inputs: Any) -> Asked:
    """The answer of one signature, validated by its types.

    ``rollout`` tells apart requests that are to be answered independently; ``remark`` says what
    was wrong with an earlier answer.

    Raises:
        OutOfBudget, and what the client raises when the model cannot be reached.
    """
    from dspy.utils.exceptions import AdapterParseError

    from dagent.runtime.lm.failures import Unusable, told

    fault = ""
    config = {"rollout_id": rollout} if rollout else {}
    for _ in range(ATTEMPTS):
        try:
            return Asked(await predict.acall(**inputs, remark=remark, config=config))
        except AdapterParseError as error:
            text = told(str(error.lm_response)[: 2 * SHOWN])[:SHOWN]
            fault = f"the model's answer could not be read: {text}"
        except Unusable as error:
            fault = f"the model gave no answer: {error}"
        remark = f"{fault}. Answer with the JSON object that was asked for, and nothing else."
    return Asked(None, fault)


async def together(jobs: Iterable[Awaitable[T]]) -> tuple[list[T | None], OutOfBudget | None]:
    """All results in the order of the jobs, whatever order they arrive in. A job that the budget
    did not pay for gives None, and the others are kept.

    Raises:
        Exception: what a job raised besides; all jobs have ended by then.
    """
    found = await asyncio.gather(*jobs, return_exceptions=True)
    out: OutOfBudget | None = None
    results: list[T | None] = []
    for result in found:
        if isinstance(result, OutOfBudget):
            out = out or result
            results.append(None)
        elif isinstance(result, BaseException):
            raise result
        else:
            results.append(result)
    return results, out


def lm_of(role: Params, context: Context, step: str, parts: tuple[str, ...]) -> dspy.BaseLM:
    """A role's model at its price, paid for by ``step`` within the caps of ``parts``."""
    from dagent.runtime.lm.connect import connect
    from dagent.runtime.lm.endpoint import Endpoint

    price = context.prices.get(place(role["lm"]["model"], role["lm"]["api_base"]))
    endpoint = Endpoint(**role["lm"], options=dict(role["options"]), price=price)
    return connect(endpoint, meter=context.meter, answers=context.answers, step=step, parts=parts)


@contextmanager
def speaking(role: Params, context: Context, step: str, parts: tuple[str, ...]) -> Iterator[None]:
    """DSPy set to ``lm_of`` these."""
    import dspy

    from dagent.runtime.agents.adapter import Adapter

    lm = lm_of(role, context, step, parts)
    with dspy.context(lm=lm, adapter=Adapter(), disable_history=True):
        yield
