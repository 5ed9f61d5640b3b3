"""The built-in planners: where the next rows should go, from counts of failures alone.

A cell is a skill at a difficulty. The *mix* is how often the diagnose rows ask for a cell; it
stands for the mix of the domain. The *error* is how often the current student fails there; small
cells lean on their skill, and skills on the mean, since a cell may hold two rows.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from dagent.runtime.roles import CellCount, Planner, Task
from dagent.runtime.rows import Cell

MIX_PSEUDO_ROWS = 0.3  # every cell counts as if it had been asked for a little
ERROR_FLOOR = 0.1  # what the student can do already is still rehearsed


def mix(cells: Sequence[Cell], diagnosis: Mapping[Cell, CellCount]) -> dict[Cell, float]:
    """The share of each cell in the diagnose rows, smoothed; adds up to 1."""
    raw = {c: diagnosis.get(c, CellCount(0, 0)).rows + MIX_PSEUDO_ROWS for c in cells}
    total = sum(raw.values())
    return {c: share / total for c, share in raw.items()}


def shrunk_errors(cells: Sequence[Cell], diagnosis: Mapping[Cell, CellCount]) -> dict[Cell, float]:
    """The error of each cell in 0..1, shrunk to its skill's (as 3 rows) and the mean (as 2)."""
    rows = sum(d.rows for d in diagnosis.values())
    wrong = sum(d.wrong for d in diagnosis.values())
    mean = (wrong + 1) / (rows + 2)
    skills: dict[str, float] = {}
    for skill in {s for s, _ in cells}:
        own = [d for (s, _), d in diagnosis.items() if s == skill]
        skills[skill] = (sum(d.wrong for d in own) + 2 * mean) / (sum(d.rows for d in own) + 2)
    return {
        c: (diagnosis[c].wrong + 3 * skills[c[0]]) / (diagnosis[c].rows + 3)
        if c in diagnosis
        else skills[c[0]]
        for c in cells
    }


def error_driven(task: Task) -> dict[Cell, float]:
    """Mix times error: ask for what the domain asks for and the student cannot do yet."""
    errors = shrunk_errors(task.cells, task.diagnosis)
    return {c: w * (errors[c] + ERROR_FLOOR) for c, w in mix(task.cells, task.diagnosis).items()}


def matched(task: Task) -> dict[Cell, float]:
    """The mix itself, whatever the student fails at: the control of the comparison."""
    return mix(task.cells, task.diagnosis)


def uniform(task: Task) -> dict[Cell, float]:
    """Every cell the same."""
    return dict.fromkeys(task.cells, 1.0)


def random_mixture(task: Task) -> dict[Cell, float]:
    """Another mixture each round, drawn evenly from all mixtures (Dirichlet with ones)."""
    draw = random.Random(task.seed)
    return {cell: draw.expovariate(1.0) for cell in task.cells}


POLICIES: Mapping[str, Planner] = {
    "error-driven": error_driven,
    "matched": matched,
    "uniform": uniform,
    "random": random_mixture,
}


def policy(name: str) -> Planner:
    return POLICIES[name]


def bounded(weights: Mapping[Cell, float], floor: float, cap: float) -> dict[Cell, float]:
    """Shares that add up to 1, each at least ``floor`` and at most ``cap``, else in proportion.

    A floor that the cells cannot all have is lowered to an equal share, a cap likewise raised.
    """
    equal = 1 / len(weights)
    floor, cap = min(floor, equal), max(cap, equal)
    total = sum(weights.values())
    raw = {c: w / total if total else equal for c, w in weights.items()}
    fixed: dict[Cell, float] = {}
    while True:
        free = {c: w for c, w in raw.items() if c not in fixed}
        left, mass = 1 - sum(fixed.values()), sum(free.values())
        shares = {c: left * (w / mass if mass else 1 / len(free)) for c, w in free.items()}
        over = {c: cap for c, s in shares.items() if s > cap + 1e-12}
        under = {c: floor for c, s in shares.items() if s < floor - 1e-12}
        if not over and not under:
            return {c: fixed[c] if c in fixed else shares[c] for c in weights}
        # Settle the side that is further out first: settling it changes what the other gets.
        excess = sum(shares[c] - cap for c in over)
        lack = sum(floor - shares[c] for c in under)
        fixed.update(over if excess >= lack else under)


def apportion(shares: Mapping[Cell, float], total: int) -> dict[Cell, int]:
    """Whole counts that add up to ``total``, by the largest remainder; ties by the cell's name."""
    exact = {c: s * total for c, s in shares.items()}
    counts = {c: int(x) for c, x in exact.items()}
    rest = sorted(exact, key=lambda c: (counts[c] - exact[c], c))
    for c in rest[: total - sum(counts.values())]:
        counts[c] += 1
    return counts
