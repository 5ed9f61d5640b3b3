"""Document -> spec: one function per block, which takes every key that this version uses.

Defaults are stated here and in the schema's descriptions, nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from dagent.compiler.dataset import EXTRA
from dagent.compiler.engineer import AUTHORING, read_engineer
from dagent.compiler.engineer import ROLES as ENGINEERING
from dagent.compiler.formats import FORMATS
from dagent.compiler.grading import columns, read_grading
from dagent.compiler.prices import CURRENCY
from dagent.compiler.quantity import CAPPED
from dagent.compiler.read import Reader, inside_text
from dagent.compiler.requirement import read_requirement
from dagent.compiler.spec import (
    Budget,
    Caps,
    Criteria,
    DataSet,
    Domain,
    Guard,
    Metric,
    Requirement,
    Spec,
    Stage,
    Student,
    Task,
)
from dagent.compiler.where import NotAllowed, Where, parse_where
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Mapping, Scalar, Sequence, plain

ROLES = ("seed", "dev", "test", "guard", "pool")
ADAPTERS = ("full", "lora", "qlora")
ENGINES = ("transformers", "vllm")
MOST_ROUNDS = 1000  # at some ten steps a round, as much as a person or a tool can still read
# Which parts of a run can be capped, and by what.
USE = ("calls", "tokens", "money")
JUDGE = "judge"  # of metrics
PARTS = {
    "round": ("rows", *USE, *CAPPED),
    **dict.fromkeys((*ENGINEERING, *AUTHORING, JUDGE), USE),
    "attempt": (*USE, "wall"),
}
# Parts that only one strategy has.
PARTS_OF = {"curriculum": ENGINEERING, "program": (*AUTHORING, "attempt")}


def read_spec(root: Mapping, diagnostics: Diagnostics) -> Spec:
    """The spec that a composed document of the right structure says.

    Whatever no function here takes is refused at its key; after a finding the value returned holds
    defaults, and nothing may use it.
    """
    reader = Reader(root, diagnostics)
    # These were used up by ``compose``; the language has only version 1, which the schema checks.
    for key in ("language", "import", "let", "param"):
        reader.node(key)
    criteria = _criteria(reader.inner("criteria"))
    engineer = read_engineer(reader.inner("engineer"))
    graders = [m.grader for m in criteria.metrics] + [c.grader for c in engineer.verify]
    extra = columns(graders)
    spec = Spec(
        seed=int(reader.number("seed", 0)),
        domain=_domain(reader.inner("domain")),
        data=tuple(_data(name, block, extra) for name, block in reader.named("data")),
        student=_student(reader.inner("student")),
        engineer=engineer,
        budget=_budget(reader.inner("budget")),
        criteria=criteria,
        train=tuple(_stage(block) for block in reader.items("train")),
        root=root,
    )
    reader.unread()
    return spec


def _domain(block: Reader) -> Domain:
    return Domain(
        name=block.text("name", ""),
        goal=block.prose("goal", ""),
        skills=block.texts("skills"),
        difficulties=block.texts("difficulties"),
        answer=block.prose("answer", None),
        sources=block.texts("sources") or (),
    )


SOURCES = ("path", "hub", "program")
# Keys of a task of lm-evaluation-harness; a guard that is none has a `metric` too.
TASK = ("task", "tasks", "shots", "limit", "metric")
# Keys that only one source, or one role, has a use for.
ONLY_WITH = {"format": "path", "config": "hub", "split": "hub", "revision": "hub"}


def _data(name: str, block: Reader, extra: tuple[str, ...]) -> DataSet:
    given = [key for key in SOURCES if key in block]
    if len(given) != 1:
        several = "has several sources: " + ", ".join(f"`{key}`" for key in given)
        block.diagnostics.error(
            "E307",
            f"data set `{name}` {several if given else 'has no source'}",
            block.key_span(given[1]) if given else block.where,
            "keep one" if given else "give it a `path`, a `hub` or a `program`",
        )
    for key, source in ONLY_WITH.items():
        if key in block and source not in given:
            block.diagnostics.error(
                "E325",
                f"`{key}` says nothing without `{source}`",
                block.key_span(key),
                f"remove it, or read from a `{source}`",
            )
    role = block.choice("role", ROLES, "dev")
    if "mix" in block and role != "seed":
        block.diagnostics.error(
            "E325",
            f"`mix` is for seeds, and `{name}` has the role `{role}`",
            block.key_span("mix"),
            "remove it, or write `role = seed`",
        )
    if "hub" in given and "split" not in block:
        block.diagnostics.error(
            "E103",
            f"data set `{name}` does not say which split it reads",
            block.where,
            "add `split = train`",
        )
    path = block.text("path", "")
    mapped = block.inner("columns")
    for column in EXTRA:
        if column in mapped and column not in extra:
            block.diagnostics.error(
                "E325",
                f"`{column}` is read by no grader of this spec",
                mapped.key_span(column),
                "remove it, or use the grader that reads it",
            )
    return DataSet(
        name=name,
        role=role,
        path=path,
        format=block.choice("format", ("jsonl", "csv", "parquet"), _format(block, path)),
        hub=block.text("hub", ""),
        config=block.text("config", None),
        split=block.text("split", ""),
        revision=block.text("revision", None),
        program=block.text("program", ""),
        columns={e.key: mapped.text(e.key, "") for e in mapped.block},
        where=_where(block),
        sample=block.amount("sample", "rows", None, least=1),
        mix=bool(block.value("mix")),
        extra=extra,
    )


def _format(block: Reader, path: str) -> str:
    ending = PurePosixPath(path).suffix.lower()
    if path and ending not in FORMATS and "format" not in block:
        block.diagnostics.error(
            "E307",
            f"the ending of `{path}` does not say how to read it",
            block.span("path"),
            "add `format = jsonl`, `format = csv` or `format = parquet`",
        )
    return FORMATS.get(ending, "jsonl")


def _where(block: Reader) -> Where | None:
    text = block.text("where", None)
    if text is None:
        return None
    try:
        return parse_where(text)
    except NotAllowed as error:
        block.diagnostics.error(
            "E320",
            f"`where`: {error}",
            inside_text(block.span("where"), text, error.start, error.end),
            "write a comparison of columns, such as `len(prompt) < 200 and skill == 'index'`",
        )
        return None


def _student(block: Reader) -> Student:
    return Student(
        model=block.text("model", ""),
        revision=block.text("revision", None),
        adapter=block.choice("adapter", ADAPTERS, "full"),
        lora=block.value("lora") or {},
        template=block.text("template", None),
        system=block.text("system", None),
        max_new_tokens=block.amount("max_new_tokens", "tokens", 32, least=1),
        batch=block.amount("batch", "rows", 256, least=1),
        generation=block.value("generation") or {},
        device=block.text("device", None),
        engine=block.choice("engine", ENGINES, ENGINES[0]),
        trust_remote_code=bool(block.value("trust_remote_code")),
        accelerate=block.text("accelerate", None),
    )


def _budget(block: Reader) -> Budget:
    rounds = block.amount("rounds", "rounds", 1, least=1)
    if rounds > MOST_ROUNDS:
        block.diagnostics.error(
            "E204",
            f"a plan lists every round, and {rounds} are more than {MOST_ROUNDS}",
            block.span("rounds"),
            f"write at most {MOST_ROUNDS}",
        )
    run = Caps(
        rounds=rounds,
        rows=block.amount("rows", "rows", None, least=1),
        calls=block.amount("calls", "calls", None),
        tokens=block.amount("tokens", "tokens", None),
        money=_money(block),
        wall=block.amount("wall", "time", None),
        gpu=block.amount("gpu", "time", None),
    )
    per = {name: _part(part, name) for name, part in block.named("per")}
    return Budget(rounds=rounds, run=run, per=per, prices=block.text("prices", None))


def _part(block: Reader, name: str) -> Caps:
    """The caps of a part; ``check_budget`` refuses a part that there is not."""
    caps: dict[str, Any] = {
        kind: _money(block)
        if kind == "money"
        else block.amount(kind, CAPPED[kind], None)
        if kind in CAPPED
        else block.amount(kind, kind, None, least=1)
        for kind in PARTS.get(name, PARTS["round"])
        if kind in block
    }
    for entry in block.block:
        if entry.key in caps:
            continue
        block.node(entry.key)
        block.diagnostics.error(
            "E413",
            f"`{entry.key}` cannot be capped per {name}",
            entry.key_span,
            f"cap it for the whole run, or `per round`; {_why_not(entry.key, name)}",
        )
    return Caps(**caps)


def _why_not(kind: str, name: str) -> str:
    if kind == "rows":
        return f"the rows of a {name} are not counted" if name == "attempt" else "a role keeps none"
    if name == "attempt":
        return "`wall` holds for the trainings of a program too"
    return "a role asks a language model, which runs elsewhere: cap its calls, tokens or money"


def _money(block: Reader) -> float | None:
    """In the currency of the price table: the run converts nothing."""
    money = block.amount("money", "money", None)
    if money is not None and money.currency != CURRENCY:
        block.diagnostics.error(
            "E857",
            f"prices are known in {CURRENCY}, and this is in {money.currency}",
            block.span("money"),
            f"write the amount in {CURRENCY}",
        )
        return None
    return None if money is None else money.amount


def _criteria(block: Reader) -> Criteria:
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


def _stage(block: Reader) -> Stage:
    stage = block.text("stage", "sft")
    args: dict[str, Any] = {}
    for entry in block.block:
        if entry.key != "stage":
            node = block.node(entry.key)
            args[entry.key] = None if node is None else plain(node)
    return Stage(stage, args)
