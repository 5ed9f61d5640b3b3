"""``train``: the chain of TRL stages, in the worker, on all rows kept so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "train"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    model, log = context.scratch / "model", context.scratch / "log.jsonl"
    done = context.worker.call(
        "train",
        context.progress,
        model=str(inputs["model"].path),
        rows=str(inputs["rows"].path),
        out=str(model),
        log=str(log),
        **step.params,
    )
    metrics = {"rows": done["rows"]}
    if done["loss"] is not None:
        metrics["loss"] = done["loss"]
    return StepOutput({"model": model, "log": log}, metrics, f"trained on {done['rows']} rows")
