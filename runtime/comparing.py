"""Two students' graded answers to the same rows: what changed, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagent.runtime.graders import average, weights
from dagent.runtime.judging import scores
from dagent.runtime.rows import Row, read_rows
from dagent.runtime.statistics import difference_interval, holm, paired_test
from dagent.runtime.step import Artifact


@dataclass(frozen=True, slots=True)
class Change:
    """``before`` and ``after`` in 0..1, ``low`` to ``high`` the 95 % interval of the difference,
    ``p`` two-sided."""

    rows: int
    before: float
    after: float
    low: float
    high: float
    p: float

    def told(self) -> dict[str, Any]:
        """As results and decisions say it; differences in points."""
        return {
            "base": self.before,
            "champion": self.after,
            "gain_pp": 100 * (self.after - self.before),
            "ci": [100 * self.low, 100 * self.high],
            "p": self.p,
        }


def change(
    old: Sequence[Row], new: Sequence[Row], metric: Mapping[str, Any], *, same: bool = False
) -> Change:
    """From ``old`` to ``new``, which pair row by row; of the ``same`` student nothing changes, and
    that is certain."""
    before, after = scores(old, metric["name"]), scores(new, metric["name"])
    counts = weights(old, metric)
    low, high = (0.0, 0.0) if same else difference_interval(before, after, counts)
    return Change(
        len(old),
        average(before, old, metric),
        average(after, new, metric),
        low,
        high,
        paired_test(before, after, counts).two_sided,
    )


def on_guard(
    guard: Mapping[str, Any],
    inputs: Mapping[str, Artifact],
    challenger: str = "guard",
    *,
    same: bool = False,
) -> Change:
    """What a student changed on a guard against the base."""
    paths = (inputs[f"{who}.{guard['set']}"].path for who in ("base_guard", challenger))
    old, new = (read_rows(path) for path in paths)
    return change(old, new, metric_of(guard), same=same)


def metric_of(guard: Mapping[str, Any]) -> dict[str, Any]:
    """The metric that a guard is measured by; a task has one of its own, under its name."""
    return {"name": guard["metric"], "average": guard["average"]}


def family(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """What is told of several, with ``p_holm`` adjusted for their number."""
    told = [one.told() for one in changes]
    adjusted = holm([one["p"] for one in told])
    return [{**one, "p_holm": p} for one, p in zip(told, adjusted, strict=True)]
