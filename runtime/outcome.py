"""What an execution left: the models, how they are asked, and the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Plan, alone, input_step
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime import projection as show
from dagent.runtime.history import STORE, kept_plan
from dagent.runtime.journal import Event
from dagent.runtime.lanes import of_variant
from dagent.runtime.rows import Row, read_rows
from dagent.runtime.status import execution_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """One execution, or the best variant of it. ``answering`` are arguments of the worker's task
    ``answer`` beside ``model`` and ``prompts``; ``round`` is the champion's."""

    past: Sequence[Event]
    plan: Plan
    project: Path
    base: Path
    champion: Path
    round: int
    answering: Mapping[str, Any]

    @property
    def start(self) -> Event:
        return show.started(self.past)

    @property
    def end(self) -> Event | None:
        """``execution_finished``, once it is there."""
        last = self.past[-1]
        return last if last["event"] == "execution_finished" else None

    def stored(self, step: str, output: str) -> Path | None:
        """A file or folder that a step made, if it is still in the store."""
        return _stored(self.past, self.project, step, output)

    def rows(self, step: str, output: str) -> list[Row]:
        """The rows that a step made; none where it did not run."""
        path = self.stored(step, output)
        return read_rows(path) if path else []


def outcome(events: Sequence[Event], project: Path) -> Outcome:
    """Of a plan with arms that of the best variant, or of the first while all still learn.

    Raises:
        Refused: E881 when no round has ended, the plan was not kept, or the models are gone.
    """
    first = show.started(events)
    plan = kept_plan(project, execution_id(first["plan_id"]))
    if plan is None:
        raise _nothing("its plan was not kept", project)
    if plan.variants:
        best = events[-1].get("best") or plan.variants[0].id
        events, plan = of_variant(events, best), alone(plan, best)
    rounds = show.rounds(events)
    if not rounds:
        raise _nothing("its first round has not ended", project)
    base = _stored(events, project, "student", "model")
    relative = show.champion_path(events)
    champion = project / STORE / relative if relative else None
    if base is None or champion is None or not champion.is_dir():
        raise _nothing("its models are no longer in the store", project)
    answering = plan.step(input_step(_result(plan).inputs["champion"])).params["answering"]
    number = rounds[max(rounds)]["champion_round"]
    return Outcome(events, plan, project, base, champion, number, answering)


def _result(plan: Plan) -> Any:
    return next(step for step in plan.steps if step.kind == "result")


def _stored(past: Iterable[Event], project: Path, step: str, output: str) -> Path | None:
    relative = show.output_path(past, step, output)
    path = project / STORE / relative if relative else None
    return path if path and path.exists() else None


def _nothing(why: str, project: Path) -> Refused:
    return Refused(
        Diagnostic(
            "E881",
            f"this execution has no champion to show: {why}",
            suggestion="run `dagent execute`; it continues, and reuses what is there",
            file=str(project),
        )
    )
