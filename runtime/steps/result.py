"""``result``: test is open, once, for base and champion: the gain, its interval, the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.comparing import change, family, metric_of, on_guard
from dagent.runtime.graders import average, by_skill, weights
from dagent.runtime.judging import scores
from dagent.runtime.requirements import judge, said
from dagent.runtime.rows import read_json, read_rows, write_json
from dagent.runtime.statistics import difference_interval, mean_interval, paired_test
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "result"
version = 7


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    """``gain`` is champion minus base on test: ``test_pp`` in points, ``ci`` the 95 % interval of
    it in points, ``relative`` as a share of the base (``None`` for a base of 0), ``p`` two-sided
    and ``by`` which test. Of several metrics each stands in ``metrics``, with ``p_holm`` adjusted
    for their number; the first decides. ``watched`` says the same of every guard and of every task
    that is a metric, adjusted for theirs."""
    metric = step.params["metrics"][0]
    base, champion = read_rows(inputs["base"].path), read_rows(inputs["champion"].path)
    selected = read_rows(inputs["select"].path)
    old, new = scores(base, metric["name"]), scores(champion, metric["name"])
    before, after = average(old, base, metric), average(new, champion, metric)
    counts = weights(base, metric)
    archive = read_json(inputs["archive"].path)
    number = archive[-1]["champion_round"] if archive else 0
    same = number == 0  # no round beat the base
    low, high = (0.0, 0.0) if same else difference_interval(old, new, counts)
    test = paired_test(old, new, counts)
    named = {m["name"]: m for m in step.params["metrics"]}
    measured, judges = {"test": champion, "select": selected}, dict(named)
    for guard in step.params["watched"]:
        measured[guard["set"]] = read_rows(inputs[f"guard.{guard['set']}"].path)
        judges[guard["metric"]] = metric_of(guard)
    verdicts = [
        (r, judge(r, measured[r["set"]], judges[r["metric"]])) for r in step.params["requirements"]
    ]
    result: dict[str, Any] = {
        "base": {
            "test": before,
            "interval": mean_interval(old, counts),
            "by_skill": by_skill(old, base),
        },
        "champion": {
            "round": number,
            "test": after,
            "interval": mean_interval(new, counts),
            "by_skill": by_skill(new, champion),
        },
        "gain": {
            "test_pp": 100 * (after - before),
            "relative": (after - before) / before if before else None,
            "ci": [100 * low, 100 * high],
            "p": test.two_sided,
            "by": test.by,
            "fixed": test.fixed,
            "broken": test.broken,
        },
        "requirements": [
            {**r, "goal": said(r), "met": verdict.met, "value": verdict.value, "says": verdict.says}
            for r, verdict in verdicts
        ],
    }
    if len(named) > 1:
        changes = family(change(base, champion, m, same=same) for m in named.values())
        result["metrics"] = [
            {"name": name, **told} for name, told in zip(named, changes, strict=True)
        ]
    if step.params["watched"]:
        result["watched"] = _watched(step.params["watched"], inputs, same=same)
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


def _watched(
    guards: Sequence[Mapping[str, Any]], inputs: Mapping[str, Artifact], *, same: bool
) -> list[dict[str, Any]]:
    """Base and champion on each, and how sure their difference is."""
    changes = [on_guard(guard, inputs, same=same) for guard in guards]
    return [
        {
            "name": guard["set"],
            "metric": guard["metric"],
            "rows": found.rows,
            **told,
            "max_drop_pp": None if guard["max_drop"] is None else 100 * guard["max_drop"],
        }
        for guard, found, told in zip(guards, changes, family(changes), strict=True)
    ]


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
