"""``plan``: the planner reads the diagnosis and the archive and says what the next rows teach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.locked import loads
from dagent.runtime.policies import apportion, bounded, policy
from dagent.runtime.programs import load_function
from dagent.runtime.roles import CellCount, Planner, Task
from dagent.runtime.rows import Cell, cell, read_json, write_json
from dagent.runtime.step import Artifact, Context, Params, StepOutput

kind = "plan"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return loads(lambda: _planner(step.params["planner"], project))


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    params = step.params
    diagnosis = read_json(inputs["diagnosis"].path)["cells"]
    grid = _grid(params, diagnosis)
    task = Task(
        goal=params["goal"],
        answer=params["answer"] or "",
        cells=tuple(grid),
        diagnosis={cell(d): CellCount(d["rows"], d["wrong"]) for d in diagnosis},
        archive=read_json(inputs["archive"].path),
        rows=params["rows"],
        round=params["round"],
        seed=params["seed"],
    )
    weights = _weights(_planner(params["planner"], context.project)(task), grid, params["planner"])
    shares = bounded(weights, params["floor"], params["cap"])
    counts = apportion(shares, params["rows"])
    items = [
        {
            "id": f"r{params['round']}.{number}",
            "skill": grid[c]["skill"],
            "difficulty": grid[c]["difficulty"],
            "count": counts[c],
            "share": round(shares[c], 6),
            "rationale": _rationale(task.diagnosis.get(c)),
        }
        for number, c in enumerate(sorted(grid, key=lambda c: (-counts[c], c)), 1)
        if counts[c]
    ]
    by = params["planner"].get("policy") or params["planner"]["program"]
    curriculum = {"round": params["round"], "planner": by, "items": items}
    most = ", ".join(f"{i['skill']}/{i['difficulty']} ×{i['count']}" for i in items[:3])
    return StepOutput(
        {"curriculum": write_json(context.scratch / "curriculum.json", curriculum)},
        {"items": len(items)},
        f"{len(items)} items; most: {most}",
    )


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
