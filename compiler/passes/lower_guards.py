"""What is watched beside dev and test: on the base, on every round's student, on the champion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dagent.compiler.cost import seconds
from dagent.compiler.lock import installed
from dagent.compiler.passes.made import made
from dagent.compiler.plan import Step
from dagent.compiler.spec import Guard, Spec, Task

if TYPE_CHECKING:
    from dagent.compiler.passes.lower import Lowering


def guarded(low: Lowering, n: int, model: str) -> Iterator[Step]:
    """The student of a round on every guard; round 0 is the base."""
    for guard in low.spec.criteria.guards:
        yield _measured(low, f"r{n}.guard.{guard.set}", guard, model, n)


def guarded_at_the_end(low: Lowering, champion: str) -> Iterator[Step]:
    """The champion's answers, which its round got already: the store has them, nothing is asked
    again."""
    for guard in low.spec.criteria.guards:
        step = _measured(low, f"champion.guard.{guard.set}", guard, champion, None)
        yield replace(step, estimate=seconds((0.01, 1.0)))


def base_answers(spec: Spec) -> dict[str, str]:
    return {f"base_guard.{g.set}": f"r0.guard.{g.set}/answers" for g in spec.criteria.guards}


def round_answers(spec: Spec, n: int) -> dict[str, str]:
    return {f"guard.{g.set}": f"r{n}.guard.{g.set}/answers" for g in spec.criteria.guards}


def champion_answers(spec: Spec) -> dict[str, str]:
    return {f"guard.{g.set}": f"champion.guard.{g.set}/answers" for g in spec.criteria.guards}


def _measured(low: Lowering, id: str, guard: Guard, model: str, n: int | None) -> Step:
    if guard.task:
        return _benchmark(low, id, guard, guard.task, model, n)
    metrics = [m for m in low.says.metrics if m["name"] == guard.metric]
    return low.evaluate(id, f"data.{guard.set}/rows", model, guard.set, n, metrics)


def _benchmark(low: Lowering, id: str, guard: Guard, task: Task, model: str, n: int | None) -> Step:
    rows = low.cost.guarded(guard)
    params = {
        "name": guard.set,
        "task": task.name,
        "tasks": task.folder,
        "sha256": low.facts.tasks.get(task.folder or ""),
        "lm_eval": installed().get("lm_eval"),
        "shots": task.shots,
        "limit": task.limit,
        "metric": task.metric,
        "system": low.spec.student.system,
        "batch": low.spec.student.batch,
        **low.says.trusted,
    }
    estimate = seconds(low.cost.guard(guard), rows=(rows, rows))
    return made(id, "benchmark", params, {"model": model}, n, estimate)
