"""What a language model charges: ``specs/prices.json``, dated, in USD per million tokens."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

TABLE = Path(__file__).parents[1] / "specs" / "prices.json"
CURRENCY = "USD"


class Price(Struct, frozen=True):
    """USD per million tokens. ``cached_input`` is for prompt tokens that the provider had cached;
    ``None`` where they cost as much as others. ``batch_input`` and ``batch_output`` are for calls
    in a batch; ``None`` where nobody said."""

    input: float
    output: float
    cached_input: float | None = None
    batch_input: float | None = None
    batch_output: float | None = None

    @property
    def batched(self) -> Price:
        """What a call in a batch costs. Where that is not known, as much as any other, which is
        more; and so are cached tokens, of which the providers' rules differ.

        >>> Price(2.0, 8.0, 0.5, 1.0, 4.0).batched
        Price(input=1.0, output=4.0, cached_input=None, batch_input=None, batch_output=None)
        """
        if self.batch_input is None or self.batch_output is None:
            return self
        return Price(self.batch_input, self.batch_output)

    def cost(self, prompt: int, completion: int, cached: int = 0) -> float:
        """USD of a call; ``cached`` of the ``prompt`` tokens were cached.

        >>> Price(2.0, 8.0, 0.5).cost(1_000_000, 500_000, cached=400_000)
        5.4
        """
        again = self.input if self.cached_input is None else self.cached_input
        total = (prompt - cached) * self.input + cached * again + completion * self.output
        return total / 1_000_000


def price(model: str) -> Price | None:
    """The price of a model by LiteLLM's name; ``None`` if nobody said."""
    found = _table()["models"].get(model)
    return None if found is None else Price(**found)


def place(model: str, api_base: str | None) -> str:
    """A model and where it is served: what has one price.

    >>> place("openai/qwen", "http://localhost:8000/v1")
    'openai/qwen at http://localhost:8000/v1'
    """
    return f"{model} at {api_base}" if api_base else model


def read_prices(text: str) -> dict[str, Price]:
    """A user's price list, by model: ``{"models": {"openai/qwen": {"input": 0, "output": 0}}}``.

    Raises:
        ValueError: with what is wrong with it.
    """
    body = json.loads(text)
    models = body.get("models") if isinstance(body, dict) else None
    if not isinstance(models, dict):
        raise ValueError("it has no `models`")
    if body.get("currency", CURRENCY) != CURRENCY:
        raise ValueError(f"its currency is not {CURRENCY}")
    return {model: _read(model, said) for model, said in models.items()}


def _read(model: str, said: object) -> Price:
    names = tuple(field.name for field in fields(Price))
    if (
        not isinstance(said, dict)
        or not {"input", "output"} <= set(said) <= set(names)
        or ("batch_input" in said) != ("batch_output" in said)
        or not all(_is_amount(amount) for amount in said.values())
    ):
        raise ValueError(
            f"`{model}` needs `input` and `output`, in {CURRENCY} per million tokens; "
            "`cached_input` may stand beside them, and `batch_input` with `batch_output`"
        )
    return Price(**{name: float(amount) for name, amount in said.items()})


def _is_amount(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < float("inf")  # type: ignore[operator]


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
