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
from dagent.compiler.variants import variant_id
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.judging import scores
from dagent.runtime.rows import read_json, read_rows, write_json
from dagent.runtime.statistics import (
    Difference,
    difference_interval,
    difference_over_seeds,
    holm,
    paired_test,
)
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "compare"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    """Accuracies in 0..1, differences and their 95 % intervals in points; ``p_holm`` is adjusted
    for the number of arms."""
    arms, seeds = step.params["arms"], step.params["seeds"]
    metric = step.params["metric"]
    ends = {
        (arm, seed): read_json(inputs[f"result:{variant_id(arm, seed)}"].path)
        for arm in arms
        for seed in seeds
    }
    tests = {arm: [ends[arm, seed]["champion"]["test"] for seed in seeds] for arm in arms}
    bases = [ends[LOOP, seed]["base"]["test"] for seed in seeds]

    def answers(end: str, arm: str) -> list[float]:
        rows = read_rows(inputs[f"{end}:{variant_id(arm, seeds[0])}"].path)
        return scores(rows, metric)

    def difference(old: Sequence[float], new: Sequence[float], rows: Any) -> Difference:
        return difference_over_seeds(old, new) if len(seeds) > 1 else _over_rows(*rows())

    gains = {
        arm: difference(bases, tests[arm], lambda a=arm: (answers("base", a), answers("test", a)))
        for arm in arms
    }
    against = {
        arm: difference(
            tests[arm], tests[LOOP], lambda a=arm: (answers("test", a), answers("test", LOOP))
        )
        for arm in arms
        if arm != LOOP
    }
    adjusted = dict(zip(against, holm([d.p for d in against.values()]), strict=True))
    comparison = {
        "metric": metric,
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
    }
    return StepOutput(
        {"comparison": write_json(context.scratch / "comparison.json", comparison)},
        {f"test/{arm}": _mean(tests[arm]) for arm in arms},
        f"{len(arms)} arms over {len(seeds)} seeds: "
        + ", ".join(f"{arm} {_mean(tests[arm]):.1%}" for arm in arms),
    )


def _over_rows(old: Sequence[float], new: Sequence[float]) -> Difference:
    test = paired_test(old, new)
    low, high = difference_interval(old, new)
    return Difference(test.difference, low, high, test.two_sided, len(old))


def _points(found: Difference) -> dict[str, Any]:
    return {
        "pp": 100 * found.mean,
        "ci": [None if end is None else 100 * end for end in (found.low, found.high)],
        "p": found.p,
        "pairs": found.pairs,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
