"""``compare``: every arm against the loop, over the seeds, at the end of all of them.

With several seeds a difference is tested over seeds, since runs that differ in their seed alone
differ too; with one seed it is tested over the rows of test, and says nothing of other seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.arms import LOOP
from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.compiler.variants import variant_id
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.comparing import change
from dagent.runtime.rows import Row, read_json, read_rows, write_json
from dagent.runtime.statistics import (
    Difference,
    difference_over_seeds,
    holm,
)
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "compare"
version = 4


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    """Accuracies in 0..1, differences and their 95 % intervals in points; ``p_holm`` is adjusted
    for the number of arms. ``beside`` says of every further metric, guard and task what each arm's
    champions changed against the base, its ``p_holm`` adjusted for all of these; ``goals`` in how
    many seeds each arm met each."""
    arms, seeds = step.params["arms"], step.params["seeds"]
    metric = {"name": step.params["metric"], "average": step.params["average"]}
    ends = {
        (arm, seed): read_json(inputs[f"result:{variant_id(arm, seed)}"].path)
        for arm in arms
        for seed in seeds
    }
    tests = {arm: [ends[arm, seed]["champion"]["test"] for seed in seeds] for arm in arms}
    bases = [ends[LOOP, seed]["base"]["test"] for seed in seeds]

    def answers(end: str, arm: str) -> list[Row]:
        return read_rows(inputs[f"{end}:{variant_id(arm, seeds[0])}"].path)

    def over_rows(old: tuple[str, str], new: tuple[str, str]) -> Difference:
        """Of one seed; an untouched student is the base itself."""
        same = all(end == "base" or _untouched(ends[arm, seeds[0]]) for end, arm in (old, new))
        return _over_rows(answers(*old), answers(*new), metric, same=same)

    several = len(seeds) > 1
    gains = {
        arm: difference_over_seeds(bases, tests[arm])
        if several
        else over_rows(("base", arm), ("test", arm))
        for arm in arms
    }
    against = {
        arm: difference_over_seeds(tests[arm], tests[LOOP])
        if several
        else over_rows(("test", arm), ("test", LOOP))
        for arm in arms
        if arm != LOOP
    }
    adjusted = dict(zip(against, holm([d.p for d in against.values()]), strict=True))
    comparison = {
        "metric": metric["name"],
        "seeds": seeds,
        "unit": "seeds" if len(seeds) > 1 else "rows",
        "base": _mean(bases),
        "arms": [
            {
                "arm": arm,
                "test": _mean(tests[arm]),
                "by_seed": tests[arm],
                "rounds": [ends[arm, seed]["champion"]["round"] for seed in seeds],
                "gain": _points(gains[arm]),
            }
            for arm in arms
        ],
        "loop_minus": [
            {"arm": arm, **_points(found), "p_holm": adjusted[arm]}
            for arm, found in against.items()
        ],
        "beside": _beside(ends, arms, seeds),
        "goals": _goals(ends, arms, seeds),
    }
    return StepOutput(
        {"comparison": write_json(context.scratch / "comparison.json", comparison)},
        {f"test/{arm}": _mean(tests[arm]) for arm in arms},
        f"{len(arms)} arms over {how_many(len(seeds), 'seeds')}: "
        + ", ".join(f"{arm} {_mean(tests[arm]):.1%}" for arm in arms),
    )


def _beside(
    ends: Mapping[tuple[str, int], Mapping[str, Any]], arms: Sequence[str], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    """Over the seeds where there are several, else as the one result says it."""

    def measured(arm: str, seed: int) -> list[Mapping[str, Any]]:
        end = ends[arm, seed]
        return [*end.get("metrics", ())[1:], *end.get("watched", ())]

    told = [
        {
            "name": one["name"],
            "metric": one.get("metric", one["name"]),
            "max_drop_pp": one.get("max_drop_pp"),
            "arms": [
                {"arm": arm, **_changed([measured(arm, seed)[i] for seed in seeds])} for arm in arms
            ],
        }
        for i, one in enumerate(measured(LOOP, seeds[0]))
    ]
    each = [of for one in told for of in one["arms"]]
    for of, adjusted in zip(each, holm([of["p"] for of in each]), strict=True):
        of["p_holm"] = adjusted
    return told


def _changed(by_seed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    base, champion = ([one[end] for one in by_seed] for end in ("base", "champion"))
    one = by_seed[0]
    return {
        "base": _mean(base),
        "champion": _mean(champion),
        **(
            _points(difference_over_seeds(base, champion))
            if len(by_seed) > 1
            else {"pp": one["gain_pp"], "ci": one["ci"], "p": one["p"]}
        ),
    }


def _goals(
    ends: Mapping[tuple[str, int], Mapping[str, Any]], arms: Sequence[str], seeds: Sequence[int]
) -> list[dict[str, Any]]:
    return [
        {
            "says": goal["goal"],
            "met": {
                arm: sum(ends[arm, seed]["requirements"][i]["met"] for seed in seeds)
                for arm in arms
            },
        }
        for i, goal in enumerate(ends[LOOP, seeds[0]]["requirements"])
    ]


def _untouched(end: Mapping[str, Any]) -> bool:
    return int(end["champion"]["round"]) == 0


def _over_rows(
    old: Sequence[Row], new: Sequence[Row], metric: Mapping[str, Any], *, same: bool
) -> Difference:
    found = change(old, new, metric, same=same)
    return Difference(found.after - found.before, found.low, found.high, found.p, found.rows)


def _points(found: Difference) -> dict[str, Any]:
    return {
        "pp": 100 * found.mean,
        "ci": [None if end is None else 100 * end for end in (found.low, found.high)],
        "p": found.p,
        "pairs": found.pairs,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
