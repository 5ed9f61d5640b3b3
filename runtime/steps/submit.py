"""``submit``: the first rows of a program's submission, after the leak scan, are trained on.

Too few of them are no submission: the round then trains nothing. How hard the rows are is measured
by what the untouched student gets wrong of a sample.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.judging import judged, scores
from dagent.runtime.rows import read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "submit"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    params = step.params
    clean, kept = read_rows(inputs["rows"].path), read_rows(inputs["kept"].path)
    added = clean[: params["rows"]] if len(clean) >= params["least"] else []
    context.meter.reserve(step.id, (f"round:{params['round']}",), rows=len(added))
    metrics: dict[str, float] = {"added": len(added)}
    if added:
        some = random.Random(params["seed"]).sample(added, min(params["sample"], len(added)))
        metric = params["metric"]
        answered = judged(
            some, inputs["model"], params["answering"], [metric], step, inputs, context
        )
        metrics["difficulty"] = 1 - sum(scores(answered, metric["name"])) / len(answered)
    return StepOutput(
        {
            "added": write_rows(context.scratch / "added.jsonl", added),
            "train": write_rows(context.scratch / "train.jsonl", [*kept, *added] if added else []),
        },
        metrics,
        f"{how_many(len(added), 'rows')}, {metrics['difficulty']:.0%} of a sample wrong before "
        "training"
        if added
        else f"{len(clean)} rows are fewer than {params['least']}: nothing is submitted",
    )
