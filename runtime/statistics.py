"""The statistics that decisions rest on; scipy does the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

_ROUNDING = 1e-9
_FEW = 10  # changed rows, of which a bootstrap knows too little


@dataclass(frozen=True, slots=True)
class Paired:
    """Two graded runs over the same rows.

    ``difference`` is mean(new) - mean(old) in 0..1; ``better``, ``worse`` are one-sided p-values;
    ``fixed`` and ``broken`` count the rows that went up and down; ``by`` names the test.
    """

    difference: float
    better: float
    worse: float
    fixed: int
    broken: int
    by: str

    @property
    def two_sided(self) -> float:
        return min(1.0, 2 * min(self.better, self.worse))


def paired_test(
    old: Sequence[float], new: Sequence[float], weights: Sequence[float] | None = None
) -> Paired:
    """Exact McNemar test for right-or-wrong scores, else a permutation test of their mean.

    McNemar's (1947, exact form) is a binomial test of ``fixed`` out of ``fixed + broken`` against
    one half. Scores in between, such as F1, differ by how much as well as how often: there the
    signs of the differences are flipped, all of them where they are few, else 9,999 times by a
    fixed seed. So it is where rows count differently, by ``weights`` of mean 1. A row whose score
    did not change says nothing.
    """
    moves = _differences(old, new, None)
    fixed, broken = int((moves > 0).sum()), int((moves < 0).sum())
    changed = fixed + broken
    better = worse = 1.0
    differences = _differences(old, new, weights)
    exact = weights is None and {*old, *new} <= {0, 1}
    if changed and exact:
        better = float(stats.binomtest(fixed, changed, alternative="greater").pvalue)
        worse = float(stats.binomtest(fixed, changed, alternative="less").pvalue)
    elif changed:
        better, worse = (_flipped(differences, side) for side in ("greater", "less"))
    difference = (sum(new) - sum(old)) / len(old) if old else 0.0
    if weights is not None:
        difference = float(differences.mean())
    by = "exact McNemar test" if exact else "paired permutation test"
    return Paired(difference, better, worse, fixed, broken, by)


def _differences(
    old: Sequence[float], new: Sequence[float], weights: Sequence[float] | None
) -> Any:
    """New minus old, weighted; a rounding error, such as 0.1 + 0.2 - 0.3, is no difference."""
    differences = np.asarray(new, dtype=float) - np.asarray(old, dtype=float)
    differences[np.abs(differences) < _ROUNDING] = 0.0
    return differences if weights is None else differences * np.asarray(weights, dtype=float)


def _flipped(differences: Any, alternative: str) -> float:
    """One-sided p of the mean difference when every difference's sign is a coin's."""
    moved = differences[differences != 0]
    if moved.size == 1:  # scipy wants two; one that is nothing has no sign to flip
        moved = np.append(moved, 0.0)
    found = stats.permutation_test(
        (moved,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        n_resamples=9_999,
        batch=1_000,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def difference_interval(
    old: Sequence[float],
    new: Sequence[float],
    weights: Sequence[float] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval (BCa, 9,999 resamples of rows) of the mean paired difference, in 0..1.
    ``weights`` as in ``paired_test``; the sizes of the skills count as drawn, which widens it.

    Rows that all changed alike, most often not at all, leave a bootstrap no spread, and yet others
    may change otherwise: as many as the exact bound allows of which none was seen. Where few
    changed, a row more that went up and one more that went down are added, by as much as those did,
    as in the interval of Bonett and Price (2012); else it is too narrow, and ends at 0 where only
    one side was seen.
    """
    differences = _differences(old, new, weights)
    if differences.size == 0:
        return -1.0, 1.0
    mean = float(differences.mean())
    if np.ptp(differences) == 0:
        rows = _effective(differences.size, weights)
        unseen = float(stats.beta.ppf((1 + confidence) / 2, 1, rows))
        return mean - unseen * (1 + mean), mean + unseen * (1 - mean)
    moves = _differences(old, new, None)
    moves = moves[moves != 0]
    if moves.size < _FEW:
        much = float(np.sqrt(np.mean(moves**2)))
        differences = np.append(differences, [much, -much])
    found = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=confidence,
        n_resamples=9_999,
        batch=1_000,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return max(-1.0, min(mean, found.low)), min(1.0, max(mean, found.high))


def mean_interval(
    scores: Sequence[float], weights: Sequence[float] | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """Wilson interval of a proportion; for scores between 0 and 1 the sum is rounded to a count,
    which widens the interval (a score's variance is at most that of a proportion of equal mean).
    With ``weights`` of mean 1 the rows count as the effective number of them (Kish 1965)."""
    if not scores:
        return 0.0, 1.0
    if weights is not None:
        return _weighted_interval(scores, weights, confidence)
    found = stats.binomtest(round(sum(scores)), len(scores)).proportion_ci(confidence, "wilson")
    return float(found.low), float(found.high)


def _weighted_interval(
    scores: Sequence[float], weights: Sequence[float], confidence: float
) -> tuple[float, float]:
    from statsmodels.stats.proportion import proportion_confint

    mean, effective = float(np.average(scores, weights=weights)), _effective(len(scores), weights)
    low, high = proportion_confint(mean * effective, effective, 1 - confidence, "wilson")
    return float(low), float(high)


def _effective(rows: int, weights: Sequence[float] | None) -> float:
    return rows if weights is None else rows**2 / sum(w * w for w in weights)


@dataclass(frozen=True, slots=True)
class Difference:
    """``mean`` with its 95 % interval and two-sided ``p``, over ``pairs`` pairs; no interval, and
    a ``p`` of 1, where the pairs show no spread that could be compared with it."""

    mean: float
    low: float | None
    high: float | None
    p: float
    pairs: int


def difference_over_seeds(old: Sequence[float], new: Sequence[float]) -> Difference:
    """Paired t test of values that pair by their seed; seeds are a random effect: estimate and
    standard error are those of a mixed model with an intercept for each seed, and t, unlike its
    normal limit, counts how few the seeds are.

    Two pairs are the least. Equal differences leave the test nothing to tell noise by.
    """
    differences = np.asarray(new, dtype=float) - np.asarray(old, dtype=float)
    mean = float(differences.mean())
    if np.ptp(differences) < 1e-12:
        return Difference(mean, None, None, 1.0, differences.size)
    test = stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(0.95)
    low, high = float(interval.low), float(interval.high)
    return Difference(mean, low, high, float(test.pvalue), differences.size)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being several (Holm 1979): reject those that stay below the level."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []
