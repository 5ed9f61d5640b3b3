"""``evaluate``: a student answers a set of rows; every metric judges, in all and per skill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.gpu import needs_gpu
from dagent.runtime.grade import graded
from dagent.runtime.graders import average, by_skill, grader, ready, weights
from dagent.runtime.judging import judged, scores
from dagent.runtime.rows import Row, read_rows, write_json, write_rows
from dagent.runtime.statistics import mean_interval
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "evaluate"
version = 3


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    """The first evaluation asks for all: every step is judged by the same metrics."""
    if step.round == 0 and step.params["set"] == "select":
        if step.params["answering"].get("engine") == "vllm":
            yield from needs_gpu("E874", "engine = vllm", "vllm", "engine = transformers")
        for metric in step.params["metrics"]:
            yield from ready(metric, project)


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    metrics = step.params["metrics"]
    rows = judged(
        read_rows(inputs["rows"].path),
        inputs["model"],
        step.params["answering"],
        metrics,
        step,
        inputs,
        context,
    )
    found: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        got = scores(rows, metric["name"])
        found[metric["name"]] = {
            "value": average(got, rows, metric),
            "interval": mean_interval(got, weights(rows, metric)),
            "rows": len(rows),
            "by_skill": by_skill(got, rows),
        }
    first = found[metrics[0]["name"]]
    low, high = first["interval"]
    return StepOutput(
        {
            "answers": write_rows(context.scratch / "answers.jsonl", rows),
            "metrics": write_json(context.scratch / "metrics.json", found),
        },
        {name: f["value"] for name, f in found.items()},
        f"{metrics[0]['name']} {first['value']:.1%} ({low:.1%} to {high:.1%}) "
        f"on {how_many(len(rows), 'rows')}{_unsound(rows, step, context)}",
    )


def _unsound(rows: Sequence[Row], step: Step, context: Context) -> str:
    """Which right answers a grader finds wrong: to those rows no student can answer well. Asked
    once for a set, where the untouched student answers it."""
    if not step.inputs["model"].endswith("student/model"):
        return ""
    found = []
    for metric in step.params["metrics"]:
        grade = grader(metric, context.project)
        own = graded(grade, [(row["answer"], row) for row in rows])
        failing = [(row, one) for row, one in zip(rows, own, strict=True) if one.score < 1]
        if failing:
            row, one = failing[0]
            why = one.reason or f"it scores {one.score:g}"
            found.append(
                f"; {metric['name']} finds the right answers of {how_many(len(failing), 'rows')} "
                f"wrong, first that of `{row['id']}`: {why}"
            )
    return "".join(found)
