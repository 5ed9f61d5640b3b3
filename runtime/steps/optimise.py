"""``optimise``: DSPy makes an agent better before the first round, within a cap of calls.

The report compares the plain agent with the optimised one on examples that the optimiser did not
see; one that is no better there is not used. The program is JSON: instructions and demonstrations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import write_json
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "optimise"
version = 3


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    from dagent.runtime.agents.optimising import optimise

    found = optimise(step, inputs, context)
    report = {
        "role": step.params["role"],
        "optimiser": step.params["optimiser"],
        "metric": found.metric,
        "before": found.before,
        "after": found.after,
        "held_out": found.held_out,
        "trained_on": found.trained_on,
        "used": found.used,
        "version": found.version,
        "note": found.note,
    }
    program = {"role": step.params["role"], "version": found.version, "state": found.state}
    kept = "used" if found.used else "no better, so the plain one is used"
    return StepOutput(
        {
            "program": write_json(context.scratch / "program.json", program),
            "report": write_json(context.scratch / "report.json", report),
        },
        {"before": found.before, "after": found.after},
        f"{found.metric}: {found.before:.2f} to {found.after:.2f} on {found.held_out} held-out "
        f"examples; {kept}" + (f"; {found.note}" if found.note else ""),
    )
