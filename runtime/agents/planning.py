"""The planner's step: what the model proposes, as a draft that floors and caps then bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagent.compiler.plan import Step
from dagent.runtime.agents.asking import speaking
from dagent.runtime.agents.planner import METHODS, PlannerAgent, Proposal, propose
from dagent.runtime.agents.versions import restore
from dagent.runtime.exploring import Draft, families_of, is_forced, untried
from dagent.runtime.lm.loop import run
from dagent.runtime.policies import error_driven
from dagent.runtime.roles import Task
from dagent.runtime.rows import Cell
from dagent.runtime.step import Artifact, Context


def ask_planner(step: Step, inputs: Mapping[str, Artifact], task: Task, context: Context) -> Draft:
    params, role = step.params, step.params["planner"]
    methods = list(METHODS)
    if is_forced(params["explore"], task.round):
        methods = untried(METHODS, [f for f in families_of(task.archive) if f in METHODS])
    agent = PlannerAgent()
    restore(agent, inputs["program"].path if "program" in inputs else None)
    budget = {
        "rows": task.rows,
        "rounds_left": params["rounds"] - task.round + 1,
        "least_rows_of_a_cell": round(params["floor"] * task.rows),
        "most_rows_of_a_cell": round(params["cap"] * task.rows),
    }
    with speaking(role, context, step.id, (f"round:{task.round}", "planner")):
        proposal = run(propose(agent, task, methods, budget))
    return drafted(proposal, task, role["lm"]["model"])


def drafted(proposal: Proposal, task: Task, model: str) -> Draft:
    """The proposal as weights and parts. With no good item at all the built-in policy plans, and
    the curriculum says so."""
    if not proposal.items:
        return Draft(
            f"error-driven, since no item of {model} could be used",
            ("error-driven",),
            error_driven(task),
            refused=proposal.refused,
        )
    parts: dict[Cell, list[tuple[float, Mapping[str, Any]]]] = {}
    for item in proposal.items:
        said = {k: item[k] for k in ("method", "weakness", "rationale") if item[k]}
        parts.setdefault(item["cell"], []).append((float(item["count"]), said))
    weights = {c: sum(w for w, _ in parts.get(c, ())) for c in task.cells}
    families = sorted({item["method"] for item in proposal.items})
    return Draft(model, families, weights, parts, proposal.refused)
