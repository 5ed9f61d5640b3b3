"""How sure a figure is, in the words of the screen, the report, the cards and MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEVEL = 0.05  # of what is called beyond noise, as intervals are of 95 %


def two_sided(p: float) -> str:
    """
    >>> two_sided(0.0301), two_sided(2e-9)
    ('two-sided p = 0.03', 'two-sided p = 2e-09')
    """
    return f"two-sided p = {p:.2g}"


def one_sided(p: float) -> str:
    return f"one-sided p = {p:.2g}"


def beyond_noise(difference: float, p: float) -> str:
    """What the test says; an interval that was estimated otherwise may differ at its edge."""
    if p > LEVEL:
        return "not beyond noise"
    return "better beyond noise" if difference > 0 else "worse beyond noise"


def between(found: Mapping[str, Any]) -> str:
    """The interval of a difference, in points; over seeds there may be none: see ``no_spread``."""
    low, high = found["ci"]
    return "no interval" if low is None else f"{low:+.1f} to {high:+.1f}"


def adjusted_p(found: Mapping[str, Any]) -> str:
    """The adjusted p of one of several differences, if its seeds let it be tested."""
    return "no test" if found["ci"][0] is None else f"p = {found['p_holm']:.2g}"


def no_spread(comparison: Mapping[str, Any]) -> str | None:
    """Why some differences of a comparison have neither interval nor test, where some have not."""
    told = [arm["gain"] for arm in comparison["arms"]] + comparison["loop_minus"]
    told += [arm for one in comparison.get("beside", ()) for arm in one["arms"]]
    if all(one["ci"][0] is not None for one in told):
        return None
    seeds = len(comparison["seeds"])
    return f"no interval: {seeds} seeds whose differences are equal tell nothing about the spread"
