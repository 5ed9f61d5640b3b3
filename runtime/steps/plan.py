"""``plan``: the planner reads the diagnosis and the archive and says what the next rows teach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.exploring import Draft, families_of, is_forced, untried
from dagent.runtime.locked import loads
from dagent.runtime.policies import POLICIES, apportion, bounded, policy
from dagent.runtime.programs import load_function
from dagent.runtime.roles import CellCount, Planner, Task
from dagent.runtime.rows import Cell, cell, cell_name, read_json, write_json
from dagent.runtime.step import Artifact, Context, Params, StepOutput

kind = "plan"
version = 2


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    role = step.params["planner"]
    return () if "lm" in role else loads(lambda: _planner(role, project))


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    params = step.params
    # Without feedback (an arm that is blind) the planner knows the grid and nothing else.
    found = read_json(inputs["diagnosis"].path) if "diagnosis" in inputs else {"cells": []}
    diagnosis = found["cells"]
    grid = _grid(params, diagnosis)
    task = Task(
        goal=params["goal"],
        answer=params["answer"] or "",
        cells=tuple(grid),
        diagnosis={cell(d): CellCount(d["rows"], d["wrong"]) for d in diagnosis},
        archive=read_json(inputs["archive"].path) if "archive" in inputs else [],
        rows=params["rows"],
        round=params["round"],
        seed=params["seed"],
        weaknesses=found.get("weaknesses", ()),
    )
    if "lm" in params["planner"]:
        from dagent.runtime.agents.planning import ask_planner

        drafts = ask_planner(step, inputs, task, context)
    else:
        drafts = _weighed(params, task, grid, context.project)
    shares = bounded(drafts.weights, params["floor"], params["cap"])
    counts = apportion(shares, params["rows"])
    items: list[dict[str, Any]] = []
    for c in sorted(grid, key=lambda c: (-counts[c], c)):
        for count, more in drafts.split(c, counts[c]):
            items.append(
                {
                    "id": f"r{params['round']}.{len(items) + 1}",
                    "skill": grid[c]["skill"],
                    "difficulty": grid[c]["difficulty"],
                    "count": count,
                    "share": round(count / params["rows"], 6),
                    "rationale": _rationale(task.diagnosis.get(c)),
                    **more,
                }
            )
    curriculum = {
        "round": params["round"],
        "planner": drafts.by,
        "families": list(drafts.families),
        "items": items,
        "refused": list(drafts.refused),
    }
    most = ", ".join(f"{cell_name(i)} ×{i['count']}" for i in items[:3])
    refused = f"; {len(drafts.refused)} refused" if drafts.refused else ""
    return StepOutput(
        {"curriculum": write_json(context.scratch / "curriculum.json", curriculum)},
        {"items": len(items), "refused": len(drafts.refused)},
        f"{len(items)} items; most: {most}{refused}",
    )


def _weighed(params: Params, task: Task, grid: Mapping[Cell, object], project: Path) -> Draft:
    """A policy's or a program's weights. A round that must explore takes a policy not tried yet."""
    role = params["planner"]
    if role.get("policy") and is_forced(params["explore"], params["round"]):
        role = {**role, "policy": untried(POLICIES, families_of(task.archive))[0]}
    by = role.get("policy") or role["program"]
    weights = _weights(_planner(role, project)(task), grid, role)
    return Draft(by, (by,), weights)


def _planner(role: Params, project: Path) -> Planner:
    if role.get("policy"):
        return policy(role["policy"])
    function = load_function(role["program"], project)
    return lambda task: function(task, **role["options"])


def _grid(params: Params, diagnosis: list[dict[str, Any]]) -> dict[Cell, dict[str, Any]]:
    """Every cell with its skill and difficulty as the user writes them: those that the spec spans,
    or else those that the diagnose rows show."""
    skills = params["skills"] or sorted({d["skill"] for d in diagnosis}, key=str)
    levels = params["difficulties"] or sorted({d["difficulty"] for d in diagnosis}, key=str)
    return {cell(c): c for c in ({"skill": s, "difficulty": d} for s in skills for d in levels)}


def _weights(weights: object, grid: Mapping[Cell, object], role: Params) -> dict[Cell, float]:
    """The planner's weights over the grid; a user's program may have returned anything."""
    if not isinstance(weights, Mapping) or not all(
        isinstance(w, int | float) and 0 <= w < float("inf") for w in weights.values()
    ):
        raise _refused(role, "must return {(skill, difficulty): weight}, weights at least 0")
    named = {tuple(map(str, c)): float(w) for c, w in weights.items()}
    unknown = [c for c in named if c not in grid]
    if unknown:
        raise _refused(role, f"gave weight to {unknown[0]}, which is no cell of the domain")
    if not any(named.values()):
        raise _refused(role, "gave no cell any weight")
    return {c: named.get(c, 0.0) for c in grid}


def _refused(role: Params, what: str) -> Refused:
    return Refused(Diagnostic("E815", f"the planner `{role.get('program')}` {what}"))


def _rationale(count: CellCount | None) -> str:
    if count is None:
        return "not among the diagnose rows; covered so that it is not forgotten"
    return f"{count.wrong:g} of {count.rows} diagnose rows wrong"
