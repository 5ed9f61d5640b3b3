"""``calibrate``: a judge examines rows that are known to be right or wrong; its threshold is the
score that tells them apart best. The judge is a verifier's, or a metric's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.graders import grader
from dagent.runtime.rows import read_rows, write_json
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "calibrate"
version = 1
LABELS_SEED = 0  # which rows: any will do, so long as they are the same


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    from dagent.runtime.agents import checking, judge
    from dagent.runtime.agents.verifier import labelled

    metric = step.params["metric"]
    right = read_rows(inputs["labelled"].path)
    known = labelled(right, grader(metric, context.project), LABELS_SEED)
    program = inputs["program"].path if "program" in inputs else None
    found = (
        checking.calibration(step, known, program, context)
        if "verifier" in step.params
        else judge.calibration(metric, known, right, step, context)
    )
    return StepOutput(
        {"calibration": write_json(context.scratch / "calibration.json", found.model_dump())},
        {"agreement": found.agreement, "threshold": found.threshold},
        f"agrees with {found.agreement:.0%} of {found.rows} labelled rows at {found.threshold:g}",
    )
