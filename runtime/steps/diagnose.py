"""``diagnose``: the current student's answers on the diagnose half, failures grouped by cell.

A model or a program names weaknesses besides. What a program's weaknesses do not cite is no
failure to the planner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.graders import average
from dagent.runtime.judging import judged, scores
from dagent.runtime.locked import loads
from dagent.runtime.programs import load_function
from dagent.runtime.roles import Diagnoser
from dagent.runtime.rows import Cell, Row, cell, cell_name, read_rows, write_json, write_rows
from dagent.runtime.step import Artifact, Context, Params, StepOutput

kind = "diagnose"
version = 2
EXAMPLES = 5  # failures shown with each weakness


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    role = step.params.get("diagnoser", {})
    return loads(lambda: _program(role, project)) if "program" in role else ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    metric = step.params["metric"]
    rows = _answered(step, inputs, context)
    got = average(scores(rows, metric["name"]), rows, metric)
    named = _named(step, rows, metric["name"], inputs, context)
    found = counted(rows, metric["name"], named.pop("counted", None))
    diagnosis = {"rows": len(rows), metric["name"]: got, "cells": found, **named}
    worst = ", ".join(f"{cell_name(w)} {w['error']:.0%}" for w in found[:3] if w["wrong"])
    return StepOutput(
        {
            "answers": write_rows(context.scratch / "answers.jsonl", rows),
            "diagnosis": write_json(context.scratch / "diagnosis.json", diagnosis),
        },
        {metric["name"]: got},
        f"{got:.1%} on {how_many(len(rows), 'rows')}; "
        + (f"most wrong: {worst}" if worst else "none wrong"),
    )


def _answered(step: Step, inputs: Mapping[str, Artifact], context: Context) -> list[Row]:
    """The rows with the model's graded answers; an earlier step may have asked for them."""
    if "answers" in inputs:
        return read_rows(inputs["answers"].path)
    rows, params = read_rows(inputs["rows"].path), step.params
    metrics = [params["metric"]]
    return judged(rows, inputs["model"], params["answering"], metrics, step, inputs, context)


def _named(
    step: Step,
    rows: Sequence[Row],
    metric: str,
    inputs: Mapping[str, Artifact],
    context: Context,
) -> dict[str, Any]:
    """Weaknesses that a language model or a program named, where the spec has one for it, and of
    a program the ids of the failures that it counts."""
    role = step.params.get("diagnoser")
    if role is None:
        return {}
    if "program" in role:
        said = _program(role, context.project)(deepcopy(list(rows)))
        found = read_weaknesses(said, rows, metric, role["program"])
        return {"weaknesses": found, "counted": {id for w in found for id in w["evidence"]}}
    from dagent.runtime.agents.asking import speaking
    from dagent.runtime.agents.diagnoser import Diagnoser, diagnose, failures
    from dagent.runtime.agents.versions import restore
    from dagent.runtime.lm.loop import run

    agent = Diagnoser()
    restore(agent, inputs["program"].path if "program" in inputs else None)
    parts = (f"round:{step.params['round']}", "diagnoser")
    with speaking(role, context, step.id, parts):
        found, refused = run(diagnose(agent, step.params["goal"], failures(rows, metric)))
    return {"weaknesses": found, "refused": refused}


def _program(role: Params, project: Path) -> Diagnoser:
    function = load_function(role["program"], project)
    return lambda rows: function(rows, **role["options"])


def read_weaknesses(
    said: object, rows: Sequence[Row], metric: str, program: str
) -> list[dict[str, Any]]:
    """What a program returned, in the form of a model's weaknesses: those of several skills are
    one for each, and those with most evidence come first.

    Raises:
        Refused: E815: it is something else, or cites what is no failure.
    """
    failures = {row["id"]: row for row in rows if row["scores"][metric] < 1}
    right = {row["id"] for row in rows} - set(failures)
    if not isinstance(said, list) or not all(_is_weakness(weakness) for weakness in said):
        raise _refused(
            program, 'must return a list of {"name": text, "cause": text, "evidence": [row ids]}'
        )
    found = []
    for weakness in said:
        by_skill: dict[str, list[Row]] = {}
        for id in dict.fromkeys(weakness["evidence"]):
            if id not in failures:
                what = "was answered rightly" if id in right else "is no row that it was given"
                raise _refused(program, f"cites `{id}` for `{weakness['name']}`, which {what}")
            by_skill.setdefault(cell(failures[id])[0], []).append(failures[id])
        for skill, shown in by_skill.items():
            found.append(
                {
                    "skill": skill,
                    "name": weakness["name"].strip(),
                    "cause": weakness.get("cause", "").strip(),
                    "difficulties": sorted({cell(row)[1] for row in shown}),
                    "evidence": [row["id"] for row in shown],
                }
            )
    found.sort(key=lambda w: (-len(w["evidence"]), w["skill"], w["name"]))
    return [{"id": f"w{n}", **w} for n, w in enumerate(found, 1)]


def _is_weakness(said: object) -> bool:
    if not isinstance(said, Mapping) or not {"name", "evidence"} <= said.keys():
        return False
    ids = said["evidence"]
    texts = [said["name"], said.get("cause", ""), *(ids if isinstance(ids, list) else [None])]
    return (
        said.keys() <= {"name", "cause", "evidence"}
        and all(isinstance(text, str) for text in texts)
        and bool(said["name"].strip() and ids)
    )


def _refused(program: str, what: str) -> Refused:
    return Refused(Diagnostic("E815", f"the diagnoser `{program}` {what}"))


def counted(
    rows: Sequence[Row], metric: str, ids: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Every cell with its rows, wrong answers (the missing score, added up) and examples.

    The cells that cost most wrong answers come first. With ``ids`` only those rows are wrong.
    """
    cells: dict[Cell, list[Row]] = {}
    for row in rows:
        cells.setdefault(cell(row), []).append(row)
    found = []
    for members in cells.values():
        failures = [
            r for r in members if r["scores"][metric] < 1 and (ids is None or r["id"] in ids)
        ]
        wrong = sum(1 - s for s in scores(failures, metric))
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
