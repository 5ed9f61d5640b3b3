"""The typed spec: what a document says, in base units, with every default filled in.

Values are plain; where they stand in the text is asked of the document (``Spec.at``), so that a
comment, a space or the order of keys cannot reach the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from dagent.compiler.arguments import SAMPLING
from dagent.compiler.dataset import BRINGS, View
from dagent.compiler.where import Where
from dagent.dsl import document
from dagent.dsl.source import Placed, Span

Options = Mapping[str, Any]


class Domain(Struct, frozen=True):
    """``skills`` and ``difficulties`` are ``None`` when the dev rows say them."""

    name: str
    goal: str
    skills: tuple[str, ...] | None
    difficulties: tuple[str | int, ...] | None
    answer: str | None
    sources: tuple[str, ...] = ()


class DataSet(Struct, frozen=True):
    """One of ``path``, ``hub`` and ``program`` is not empty. ``columns`` maps dagent's name of a
    column to the set's, where they differ. ``mix``: seeds that are trained on as they are.
    ``extra``: the further columns that its rows carry, for graders."""

    name: str
    role: str
    path: str = ""
    format: str = "jsonl"
    hub: str = ""
    config: str | None = None
    split: str = ""
    revision: str | None = None
    program: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Where | None = None
    sample: int | None = None
    mix: bool = False
    extra: tuple[str, ...] = ()

    @property
    def source(self) -> tuple[str, str]:
        """The key that says where the rows come from, and its value."""
        key = "path" if self.path else "hub" if self.hub else "program"
        return key, getattr(self, key)

    @property
    def title(self) -> str:
        return self.source[1]

    @property
    def local_hub(self) -> bool:
        """A folder that ``datasets`` reads, rather than a data set on the hub."""
        return self.hub.startswith((".", "/", "~"))

    @property
    def view(self) -> View:
        return View(
            columns=self.columns,
            where=self.where,
            answers=self.role != "pool",
            text=bool(self.path) and self.format == "csv",
            extra=self.extra,
        )


class Student(Struct, frozen=True):
    model: str
    revision: str | None
    adapter: str
    lora: Options
    template: str | None
    system: str | None
    max_new_tokens: int
    batch: int
    generation: Options
    device: str | None
    engine: str = "transformers"
    trust_remote_code: bool = False
    accelerate: str | None = None
    attn_implementation: str | None = None

    @property
    def samples(self) -> bool:
        """Whether answers are drawn: asked for, or implied by an argument that steers drawing."""
        given = {name for name, value in self.generation.items() if value is not None}
        return bool(self.generation.get("do_sample", given & set(SAMPLING)))

    @property
    def source(self) -> str:
        """``builtin``, ``local`` or ``hub``."""
        if self.model.startswith("builtin:"):
            return "builtin"
        return "local" if self.model.startswith((".", "/", "~")) else "hub"


class LanguageModel(Struct, frozen=True):
    """A model and where it is served. ``api_key`` is the *name* of an environment variable;
    ``batch`` is whether its waves of calls are sent as batches."""

    name: str
    api_base: str | None
    api_key: str | None
    temperature: float | None
    max_tokens: int | None
    batch: bool = False


class Role(Struct, frozen=True):
    """Who does one part of the engineering: a policy of dagent's, a program of the user's or a
    language model. A verifier may be a program *and* a model."""

    policy: str | None
    program: str | None
    options: Options
    lm: LanguageModel | None = None

    @property
    def who(self) -> str:
        """
        >>> Role("matched", None, {}).who
        'matched'
        """
        named = (self.policy, self.program, self.lm and self.lm.name)
        return " + ".join(name for name in named if name)


class Optimise(Struct, frozen=True):
    """How DSPy optimises a role: ``holdout`` of the examples judge, within ``calls`` calls."""

    optimiser: str
    calls: int
    holdout: float


class Check(Struct, frozen=True):
    """What the own answer of every generated row must pass; ``options`` are the grader's."""

    name: str
    grader: str
    options: Options


class Engineer(Struct, frozen=True):
    strategy: str
    planner: Role
    generator: Role
    verifier: Role | None
    diagnoser: Role | None
    refiner: Role | None
    samples: int
    judge: bool
    explore: int | None
    optimise: Mapping[str, Optimise]
    candidates: int | float
    prefer_wrong: float
    floor: float
    cap: float
    feedback: bool
    accumulate: bool
    train_from: str
    verify: tuple[Check, ...] = ()
    duplicate: float = 0.8  # least similarity of near-duplicates
    templates: bool = True  # whether leaks with other constants are looked for
    # Of the strategy ``program`` alone.
    author: Role | None = None
    teacher: Role | None = None
    setting: str = "iterative"
    attempts: int = 8
    trainings: int = 1

    @property
    def writes_programs(self) -> bool:
        return self.strategy == "program"

    @property
    def looks(self) -> bool:
        """Whether the author of programs sees how the student does."""
        return self.writes_programs and self.setting == "iterative"


class Caps(Struct, frozen=True):
    """``None`` is no cap. ``wall`` and ``gpu`` in seconds, ``money`` in US dollars."""

    rounds: int | None = None
    rows: int | None = None
    calls: int | None = None
    tokens: int | None = None
    money: float | None = None
    wall: float | None = None
    gpu: float | None = None

    def given(self) -> dict[str, float]:
        return {name: cap for name, cap in asdict(self).items() if cap is not None}


class Budget(Struct, frozen=True):
    """Caps of the run, and of its parts: ``round`` or a role. ``prices`` is the user's price list,
    a path."""

    rounds: int
    run: Caps
    per: Mapping[str, Caps]
    prices: str | None = None

    @property
    def rows_per_round(self) -> int:
        """Rows to keep in each round: its own cap, else an equal share of the run's. 0: unknown."""
        part = self.per.get("round", Caps()).rows
        if part is not None:
            return part
        return (self.run.rows or 0) // max(1, self.rounds)


class Metric(Struct, frozen=True):
    """``options`` are those of the grader that were given."""

    name: str
    grader: str
    average: str
    options: Options

    @property
    def judge(self) -> LanguageModel | None:
        """The model that judges answers, where one does."""
        return self.options.get("lm") if self.grader == "judge" else None


class Requirement(Placed, frozen=True, eq=False):
    """``accuracy >= 0.8 on test``; ``skill`` is ``None`` (overall), ``each`` or a skill's name.
    ``set`` of a task is its own name, and empty where a goal lacks one."""

    metric: str
    op: str
    value: float
    set: str
    skill: str | None = None
    span: Span | None = None


class Task(Struct, frozen=True):
    """A task of lm-evaluation-harness; ``folder`` holds the user's own, ``metric`` is one of the
    task's. None is what the task itself says."""

    name: str
    folder: str | None
    shots: int | None
    limit: int | None
    metric: str | None


class Guard(Struct, frozen=True):
    """``max_drop`` as a fraction: 0.02 is two points. ``None``: it guards nothing, being a metric
    that is a task, measured on base and champion."""

    set: str
    metric: str
    max_drop: float | None
    task: Task | None = None

    @property
    def block(self) -> str:
        """The kind of block that declares it."""
        return "metric" if self.max_drop is None else "guard"


class Criteria(Struct, frozen=True):
    """``metrics`` grade rows of the spec's; ``tasks`` are those metrics that are a task."""

    metrics: tuple[Metric, ...]
    tasks: tuple[Guard, ...]
    requirements: tuple[Requirement, ...]
    guards: tuple[Guard, ...]
    alpha: float
    select: float
    rule: str
    patience: int | None
    when: Requirement | None

    @property
    def watched(self) -> tuple[Guard, ...]:
        """All that is measured beside select and test."""
        return (*self.guards, *self.tasks)

    @property
    def judges(self) -> tuple[Metric, ...]:
        """The metrics that a language model judges."""
        return tuple(m for m in self.metrics if m.grader == "judge")


class Stage(Struct, frozen=True):
    stage: str
    args: Options


class Spec(Placed, frozen=True, eq=False):
    seed: int
    domain: Domain
    data: tuple[DataSet, ...]
    student: Student
    engineer: Engineer
    budget: Budget
    criteria: Criteria
    train: tuple[Stage, ...]
    root: document.Mapping

    def at(self, *path: str | int) -> Span:
        return place(self.root, path)

    def key(self, *path: str | int) -> Span:
        return place(self.root, path, of_key=True)

    def role(self, role: str) -> DataSet:
        """The data set of a role that exactly one has.

        Raises:
            StopIteration: when none has it, which ``check_data`` refuses.
        """
        return next(data for data in self.data if data.role == role)

    @property
    def needed(self) -> tuple[str, ...]:
        """The graders of a row to train on that need more of it than its answer."""
        graders = [self.criteria.metrics[0].grader] if self.criteria.metrics else []
        graders += [check.grader for check in self.engineer.verify]
        return tuple(sorted(BRINGS.keys() & set(graders)))

    @property
    def brings(self) -> str:
        """The one of them for which a language model writes what is needed; empty for none."""
        return self.needed[0] if self.engineer.generator.lm and self.needed else ""

    def judged_by(self, data: DataSet) -> tuple[str, ...]:
        """The metrics that judge answers to the rows of a set."""
        if data.role in ("dev", "test"):
            return tuple(m.name for m in self.criteria.metrics)
        guards = (g for g in self.criteria.guards if not g.task)
        return tuple(g.metric for g in guards if g.set == data.name)


def place(root: document.Mapping, path: document.Path, *, of_key: bool = False) -> Span:
    """Where a value stands; for a block, or what is not written, the key of the nearest block.

    With ``of_key`` the key's own place, for findings about a key rather than its value.
    """
    node: document.Node = root
    key: Span | None = None
    for part in path:
        child: document.Node | None = None
        if isinstance(node, document.Mapping) and isinstance(part, str):
            entry = node.entry(part)
            if entry is not None:
                key, child = entry.key_span, entry.value
        elif isinstance(node, document.Sequence) and isinstance(part, int):
            child = node.items[part] if part < len(node.items) else None
            key = child.span if isinstance(child, document.Scalar) else key
        if child is None:
            return key or _first(root)
        node = child
    if isinstance(node, document.Scalar) and not of_key:
        return node.span
    return key or _first(root)


def _first(root: document.Mapping) -> Span:
    """The first key of a document: what to point at when nothing nearer exists."""
    return root.entries[0].key_span if root.entries else root.span
