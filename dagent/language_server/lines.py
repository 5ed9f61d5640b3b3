"""Offsets in a text, and the places that editors count: lines from 0, UTF-16 units from 0."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, eq=False)
class Lines:
    """
    >>> lines = Lines("a = 1\\r\\n😀 = x")
    >>> lines.place(9), lines.offset(1, 2)
    ((1, 3), 8)
    """

    text: str

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(end.end() for end in _END.finditer(self.text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and UTF-16 column of an offset in code points."""
        line = bisect_right(self._starts, offset) - 1
        return line, _units(self.text[self._starts[line] : offset])

    def offset(self, line: int, column: int) -> int:
        """The offset of a place; one outside the text is taken for the nearest inside."""
        if line >= len(self._starts):
            return len(self.text)
        start = self._starts[line]
        found = _END.search(self.text, start)
        end = found.start() if found else len(self.text)
        at = start
        while at < end and column > 0:
            column -= _units(self.text[at])
            at += 1
        return at


def _units(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)
