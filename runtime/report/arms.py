"""The comparison of a plan with arms: table, figure, and tests against the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagent.compiler.quantity import how_many
from dagent.runtime.report import charts, parts
from dagent.runtime.report.markup import Part, el
from dagent.runtime.wording import LEVEL, between, beyond_noise, no_spread


def comparison(end: Mapping[str, Any] | None, rows: int = 0) -> Part:
    """``end`` is ``execution_finished``; ``None`` before the end. ``rows`` are those of test, 0
    where they are not known."""
    if end is None:
        return el(
            "p",
            "Not finished: arms are compared on test, which is opened once, at the end.",
            class_="note",
        )
    found = end["comparison"]
    ahead = {c["arm"]: c for c in found["loop_minus"]}
    over_seeds = found["unit"] == "seeds"
    note = no_spread(found)
    base = found["base"]
    seeds = ", ".join(map(str, found["seeds"]))
    points = [_point(arm, base) for arm in found["arms"]]
    return el(
        "section",
        el("h2", "The arms compared"),
        el("p", _gained(found["arms"][0]), _lead(found["loop_minus"]), class_="goal"),
        el(
            "p",
            f"Every arm had the same budget. The base has {parts.percent(base)} {found['metric']} "
            + (f"on {how_many(rows, 'test rows')}" if rows else "on test")
            + ", which were opened once, at the end. Differences are tested "
            + (
                f"over seeds {seeds}, paired (t): seeds are a random effect. All seeds answer the "
                "same rows of test, so how other rows would end is not in the intervals."
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
                    _p(ahead[a["arm"]]) if a["arm"] in ahead else "",
                )
                for a in found["arms"]
            ],
            "Points with 95 % intervals; p two-sided, adjusted by Holm's method"
            + (f" for {len(ahead)} comparisons" if len(ahead) > 1 else ""),
            numbers=(1, 5),
            spare=(2,),
        ),
        _beside(found.get("beside", ())),
        el("p", f"{note[0].upper()}{note[1:]}.", class_="note") if note else None,
        _goals(found.get("goals", ()), len(found["seeds"])),
        _handed_over(end),
    )


def _beside(told: Sequence[Mapping[str, Any]]) -> Part:
    """Guards, tasks and the metrics after the first, arm by arm."""
    return (
        parts.table(
            ("what", "arm", "base", "champion", "difference", "Holm", "may lose"),
            [
                (
                    one["name"]
                    if one["metric"] == one["name"]
                    else f"{one['name']} ({one['metric']})",
                    arm["arm"],
                    parts.percent(arm["base"]),
                    parts.percent(arm["champion"]),
                    _points(arm),
                    _p(arm),
                    "" if one["max_drop_pp"] is None else f"{one['max_drop_pp']:.1f}",
                )
                for one in told
                for arm in one["arms"]
            ],
            "Guards, tasks and further metrics: the champions against the base, in points with "
            "95 % intervals; p two-sided, adjusted by Holm's method for all of them",
            numbers=(2, 3, 5, 6),
        )
        if told
        else None
    )


def _goals(goals: Sequence[Mapping[str, Any]], seeds: int) -> Part:
    return (
        parts.table(
            ("goal", *goals[0]["met"]),
            [
                (goal["says"], *(f"{met} of {seeds}" for met in goal["met"].values()))
                for goal in goals
            ],
            "Goals: in how many seeds each arm's champion met them",
            numbers=range(1, 1 + len(goals[0]["met"])),
        )
        if goals
        else None
    )


def used(each: Sequence[tuple[str, Mapping[str, Any], int]]) -> Part:
    """What every arm and seed used, as the journal counts it: name, amounts by unit, trainings."""
    units = [unit for unit in each[0][1] if unit not in ("rounds", "wall")] if each else []
    return parts.table(
        ("arm and seed", "trainings", *units),
        [
            (name, trainings, *(f"{amounts.get(unit, 0):,.0f}" for unit in units))
            for name, amounts, trainings in each
        ],
        "What each used. What several share is counted for each of them, and was done once",
        numbers=range(1, 2 + len(units)),
    )


def _handed_over(end: Mapping[str, Any]) -> Part:
    """Which of the loop's students is the champion of the whole, and what it gained itself."""
    low, high = end["gain"]["ci"]
    number = end["champion"]["round"]
    arm, _, seed = end["best"].rpartition("/s")
    which = (
        f"of round {number}, chosen on select. Its own gain on test: "
        f"{end['gain']['test_pp']:+.1f} points ({low:+.1f} to {high:+.1f})."
        if number
        else "the untouched student: the gate took no other."
    )
    told = f"The model handed over is the {arm}'s of seed {seed}, {which}"
    return el("p", told, class_="note")


def _point(arm: Mapping[str, Any], base: float) -> charts.ArmPoint:
    low, high = arm["gain"]["ci"]
    seeds = tuple(100 * (value - base) for value in arm["by_seed"])
    return charts.ArmPoint(arm["arm"], arm["gain"]["pp"], low, high, seeds)


def _gained(loop: Mapping[str, Any]) -> str:
    gain = loop["gain"]
    said = gain["ci"][0] is not None and beyond_noise(gain["pp"], gain["p"])
    sure = f", {said}" if said else ""
    return f"The {loop['arm']} gains {gain['pp']:+.1f} points ({between(gain)}){sure}. "


def _lead(others: Sequence[Mapping[str, Any]], alpha: float = LEVEL) -> str:
    """Of which arms the loop is ahead beyond noise, and of which not."""
    ahead = [c["arm"] for c in others if c["p_holm"] <= alpha and c["pp"] > 0]
    behind = [c["arm"] for c in others if c["p_holm"] <= alpha and c["pp"] < 0]
    untold = [c["arm"] for c in others if c["ci"][0] is None]
    even = [c["arm"] for c in others if c["p_holm"] > alpha and c["arm"] not in untold]
    told = [
        (ahead, "The loop is ahead of {} beyond noise."),
        (behind, "It is behind {} beyond noise."),
        (even, "No difference from {} beyond noise was found."),
        (untold, "Of {} nothing can be told."),
    ]
    return " ".join(says.format(_and(names)) for names, says in told if names)


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _points(found: Mapping[str, Any]) -> str:
    return f"{found['pp']:+.1f} ({between(found)})"


def _p(found: Mapping[str, Any]) -> str:
    return "no test" if found["ci"][0] is None else parts.p_value(found["p_holm"])
