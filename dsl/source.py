"""Text and places in it. Offsets are 0-based code points; lines and columns are 1-based."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import Struct
from msgspec.structs import astuple

from dagent.dsl.texts import characters

# How the names of specs end, by their syntax.
DAGENT = (".dagent",)
YAML = (".yaml", ".yml")
ENDINGS = DAGENT + YAML


@dataclass(frozen=True, eq=False)
class Source:
    """A text with the name that messages show for it. Compared by identity."""

    name: str
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        # An editor may send half a surrogate pair, of which no digest can be made.
        object.__setattr__(self, "text", characters(self.text))

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, char in enumerate(self.text) if char == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        row = bisect_right(self._line_starts, offset) - 1
        return row + 1, offset - self._line_starts[row] + 1

    def line(self, number: int) -> str:
        """The text of line ``number`` (from 1) without its end-of-line."""
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        """The span [start, end), clamped to the text."""
        size = len(self.text)
        start = max(0, min(start, size))
        return Span(self, start, max(start, min(end, size)))


class Span(Struct, frozen=True):
    """The characters ``[start, end)`` of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def end_line(self) -> int:
        return self.source.position(self.end)[0]

    @property
    def end_column(self) -> int:
        """Column after the last character, so that ``end_column - column`` is the length."""
        return self.source.position(self.end)[1]

    def part(self, start: int, end: int) -> Span:
        """The sub-span whose offsets count from this span's start."""
        return self.source.span(self.start + start, min(self.start + end, self.end))


class Placed(Struct, frozen=True, eq=False):
    """A value whose last field is where it stands, which is no part of what it says."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def _said(self) -> tuple[Any, ...]:
        return astuple(self)[:-1]
