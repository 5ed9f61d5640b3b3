"""The student answers rows and a metric judges them: shared by diagnose, mix and evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagent.compiler.plan import Step
from dagent.runtime.grade import Grade, graded
from dagent.runtime.graders import grader
from dagent.runtime.rows import Row, read_json
from dagent.runtime.step import Artifact, Context


def judged(
    rows: Sequence[Row],
    model: Artifact,
    answering: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    step: Step,
    inputs: Mapping[str, Artifact],
    context: Context,
) -> list[Row]:
    """The rows, each with the student's ``output``, its ``scores`` by metric name (0..1), and why
    a score is below 1 in ``reasons``. ``inputs`` hold the thresholds of metrics that a language
    model judges.

    Raises:
        OutOfBudget: a judge could not be paid.
    """
    outputs = context.worker.call(
        "answer",
        context.progress,
        model=str(model.path),
        prompts=[row["prompt"] for row in rows],
        **answering,
    )
    grades = [_grades(m, rows, outputs, step, inputs, context) for m in metrics]
    names = [m["name"] for m in metrics]
    return [
        _judged(row, output, dict(zip(names, found, strict=True)))
        for row, output, *found in zip(rows, outputs, *grades, strict=True)
    ]


def _grades(
    metric: Mapping[str, Any],
    rows: Sequence[Row],
    outputs: Sequence[str],
    step: Step,
    inputs: Mapping[str, Artifact],
    context: Context,
) -> list[Grade]:
    if metric["grader"] != "judge":
        return graded(grader(metric, context.project), list(zip(outputs, rows, strict=True)))
    from dagent.runtime.agents.judge import grades

    threshold = read_json(inputs[f"calibration.{metric['name']}"].path)["threshold"]
    return grades(metric, rows, outputs, threshold, step, context)


def _judged(row: Row, output: str, grades: Mapping[str, Grade]) -> Row:
    reasons = {name: grade.reason for name, grade in grades.items() if grade.reason}
    return {
        **row,
        "output": output,
        "scores": {name: grade.score for name, grade in grades.items()},
        **({"reasons": reasons} if reasons else {}),
    }


def scores(rows: Sequence[Row], metric: str) -> list[float]:
    return [row["scores"][metric] for row in rows]
