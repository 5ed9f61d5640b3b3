"""The roles of an engineer, as steps see them. Programs and models are behind them alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dagent.runtime.rows import Cell, Row


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a curriculum: ``count`` rows to keep that teach a skill at a difficulty."""

    id: str
    skill: str
    difficulty: str
    count: int
    rationale: str


@dataclass(frozen=True, slots=True)
class CellCount:
    """How the current student did on the diagnose rows of one cell."""

    rows: int
    wrong: float


@dataclass(frozen=True, slots=True)
class Task:
    """What a planner is told: the goal, the grid, what went wrong, what was tried, what is left.

    ``weaknesses`` are those that a diagnoser named, ``diagnosis`` has the counts of every cell.
    """

    goal: str
    answer: str
    cells: Sequence[Cell]
    diagnosis: Mapping[Cell, CellCount]
    archive: Sequence[Mapping[str, Any]]
    rows: int
    round: int
    seed: int
    weaknesses: Sequence[Mapping[str, Any]] = ()


class Diagnoser(Protocol):
    def __call__(self, rows: list[Row]) -> list[Mapping[str, Any]]:
        """Weaknesses in the student's answers, each with the ids of the rows that show it."""
        ...


class Planner(Protocol):
    def __call__(self, task: Task, /) -> Mapping[Cell, float]:
        """A weight, at least 0, for every cell that deserves rows; they need not add up to 1."""
        ...


class Generator(Protocol):
    def __call__(self, skill: str, difficulty: Any, n: int, seed: int) -> Iterable[Row]:
        """``n`` rows with ``prompt`` and ``answer``; the same arguments give the same rows."""
        ...


class Verifier(Protocol):
    def __call__(self, row: Row) -> str | bool | None:
        """``None`` or ``True`` for a row that may be trained on, else why not (or ``False``)."""
        ...


class Refiner(Protocol):
    def __call__(self, row: Row) -> Row | None:
        """The rejected row mended, or ``None`` to give it up; ``reason`` says what is wrong."""
        ...
