"""Which gains the gate sees, by the rows that it decides on."""

from __future__ import annotations

import math
from collections.abc import Iterable

from dagent.compiler.quantity import how_many

CHANGED = 0.3  # of the answers, from one student to the next, until it is known
_Z_POWER = 0.8416  # the standard normal quantile of 0.8: 4 times in 5
_STEP = 0.5  # rows that the exact test loses, since its p-values come in steps


def detectable_gain(rows: float, alpha: float) -> tuple[float, float]:
    """The gain that the gate's test on ``rows`` rows finds 4 times in 5, and the share of answers
    that change, to better or worse, for which that holds; both as fractions. Where skills count the
    same, ``rows`` are ``effective_rows``.

    McNemar's test needs d = (z_alpha sqrt(psi) + z_beta sqrt(psi - d^2)) / sqrt(n), with d the gain
    and psi the share of rows that the two students answer differently (Connor 1987), one side of
    ``alpha``, and the exact test half a row more (fitted: at 5 % it finds such gains 79 to 82 times
    in a hundred, on 10 rows as on 1,000). A gain is at most the share that changes, so where three
    answers in ten are too few, psi is the gain itself.

    >>> [round(x, 3) for x in detectable_gain(200, 0.05)]
    [0.098, 0.3]
    """
    rows, gain = max(rows, 1.0), 0.0
    for _ in range(50):  # converges in a few
        psi = max(CHANGED, gain)
        gain = _STEP / rows + (
            _quantile(1 - alpha) * math.sqrt(psi) + _Z_POWER * math.sqrt(psi - gain**2)
        ) / math.sqrt(rows)
        gain = min(gain, 1.0)
    return gain, max(CHANGED, gain)


def missed(rows: int, counted: float, alpha: float, seen: str = "") -> str:
    """What ``detectable_gain`` says, in words that are true; ``counted`` are effective rows,
    ``seen`` is what is known of the answers that changed.

    >>> missed(200, 200, 0.05)
    'with 200 select rows a gain under 9.8 points is missed more than one time in five (if 30 % of \
the answers turn right or wrong)'
    """
    gain, changed = detectable_gain(counted, alpha)
    weighed = "" if counted > rows - 1 else f", which count as {counted:.0f},"
    return (
        f"with {how_many(rows, 'select rows')}{weighed} a gain under {100 * gain:.2g} points is "
        f"missed more than one time in five (if {100 * changed:.0f} % of the answers turn right or "
        f"wrong{seen})"
    )


def effective_rows(sizes: Iterable[float]) -> float:
    """As how many rows those of skills with ``sizes`` rows count when every skill counts the same.

    Rows of weight w tell as much as n = (sum of w)^2 / sum of w^2 rows of one weight (Kish 1965,
    section 11.7); with w = 1 / size that is k^2 / sum of 1 / size for k skills. A size below 1 is
    the chance that the skill has a row at all.

    >>> effective_rows([100, 100]), round(effective_rows([180, 20])), effective_rows([0.5] * 40)
    (200.0, 72, 20.0)
    """
    there = [(min(1.0, size), max(1.0, size)) for size in sizes if size > 0]
    skills = sum(chance for chance, _ in there)
    return skills**2 / sum(chance / size for chance, size in there) if there else 0.0


def _quantile(p: float) -> float:
    """The standard normal quantile; ``statistics.NormalDist`` costs 10 ms to import."""
    low, high = -9.0, 9.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(-middle / math.sqrt(2)) / 2 < p else (low, middle)
    return low
