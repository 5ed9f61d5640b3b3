"""The block ``criteria`` -> spec: metrics, goals, guards, the gate, when to stop."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from dagent.compiler.grading import read_grading
from dagent.compiler.read import Reader
from dagent.compiler.requirement import read_requirement
from dagent.compiler.spec import Criteria, Guard, Metric, Requirement, Task
from dagent.dsl.document import Scalar, Sequence

# Keys of a task of lm-evaluation-harness; a guard that is none has a `metric` too.
TASK = ("task", "tasks", "shots", "limit", "metric")


def read_criteria(block: Reader) -> Criteria:
    # The first metric decides: here, and only here, the order in the text has a meaning.
    declared = [(e, block.of("metric", e)) for e in block.entries("metric")]
    if declared and "task" in declared[0][1]:
        entry, _ = declared[0]
        block.diagnostics.error(
            "E516",
            f"the first metric decides, and the task `{entry.key}` cannot: the gate compares rows "
            "of select, and a task brings its own",
            entry.key_span,
            "put a metric with a `grader` first",
        )
    metrics = tuple(_metric(e.key, inner) for e, inner in declared if "task" not in inner)
    tasks = tuple(_measured(e.key, inner) for e, inner in declared if "task" in inner)
    first = metrics[0].name if metrics else ""
    guards = tuple(_guard(name, guard, first) for name, guard in block.named("guard"))
    gate, stop = block.inner("gate"), block.inner("stop")
    own = {guard.set for guard in (*guards, *tasks) if guard.task}
    when = _when(stop)
    return Criteria(
        metrics=metrics,
        tasks=tasks,
        requirements=tuple(_whole(goal, own) for goal in _requirements(block)),
        guards=guards,
        alpha=gate.number("alpha", 0.05),
        select=gate.amount("select", "fraction", 0.5),
        rule=gate.text("rule", "paired"),
        patience=stop.amount("patience", "rounds", None, least=1),
        when=when and _whole(when, own),
    )


def _metric(name: str, block: Reader) -> Metric:
    if "grader" not in block:
        block.diagnostics.error(
            "E103",
            f"metric `{name}` does not say how an answer is judged",
            block.where,
            f'add `grader = exact`, or `task = "lm_eval:{name}"`',
        )
    _without_task(name, block, TASK[1:])
    grader, options = read_grading(block)
    return Metric(name, grader, block.text("average", "micro"), options)


def _measured(name: str, block: Reader) -> Guard:
    """A metric that is a task."""
    for entry in block.block:
        if entry.key not in TASK:
            block.node(entry.key)
            block.diagnostics.error(
                "E325",
                f"`{entry.key}` says nothing with `task`, which is judged in its own way",
                entry.key_span,
                "remove it, or remove `task`",
            )
    return Guard(set=name, metric=name, max_drop=None, task=_task(name, block))


def _requirements(block: Reader) -> tuple[Requirement, ...]:
    node = block.node("require")
    items = node.items if isinstance(node, Sequence) else ()
    found = [read_requirement(i, block.diagnostics) for i in items if isinstance(i, Scalar)]
    return tuple(r for r in found if r is not None)


def _whole(goal: Requirement, tasks: Collection[str]) -> Requirement:
    """A goal on a task need not name its rows, which are the task's own."""
    return goal if goal.set or goal.metric not in tasks else replace(goal, set=goal.metric)


def _when(stop: Reader) -> Requirement | None:
    node = stop.node("when")
    return read_requirement(node, stop.diagnostics) if isinstance(node, Scalar) else None


def _guard(name: str, block: Reader, first: str) -> Guard:
    if "max_drop" not in block:
        block.diagnostics.error(
            "E103",
            f"guard `{name}` does not say how far it may fall",
            block.where,
            "add `max_drop = 2pp`",
        )
    task = _task(name, block)
    return Guard(
        set=name,
        # A task judges by its own metric, and what it gave stands under the guard's name.
        metric=name if task else block.text("metric", first),
        max_drop=block.amount("max_drop", "points", 0.0),
        task=task,
    )


def _without_task(name: str, block: Reader, keys: tuple[str, ...]) -> None:
    for key in keys:
        if key in block:
            block.node(key)
            block.diagnostics.error(
                "E325",
                f"`{key}` says nothing without `task`",
                block.key_span(key),
                f'remove it, or add `task = "lm_eval:{name}"`',
            )


def _task(name: str, block: Reader) -> Task | None:
    if "task" not in block:
        _without_task(name, block, TASK[1:-1])
        return None
    shots, (harness, _, task) = block.value("shots"), block.text("task", "").partition(":")
    if harness != "lm_eval" or not task:
        block.diagnostics.error(
            "E507",
            f"`{block.text('task', '')}` is no task of lm-evaluation-harness",
            block.span("task"),
            f'write `task = "lm_eval:{name}"`',
        )
    return Task(
        name=task,
        folder=block.text("tasks", None),
        shots=None if shots is None else int(shots),
        limit=block.amount("limit", "rows", None, least=1),
        metric=block.text("metric", None),
    )
