"""The verifier's part of a step: the judge's calibration, and what the model says of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.runtime.agents.asking import speaking
from dagent.runtime.agents.verifier import (
    Brief,
    Calibration,
    VerifierAgent,
    judged,
    settled,
    verdicts,
)
from dagent.runtime.agents.versions import restore
from dagent.runtime.grade import Grader
from dagent.runtime.lm.loop import run
from dagent.runtime.rows import Row
from dagent.runtime.step import Context

Said = tuple[list[dict[str, Any]], str | None]


def calibration(
    step: Step, known: Sequence[tuple[Row, bool]], program: Path | None, context: Context
) -> Calibration:
    """The judge's threshold, from rows that are labelled right or wrong.

    Raises:
        Refused: E656, the judge cannot tell them apart.
    """
    role, agent = step.params["verifier"], _agent(program)
    with speaking(role, context, step.id, ("verifier",)):
        said = run(judged(agent, _brief(step), [row for row, _ in known]))
    return settled(
        said,
        [right for _, right in known],
        role["lm"]["model"],
        "name a stronger model for `verifier`, optimise it, or write `judge = false` with "
        "`samples` or a `program`",
    )


def ask_model(
    step: Step,
    rows: Sequence[Row],
    grade: Grader,
    threshold: float | None,
    program: Path | None,
    context: Context,
) -> list[Said]:
    """What the model says of each row: ``verdicts`` and why to reject it, or None."""
    role, agent = step.params["verifier"], _agent(program)
    with speaking(role, context, step.id, (f"round:{step.params['round']}", "verifier")):
        return run(
            verdicts(
                agent,
                _brief(step),
                rows,
                grade,
                threshold=threshold,
                samples=role["samples"],
                model=role["lm"]["model"],
            )
        )


def _brief(step: Step) -> Brief:
    return Brief(step.params["goal"], step.params["answer"])


def _agent(program: Path | None) -> VerifierAgent:
    agent = VerifierAgent()
    restore(agent, program)
    return agent
