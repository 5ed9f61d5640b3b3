"""``benchmark``: a task of lm-evaluation-harness, run by that library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import write_json, write_rows
from dagent.runtime.statistics import mean_interval
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "benchmark"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    name, pinned = f"lm_eval:{step.params['task']}", step.params["lm_eval"]
    try:
        found = installed("lm_eval")
    except PackageNotFoundError:
        yield Diagnostic(
            "E818",
            f"the task `{name}` needs lm-evaluation-harness, which is not installed",
            suggestion="pip install 'dagent[lm-eval]', then compile and execute again",
        )
        return
    if found != pinned:
        yield Diagnostic(
            "E804",
            f"the task `{name}` was compiled with lm_eval {pinned or 'missing'}, and {found} is "
            "installed",
            suggestion="compile again",
        )


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    name = step.params["name"]
    rows = context.worker.call(
        "benchmark",
        context.progress,
        model=str(inputs["model"].path),
        project=str(context.project),
        asked=dict(step.params),
    )
    got = [row["scores"][name] for row in rows]
    value, (low, high) = sum(got) / len(got), mean_interval(got)
    found = {"value": value, "interval": (low, high), "rows": len(rows), "by_skill": {}}
    return StepOutput(
        {
            "answers": write_rows(context.scratch / "answers.jsonl", rows),
            "metrics": write_json(context.scratch / "metrics.json", {name: found}),
        },
        {name: value},
        f"{step.params['task']} {value:.1%} ({low:.1%} to {high:.1%}) "
        f"on {how_many(len(rows), 'rows')}",
    )
