"""What an optimiser needs to know of a role: examples to try it on, and what an answer is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dspy


@dataclass(frozen=True, slots=True)
class Objective:
    """``worth`` of an example and an answer to it: a score in 0..1 and what was wrong in words, for
    optimisers that read. It takes ``calls_per_score`` calls, the agent's own among them."""

    name: str
    examples: Sequence[dspy.Example]
    worth: Callable[[Any, Any], tuple[float, str]]
    calls_per_score: int = 1
