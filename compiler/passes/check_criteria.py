"""The criteria: everything named exists, every goal can be met, every rule can fire."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.detectable import detectable_gain, effective_rows, missed
from dagent.compiler.digests import content_digest
from dagent.compiler.facts import DataFacts, inside
from dagent.compiler.quantity import shown
from dagent.compiler.read import within
from dagent.compiler.spec import Guard, Requirement, Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Span

SETS = ("select", "test")
COARSE = 0.15  # a select half that can only show gains above this is worth a warning


def check_criteria(spec: Spec, facts: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    _check_guards(spec, diagnostics)
    goals = spec.criteria.requirements
    for goal in goals:
        _check_goal(spec, goal, facts, diagnostics)
    _check_contradictions(goals, diagnostics)
    _check_stop(spec, facts, diagnostics)
    _check_select(spec, facts, diagnostics)


def select_rows(spec: Spec, facts: Mapping[str, DataFacts]) -> tuple[int, float] | None:
    """How many rows the gate decides on, and as how many they count in the first metric; ``None``
    where dev is not at hand."""
    dev = next((d for d in spec.data if d.role == "dev" and d.name in facts), None)
    if dev is None or not facts[dev.name].known:
        return None
    found = facts[dev.name]
    share = spec.criteria.select * (dev.sample or found.rows) / max(1, found.rows)
    rows = round(share * found.rows)
    if spec.criteria.metrics[0].average != "macro":
        return rows, rows
    return rows, effective_rows(share * size for size in found.skill_sizes.values())


def _check_guards(spec: Spec, diagnostics: Diagnostics) -> None:
    sets = {d.name: d for d in spec.data}
    metrics = {m.name for m in spec.criteria.metrics} | {t.set for t in spec.criteria.tasks}
    for guard in spec.criteria.watched:
        taken = metrics if guard.task and guard.block == "guard" else ()
        if guard.set in (*SETS, *taken):
            what = "set" if guard.set in SETS else "metric"
            diagnostics.error(
                "E515",
                f"the {guard.block} `{guard.set}` has the name of a {what} that goals are about",
                spec.key("criteria", guard.block, guard.set),
                "give it another name",
            )
        if guard.task:
            continue
        _known_metric(
            spec, guard.metric, spec.at("criteria", "guard", guard.set, "metric"), diagnostics
        )
        data = sets.get(guard.set)
        span = spec.key("criteria", "guard", guard.set)
        if data is None:
            known = [d.name for d in spec.data if d.role == "guard"]
            remedy = did_you_mean(
                guard.set, known, f"add `data {guard.set} {{ role = guard  path = … }}`"
            )
            diagnostics.error("E507", f"there is no data set `{guard.set}`", span, remedy)
        elif data.role != "guard":
            diagnostics.error(
                "E507",
                f"`{guard.set}` has the role `{data.role}`, not `guard`",
                span,
                "name a data set with `role = guard`",
                [Note("its role is given here", spec.at("data", guard.set, "role"))],
            )


def check_tasks(spec: Spec, project: Path, diagnostics: Diagnostics) -> dict[str, str]:
    """The digest of every folder with tasks of the user's own."""
    found: dict[str, str] = {}
    for guard in spec.criteria.watched:
        if guard.task is None or guard.task.folder is None:
            continue
        span = spec.at("criteria", guard.block, guard.set, "tasks")
        folder = inside(guard.task.folder, project, span, diagnostics)
        if folder is not None and not folder.is_dir():
            diagnostics.error(
                "E507",
                f"there is no folder `{guard.task.folder}` with tasks",
                span,
                "correct the path; it is relative to the spec",
            )
        elif folder is not None:
            found[guard.task.folder] = content_digest(folder)
    return found


def _known_metric(
    spec: Spec, name: str, span: Span, diagnostics: Diagnostics, tasks: Iterable[Guard] = ()
) -> None:
    names = [*(m.name for m in spec.criteria.metrics), *(t.set for t in tasks)]
    if names and name not in names:
        remedy = did_you_mean(name, names, "metrics: " + ", ".join(names))
        diagnostics.error("E501", f"there is no metric `{name}`", span, remedy)


def _check_goal(
    spec: Spec, goal: Requirement, facts: Mapping[str, DataFacts], diagnostics: Diagnostics
) -> None:
    assert goal.span is not None
    metric = within(goal.span, goal.metric, first=True)
    guards = {g.set: g for g in spec.criteria.watched}
    guard = guards.get(goal.set)
    if guard is None and any(t.task and t.set == goal.metric for t in guards.values()):
        diagnostics.error(
            "E502",
            f"the task `{goal.metric}` brings rows of its own",
            within(goal.span, goal.set),
            f"leave out `on {goal.set}`",
        )
        return
    if not goal.set and any(m.name == goal.metric for m in spec.criteria.metrics):
        diagnostics.error(
            "E503",
            "the goal does not say on which set",
            goal.span,
            f"add `on test`; `{goal.metric}` is no task, which would bring rows of its own",
        )
        return
    if guard is None:
        _known_metric(spec, goal.metric, metric, diagnostics, spec.criteria.tasks)
    elif goal.metric != guard.metric:
        diagnostics.error(
            "E501",
            f"`{guard.set}` is measured by `{guard.metric}`, not by `{goal.metric}`",
            metric,
            f"write `{guard.metric}`" + ("" if guard.task else ", or change the guard's `metric`"),
        )
        return
    if guard is None and goal.set and goal.set not in SETS:
        if any(d.name == goal.set and d.role == "guard" for d in spec.data):
            return  # a set that nothing guards is refused where it is declared
        remedy = did_you_mean(goal.set, (*SETS, *guards), "use `select`, `test` or a guard")
        place = within(goal.span, goal.set)
        diagnostics.error("E502", f"no set `{goal.set}` is measured", place, remedy)
        return
    if (goal.op == ">" and goal.value >= 1) or (goal.op == "<" and goal.value <= 0):
        _pointless(goal, "can never hold: metrics lie in 0..1", diagnostics)
    elif (goal.op == ">=" and goal.value <= 0) or (goal.op == "<=" and goal.value >= 1):
        _pointless(goal, "always holds: metrics lie in 0..1", diagnostics)
    if goal.skill is not None:
        _check_skill(spec, goal, facts, diagnostics)


def _pointless(goal: Requirement, why: str, diagnostics: Diagnostics) -> None:
    diagnostics.error("E506", f"this goal {why}", goal.span, "choose a value between")


def _check_skill(
    spec: Spec, goal: Requirement, facts: Mapping[str, DataFacts], diagnostics: Diagnostics
) -> None:
    if any(g.task and g.set == goal.set for g in spec.criteria.watched):
        diagnostics.error(
            "E508",
            f"the rows of the task `{goal.set}` name no skills",
            goal.span,
            "leave out `for …`",
        )
        return
    role = {"test": "test", "select": "dev"}.get(goal.set)
    named = (d.name for d in spec.data if (d.role == role if role else d.name == goal.set))
    data = next((facts[name] for name in named if name in facts), None)
    rows = role or goal.set
    if data is None or not data.known:
        return
    if not data.skills:
        diagnostics.error(
            "E508", f"the {rows} rows name no skills", goal.span, "add a `skill` column to them"
        )
    elif goal.skill != "each" and goal.skill not in data.skills:
        assert goal.skill is not None
        remedy = did_you_mean(goal.skill, data.skills, "skills: " + ", ".join(data.skills))
        diagnostics.error("E508", f"no {rows} row has the skill `{goal.skill}`", goal.span, remedy)


def _check_contradictions(goals: tuple[Requirement, ...], diagnostics: Diagnostics) -> None:
    """A lower bound above an upper bound on the same thing."""
    by_target: dict[tuple[str, str, str | None], list[Requirement]] = defaultdict(list)
    for goal in goals:
        by_target[goal.metric, goal.set, goal.skill].append(goal)
    for group in by_target.values():
        for low in (g for g in group if g.op in (">", ">=")):
            for high in (g for g in group if g.op in ("<", "<=")):
                strict = ">" in (low.op, high.op.replace("<", ">"))
                if low.value > high.value or (low.value == high.value and strict):
                    diagnostics.error(
                        "E510",
                        "these two goals contradict each other",
                        high.span,
                        "remove one of them",
                        [Note("the other is here", low.span)],
                    )


def _check_stop(spec: Spec, facts: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    criteria, rounds = spec.criteria, spec.budget.rounds
    if criteria.patience is not None and criteria.patience >= rounds:
        diagnostics.error(
            "E504",
            f"a patience of {shown(criteria.patience, 'rounds')} never runs out in "
            f"{shown(rounds, 'rounds')}",
            spec.at("criteria", "stop", "patience"),
            f"write at most {rounds - 1}" if rounds > 1 else "remove it",
            [Note("the rounds are given here", spec.at("budget", "rounds"))],
        )
    when = criteria.when
    if when is None:
        return
    watched = any(g.set == when.set for g in spec.criteria.watched)
    if watched or when.set == "test":
        why = "is measured and decides nothing" if watched else "is opened once, at the end"
        diagnostics.error(
            "E502", f"the run cannot stop by `{when.set}`, which {why}", when.span, "use `select`"
        )
        return
    _check_goal(spec, when, facts, diagnostics)


def _check_select(spec: Spec, facts: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    select = spec.criteria.select
    if not 0 < select < 1:
        diagnostics.error(
            "E204",
            "both halves of dev need rows: `select` lies between 0 and 1",
            spec.at("criteria", "gate", "select"),
            "write `50%`",
        )
        return
    known = select_rows(spec, facts)
    if known is None or spec.criteria.rule != "paired":
        return
    if detectable_gain(known[1], spec.criteria.alpha)[0] > COARSE:
        diagnostics.warn(
            "E509",
            missed(*known, spec.criteria.alpha),
            spec.at("data", spec.role("dev").name, "path"),
            "add dev rows: four times as many see gains half as large",
        )
