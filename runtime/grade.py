"""What a grader says of an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dagent.dsl.texts import characters
from dagent.runtime.rows import Row

_LONGEST = 300  # characters of a reason


class Grade(NamedTuple):
    """``score`` in 0..1; ``reason`` says in a few words what a score below 1 is for."""

    score: float
    reason: str = ""


Grader = Callable[[str, Row], Grade]
"""It may have a method ``many``, for more than one answer at once; see ``graded``."""

RIGHT = Grade(1.0)


def graded(grade: Grader, pairs: Sequence[tuple[str, Row]]) -> list[Grade]:
    """The grade of each answer to its row."""
    many: Callable[[Sequence[tuple[str, Row]]], list[Grade]] | None = getattr(grade, "many", None)
    return many(pairs) if many else [grade(answer, row) for answer, row in pairs]


def wrong(reason: str) -> Grade:
    """Score 0, the reason on one line and not too long to read.

    >>> wrong("no such\\n table")
    Grade(score=0.0, reason='no such table')
    """
    return Grade(0.0, shortened(reason))


def shortened(reason: str) -> str:
    return characters(" ".join(reason.split())[:_LONGEST])
