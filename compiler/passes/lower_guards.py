"""What is watched beside dev and test: on the base, on every round's student, on the champion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dagent.compiler.cost import seconds
from dagent.compiler.lock import installed
from dagent.compiler.passes.made import made
from dagent.compiler.plan import Step
from dagent.compiler.spec import Guard, Task

if TYPE_CHECKING:
    from dagent.compiler.passes.lower import Lowering


def guarded(low: Lowering, n: int, model: str) -> Iterator[Step]:
    """The student of a round on every guard. Round 0 is the base, on tasks that are metrics too:
    one that cannot be run ends the run before anything was paid."""
    criteria = low.spec.criteria
    for guard in criteria.guards if n else criteria.watched:
        yield _measured(low, _id(f"r{n}", guard), guard, model, n)


def guarded_at_the_end(low: Lowering, champion: str) -> Iterator[Step]:
    """The champion. What it answered to a guard in its round the store has: nothing is asked
    again."""
    for guard in low.spec.criteria.watched:
        step = _measured(low, _id("champion", guard), guard, champion, None)
        done = guard.max_drop is not None
        yield replace(step, estimate=seconds((0.01, 1.0))) if done else step


def base_answers(guards: Iterable[Guard]) -> dict[str, str]:
    return {f"base_guard.{g.set}": f"{_id('r0', g)}/answers" for g in guards}


def answers(guards: Iterable[Guard], whose: str) -> dict[str, str]:
    """Of the student of a round, ``rN``, or of the ``champion``."""
    return {f"guard.{g.set}": f"{_id(whose, g)}/answers" for g in guards}


def _id(whose: str, guard: Guard) -> str:
    return f"{whose}.{'task' if guard.max_drop is None else 'guard'}.{guard.set}"


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
        **low.says.loading,
    }
    gpu = low.cost.gpu(low.cost.guard(guard))
    estimate = seconds(low.cost.guard(guard), rows=(rows, rows), gpu=gpu)
    return made(id, "benchmark", params, {"model": model}, n, estimate)
