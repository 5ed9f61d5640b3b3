"""``diagnose``: the current student's answers on the diagnose half, failures grouped by cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.graders import average
from dagent.runtime.judging import judged, scores
from dagent.runtime.rows import Cell, Row, cell, read_rows, write_json, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "diagnose"
version = 2
EXAMPLES = 5  # failures shown with each weakness


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    metric = step.params["metric"]
    rows = judged(
        read_rows(inputs["rows"].path),
        inputs["model"],
        step.params["answering"],
        [metric],
        step,
        inputs,
        context,
    )
    got = average(scores(rows, metric["name"]), rows, metric)
    found = weaknesses(rows, metric["name"])
    diagnosis = {"rows": len(rows), metric["name"]: got, "cells": found}
    named = _named(step, rows, metric["name"], context)
    diagnosis |= named
    worst = ", ".join(f"{w['skill']}/{w['difficulty']} {w['error']:.0%}" for w in found[:3])
    return StepOutput(
        {
            "answers": write_rows(context.scratch / "answers.jsonl", rows),
            "diagnosis": write_json(context.scratch / "diagnosis.json", diagnosis),
        },
        {metric["name"]: got},
        f"{got:.1%} on {len(rows)} rows; most wrong: {worst}",
    )


def _named(step: Step, rows: Sequence[Row], metric: str, context: Context) -> dict[str, Any]:
    """Weaknesses that a language model named, where the spec has one for it."""
    role = step.params.get("diagnoser")
    if role is None:
        return {}
    import asyncio

    from dagent.runtime.agents.asking import speaking
    from dagent.runtime.agents.diagnoser import Diagnoser, diagnose

    failures: dict[str, list[Row]] = {}
    for row in rows:
        if row["scores"][metric] < 1:
            failures.setdefault(str(row.get("skill", "")), []).append(row)
    parts = (f"round:{step.params['round']}", "diagnoser")
    with speaking(role, context, step.id, parts):
        found, refused = asyncio.run(diagnose(Diagnoser(), step.params["goal"], failures))
    return {"weaknesses": found, "refused": refused}


def weaknesses(rows: Sequence[Row], metric: str) -> list[dict[str, Any]]:
    """Every cell with its rows, wrong answers (the missing score, added up) and examples.

    The cells that cost most wrong answers come first.
    """
    cells: dict[Cell, list[Row]] = {}
    for row in rows:
        cells.setdefault(cell(row), []).append(row)
    found = []
    for members in cells.values():
        wrong = sum(1 - s for s in scores(members, metric))
        failures = [r for r in members if r["scores"][metric] < 1]
        found.append(
            {
                "skill": members[0].get("skill", ""),
                "difficulty": members[0].get("difficulty", ""),
                "rows": len(members),
                "wrong": wrong,
                "error": wrong / len(members),
                "examples": [
                    {k: r[k] for k in ("prompt", "answer", "output")} for r in failures[:EXAMPLES]
                ],
            }
        )
    return sorted(found, key=lambda w: (-w["wrong"], str(w["skill"]), str(w["difficulty"])))
