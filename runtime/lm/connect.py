"""A language model for DSPy, whose every call is paced, paid for and journaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.calls import Calls, Waiting
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import Fatal
from dagent.runtime.lm.line import line
from dagent.runtime.lm.pace import Patience
from dagent.runtime.meter import Meter

if TYPE_CHECKING:
    import dspy


def connect(
    endpoint: Endpoint,
    *,
    meter: Meter,
    answers: AnswerLog,
    step: str,
    parts: tuple[str, ...],
    patience: Patience | None = None,
) -> dspy.BaseLM:
    """The model of ``endpoint`` for one step; ``parts`` are the meter's scopes, as ``round:3``.

    The same for threads (``lm(…)``) and for asyncio (``await lm.acall(…)``). DSPy's own cache and
    retries are off, since answers are journaled and the line retries.

    Raises:
        Fatal: no key, no address, options that the model does not take, or no price where money
            is capped. What its calls raise is in ``failures`` and ``meter``.
    """
    endpoint.key()
    batches = answers.batches if endpoint.batch else None
    _refuse_unpriced(endpoint, meter)
    calls = Calls(
        endpoint,
        line(
            endpoint.model,
            endpoint.api_base,
            endpoint.api_key_env,
            patience or Patience(),
            batches,
        ),
        meter,
        answers,
        step,
        parts,
        batches,
    )
    return model(endpoint, engine=Waiting(calls), async_engine=calls, calls=calls)


def model(endpoint: Endpoint, **engines: Any) -> dspy.BaseLM:
    """DSPy's side of an endpoint.

    Raises:
        Fatal: E856, the model does not take these options.
    """
    from dspy.utils.exceptions import LMConfigurationError

    from dagent.runtime.lm.model import Model

    try:
        return Model(
            endpoint.model,
            temperature=endpoint.temperature,
            max_tokens=endpoint.most,
            cache=False,
            num_retries=0,
            **engines,
            **endpoint.options,
        )
    except (LMConfigurationError, TypeError, ValueError) as error:
        raise Fatal(
            Diagnostic(
                "E856",
                f"`{endpoint.model}` does not take these options: {error}",
                suggestion="change `temperature`, `max_tokens` or `options` as the message says",
            )
        ) from None


def _refuse_unpriced(endpoint: Endpoint, meter: Meter) -> None:
    """The compiler refused it already, unless the plan is of an earlier version."""
    if endpoint.price is None and meter.caps("money"):
        raise Fatal(
            Diagnostic(
                "E858",
                f"money is capped, and what `{endpoint.model}` charges is unknown",
                suggestion="run `dagent compile`; `prices` in `budget` says what a model charges",
            )
        )
