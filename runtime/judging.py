"""The student answers rows and a metric judges them: shared by diagnose, mix and evaluate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagent.runtime.grade import Grade
from dagent.runtime.graders import grader
from dagent.runtime.rows import Row
from dagent.runtime.step import Artifact, Context


def judged(
    rows: Sequence[Row],
    model: Artifact,
    answering: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    context: Context,
) -> list[Row]:
    """The rows, each with the student's ``output``, its ``scores`` by metric name (0..1), and why
    a score is below 1 in ``reasons``."""
    outputs = context.worker.call(
        "answer",
        context.progress,
        model=str(model.path),
        prompts=[row["prompt"] for row in rows],
        **answering,
    )
    graders = {m["name"]: grader(m, context.project) for m in metrics}
    return [
        _judged(row, output, {name: grade(output, row) for name, grade in graders.items()})
        for row, output in zip(rows, outputs, strict=True)
    ]


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
