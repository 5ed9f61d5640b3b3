"""What a language model charges: ``specs/prices.json``, dated, in USD per million tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[1] / "specs" / "prices.json"
CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. ``cached_input`` is for prompt tokens that the provider had cached;
    ``None`` where they cost as much as others."""

    input: float
    output: float
    cached_input: float | None = None

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


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
