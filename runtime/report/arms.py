"""The comparison of a plan with arms: table, figure, and tests against the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagent.runtime.report import charts, parts
from dagent.runtime.report.markup import Part, el


def comparison(found: Mapping[str, Any] | None) -> Part:
    """``found`` is ``comparison`` of ``execution_finished``; ``None`` before the end."""
    if found is None:
        return el(
            "p",
            "Not finished: arms are compared on test, which is opened once, at the end.",
            class_="note",
        )
    ahead = {c["arm"]: c for c in found["loop_minus"]}
    over_seeds = found["unit"] == "seeds"
    base = found["base"]
    seeds = ", ".join(map(str, found["seeds"]))
    points = [_point(arm, base) for arm in found["arms"]]
    return el(
        "section",
        el("h2", "The arms compared"),
        el("p", _lead(found["loop_minus"]), class_="goal"),
        el(
            "p",
            f"Every arm had the same budget. On test the base has {parts.percent(base)} "
            f"{found['metric']}. Differences are tested "
            + (
                f"over seeds {seeds}, paired."
                if over_seeds
                else f"over the rows of test, seed {seeds} alone; of other seeds they say nothing."
            ),
        ),
        parts.figure(
            charts.arms(points),
            "Gain over the base on test, in points. Filled: mean; "
            "rings: single seeds; lines: 95 % intervals.",
        ),
        parts.table(
            ("arm", "test", "by seed", "gain over the base", "the loop is ahead by", "Holm"),
            [
                (
                    a["arm"],
                    parts.percent(a["test"]),
                    ", ".join(f"{100 * v:.1f}" for v in a["by_seed"]),
                    _points(a["gain"]),
                    _points(ahead[a["arm"]]) if a["arm"] in ahead else "",
                    parts.p_value(ahead[a["arm"]]["p_holm"]) if a["arm"] in ahead else "",
                )
                for a in found["arms"]
            ],
            f"Points with 95 % intervals; p adjusted by Holm for {len(ahead)} comparisons",
            numbers=(1, 5),
        ),
    )


def _point(arm: Mapping[str, Any], base: float) -> charts.ArmPoint:
    low, high = arm["gain"]["ci"]
    seeds = tuple(100 * (value - base) for value in arm["by_seed"])
    return charts.ArmPoint(arm["arm"], arm["gain"]["pp"], low, high, seeds)


def _lead(others: Sequence[Mapping[str, Any]], alpha: float = 0.05) -> str:
    """Of which arms the loop is ahead beyond noise, and of which not."""
    ahead = [c["arm"] for c in others if c["p_holm"] <= alpha and c["pp"] > 0]
    behind = [c["arm"] for c in others if c["p_holm"] <= alpha and c["pp"] < 0]
    even = [c["arm"] for c in others if c["p_holm"] > alpha]
    told = [
        (ahead, "The loop is ahead of {} beyond noise."),
        (behind, "It is behind {} beyond noise."),
        (even, "No difference from {} beyond noise was found."),
    ]
    return " ".join(says.format(_and(names)) for names, says in told if names)


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _points(found: Mapping[str, Any]) -> str:
    low, high = found["ci"]
    between = "seeds agree" if low is None else f"{low:+.1f} to {high:+.1f}"
    return f"{found['pp']:+.1f} ({between})"
