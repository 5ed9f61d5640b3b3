"""A draft of a curriculum, and the memory that forces a new family of ideas every k rounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagent.runtime.rows import Cell


@dataclass(frozen=True, slots=True)
class Draft:
    """What a planner wants before floors and caps: weights of cells, and within a cell the parts
    that its rows are shared among: a weight and what the item then says (``method``, ``weakness``,
    ``rationale``). ``families`` names the ideas it stands for, ``refused`` those that fell out."""

    by: str
    families: Sequence[str]
    weights: Mapping[Cell, float]
    parts: Mapping[Cell, Sequence[tuple[float, Mapping[str, Any]]]] = field(default_factory=dict)
    refused: Sequence[Mapping[str, Any]] = ()

    def split(self, cell: Cell, count: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """The cell's rows over its parts, largest remainder first; parts without rows fall out."""
        parts = self.parts.get(cell) or [(1.0, {})]
        total = sum(weight for weight, _ in parts)
        exact = [count * weight / total for weight, _ in parts]
        counts = [int(x) for x in exact]
        order = sorted(range(len(parts)), key=lambda i: (counts[i] - exact[i], i))
        for i in order[: count - sum(counts)]:
            counts[i] += 1
        for n, (_, said) in zip(counts, parts, strict=True):
            if n:
                yield n, said


def is_forced(explore: int | None, round: int) -> bool:
    """
    >>> [n for n in range(1, 10) if is_forced(3, n)]
    [3, 6, 9]
    """
    return bool(explore) and round % (explore or 1) == 0


def families_of(archive: Iterable[Mapping[str, Any]]) -> list[str]:
    """Every family of the archive in the order of its last use, the longest ago first."""
    used: dict[str, None] = {}
    for entry in archive:
        for name in entry.get("families", ()):
            used.pop(name, None)
            used[name] = None
    return list(used)


def untried(known: Iterable[str], used: Sequence[str]) -> list[str]:
    """Families that were never used; if there is none left, the one used longest ago.

    >>> untried(["a", "b", "c"], ["b"]), untried(["a", "b"], ["b", "a"])
    (['a', 'c'], ['b'])
    """
    names = list(known)
    return [n for n in names if n not in used] or [min(names, key=used.index)]
