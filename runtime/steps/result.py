"""``result``: test is open, once, for base and champion: the gain, its interval, the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.graders import average, by_skill
from dagent.runtime.judging import scores
from dagent.runtime.requirements import judge
from dagent.runtime.rows import Row, read_json, read_rows, write_json
from dagent.runtime.statistics import difference_interval, holm, mean_interval, paired_test
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "result"
version = 3


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    """``gain`` is champion minus base on test: ``test_pp`` in points, ``ci`` the 95 % interval of
    it in points, ``relative`` as a share of the base (``None`` for a base of 0), ``p`` two-sided
    and exact. Of several metrics each stands in ``metrics``, with ``p_holm`` adjusted for their
    number; the first decides."""
    metric = step.params["metrics"][0]
    base, champion = read_rows(inputs["base"].path), read_rows(inputs["champion"].path)
    selected = read_rows(inputs["select"].path)
    old, new = scores(base, metric["name"]), scores(champion, metric["name"])
    before, after = average(old, base, metric), average(new, champion, metric)
    low, high = difference_interval(old, new)
    test = paired_test(old, new)
    named = {m["name"]: m for m in step.params["metrics"]}
    verdicts = [
        (r, judge(r, champion if r["set"] == "test" else selected, named[r["metric"]]))
        for r in step.params["requirements"]
    ]
    archive = read_json(inputs["archive"].path)
    result: dict[str, Any] = {
        "base": {"test": before, "interval": mean_interval(old), "by_skill": by_skill(old, base)},
        "champion": {
            "round": archive[-1]["champion_round"] if archive else 0,
            "test": after,
            "interval": mean_interval(new),
            "by_skill": by_skill(new, champion),
        },
        "gain": {
            "test_pp": 100 * (after - before),
            "relative": (after - before) / before if before else None,
            "ci": [100 * low, 100 * high],
            "p": test.two_sided,
            "fixed": test.fixed,
            "broken": test.broken,
        },
        "requirements": [
            {**r, "met": verdict.met, "value": verdict.value, "says": verdict.says}
            for r, verdict in verdicts
        ],
    }
    if len(named) > 1:
        result["metrics"] = [*_each(step.params["metrics"], base, champion)]
    efforts = [entry["effort"] for entry in archive if "effort" in entry]
    if efforts:
        result["programs"] = programs(efforts)
    return StepOutput(
        {"result": write_json(context.scratch / "result.json", result)},
        {"base_test": before, "champion_test": after, "gain_pp": 100 * (after - before)},
        f"{metric['name']} on test: {before:.1%} to {after:.1%} "
        f"({100 * (after - before):+.1f} points, "
        f"95 % interval {100 * low:+.1f} to {100 * high:+.1f})",
    )


def _each(
    metrics: Sequence[Mapping[str, Any]], base: Sequence[Row], champion: Sequence[Row]
) -> Iterable[dict[str, Any]]:
    """What the champion gained by every metric, in the order of the spec."""
    pairs = [(scores(base, m["name"]), scores(champion, m["name"])) for m in metrics]
    tests = [paired_test(old, new).two_sided for old, new in pairs]
    for metric, (old, new), p, adjusted in zip(metrics, pairs, tests, holm(tests), strict=True):
        before, after = average(old, base, metric), average(new, champion, metric)
        yield {
            "name": metric["name"],
            "base": before,
            "champion": after,
            "gain_pp": 100 * (after - before),
            "ci": [100 * end for end in difference_interval(old, new)],
            "p": p,
            "p_holm": adjusted,
        }


def programs(efforts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the programs of all rounds took: ``mats`` is attempts for each valid submission."""
    attempts, valid = (sum(e[name] for e in efforts) for name in ("attempts", "valid"))
    errors: Counter[str] = Counter()
    for one in efforts:
        errors.update(one["errors"])
    return {
        "attempts": attempts,
        "valid": valid,
        "mats": attempts / valid if valid else None,
        "calls": sum(e["calls"] for e in efforts),
        "errors": dict(sorted(errors.items())),
    }
