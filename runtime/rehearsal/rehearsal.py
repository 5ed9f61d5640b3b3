"""The rehearsal itself: the real walk, meter, agents and client, between a stand-in for every
model's server and one for the student. It has a store and a journal of its own, which are deleted;
no tracker, and no champion that is laid out.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from msgspec.structs import replace

from dagent.compiler.dataset import BRINGS
from dagent.compiler.plan import Plan, Step, alone
from dagent.compiler.prices import place
from dagent.compiler.totals import span, totals
from dagent.dsl import document
from dagent.dsl.diagnostics import Refused
from dagent.runtime.executor import Run
from dagent.runtime.graders import TRUSTING
from dagent.runtime.journal import Event, Journal
from dagent.runtime.lanes import lanes as make_lanes
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.ready import models
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.rehearsal.answers import MARK
from dagent.runtime.rehearsal.findings import (
    Rehearsal,
    look_for_models,
    look_for_room,
    look_for_students_room,
    nothing_left,
    try_right_rows,
)
from dagent.runtime.rehearsal.server import StandIn
from dagent.runtime.rehearsal.student import StandInStudent
from dagent.runtime.rows import read_rows
from dagent.runtime.shortfall import unpaid
from dagent.runtime.status import spent
from dagent.runtime.store import Action, Store

FOLDER = Path(".dagent/rehearsal")
CAP = "raise the cap, lower the rounds or rows, or expect the run to end there"
UNITS = ("calls", "tokens", "money", "rows")

Tell = Callable[[str, str, str], None]  # a step, ``ok`` or what broke, what it says


def rehearse(
    plan: Plan,
    project: Path,
    tell: Tell,
    *,
    faults: bool = False,
    spec: document.Mapping | None = None,
) -> Rehearsal:
    """Walk the plan against stand-ins, and say what would break; ``tell`` hears of each step.
    ``spec`` is the document that the plan was compiled from."""
    found, started = Rehearsal(), monotonic()
    look_for_models(plan, found)
    (project / FOLDER).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=project / FOLDER))
    try:
        _walk(plan, project, folder, faults, found, tell, spec)
    finally:
        _delete(folder)
        if not any((project / FOLDER).iterdir()):
            (project / FOLDER).rmdir()
    found.seconds = monotonic() - started
    return found


def _walk(
    plan: Plan,
    project: Path,
    folder: Path,
    faults: bool,
    found: Rehearsal,
    tell: Tell,
    spec: document.Mapping | None,
) -> None:
    store, journal = Store(folder / "store"), Journal(folder / "journal.jsonl")
    answers, known = AnswerLog(folder / "answers.jsonl"), _Known()
    with StandIn(known, faults) as server:
        acted = _against(plan, server.base)
        lanes = make_lanes(acted, journal)
        watched = _Watched(found, tell, acted, project, known)
        student = StandInStudent(known, folder / "worker.log")
        run = Run(acted, project, store, journal, lanes, student, watched, answers, spec=spec)
        known.outputs = run.outputs
        try:
            run.walk()
        except Refused as refused:
            for told in refused.diagnostics:
                at = f"{Path(told.span.source.name).name}:{told.span.line}: " if told.span else ""
                watched.broke(f"{at}{told.code} {told.message}", told.suggestion or "")
        except OutOfBudget as out:
            watched.broke(f"the budget ends: {out}", CAP)
        finally:
            answers.close()
            journal.close()
    for lane in lanes.by_id.values():
        if lane.stopped and lane.stopped.startswith("budget spent"):
            whose = f"{lane.id} " if lane.id else ""
            found.broke(f"{whose}round {lane.rounds}", f"the budget ends: {lane.stopped}", CAP)
    found.longest, found.faults = server.longest, server.met
    look_for_room(server.longest, found)
    student_model = run.outputs.get("student/model")
    asking = [s.params["answering"] for s in plan.steps if s.kind == "evaluate"]
    if student_model is not None and asking:
        most = max(answering["max_new_tokens"] for answering in asking)
        look_for_students_room(student_model.path, known().keys(), most, found)
    found.use = list(_use(plan, spent(journal.events, adopted=not plan.variants)))


def _use(plan: Plan, used: Mapping[str, float]) -> Iterator[tuple[str, str, str, str]]:
    """Of each unit: what the rehearsal took, the worst case of one variant, and the cap."""
    one = alone(plan, plan.variants[0].id) if plan.variants else plan
    whole, caps = totals(one.steps), plan.budget.get("run", {})
    for unit in UNITS:
        worst, cap = getattr(whole, unit)[1], caps.get(unit)
        if worst or cap is not None:
            amounts = (used.get(unit, 0), worst)
            words = [span((amount, amount), unit) for amount in amounts]
            yield unit, words[0], words[1], "none" if cap is None else span((cap, cap), unit)


def _against(plan: Plan, base: str) -> Plan:
    """The plan with every model at the stand-in's address, its price and its bounds as they are,
    and with graders that trust answers: these are ours."""
    prices = {}
    for step in plan.steps:
        for lm, _ in models(step.params):
            price = plan.prices.get(place(lm["model"], lm["api_base"]))
            if price is not None:
                prices[place(_acted(lm, base)["model"], base)] = price
    steps = tuple(replace(step, params=_put(step.params, base)) for step in plan.steps)
    return replace(plan, steps=steps, prices=prices)


def _put(value: Any, base: str) -> Any:
    if isinstance(value, Mapping):
        put = {k: _acted(v, base) if k == "lm" else _put(v, base) for k, v in value.items()}
        return {**put, TRUSTING: True} if value.get("grader") in BRINGS else put
    return [_put(part, base) for part in value] if isinstance(value, list) else value


def _acted(lm: Mapping[str, Any], base: str) -> dict[str, Any]:
    most = Endpoint(**lm).most
    name = f"openai/{MARK} for {lm['model']}"
    return {**lm, "model": name, "api_base": base, "api_key_env": None, "max_tokens": most}


def _delete(folder: Path) -> None:
    """The store keeps its objects read-only."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


@dataclass
class _Known:
    """Right answers by question, from the data sets as far as the walk has read them."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    _answers: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def __call__(self) -> Mapping[str, str]:
        for name in [n for n in list(self.outputs) if n not in self._read]:
            self._read.add(name)
            if re.search(r"(^|/)data\.[^/]+/rows$", name):
                rows = read_rows(self.outputs[name].path)
                self._answers |= {r["prompt"]: r["answer"] for r in rows if "answer" in r}
        return self._answers


@dataclass
class _Watched:
    """The view of the walk: a line for each step, and where it stood when it broke."""

    found: Rehearsal
    tell: Tell
    plan: Plan
    project: Path
    known: _Known
    at: str = "before the first step"

    def step(self, step: Step, reused: bool) -> None:
        self.at = step.id
        if step.kind in ("verify", "author") and step.round == 1:
            dev = next(s.inputs["rows"] for s in self.plan.steps if s.kind == "split")
            rows = read_rows(self.known.outputs[dev].path)
            try_right_rows(step, rows, self.project, self.found)

    def progress(self, done: int, total: int, **shown: object) -> None: ...

    def step_done(self, step: Step, action: Action, seconds: float, reused: bool) -> None:
        how, where = "ok", f"round {step.round}" if step.round else "before the rounds"
        if ended := unpaid(action.note):
            how = "BUDGET"
            self.found.broke(f"{where}, {step.id}", f"the budget ends: {ended}", CAP)
        elif why := nothing_left(step, action):
            how = "BROKE"
            self.found.broke(step.id, why, "its note above says the most frequent causes")
        self.found.reached.append(step.id)
        self.tell(step.id, how, action.note or "done")

    def round_done(self, event: Event) -> None: ...

    def broke(self, why: str, advice: str) -> None:
        self.tell(self.at, "BROKE", why)
        self.found.broke(self.at, why, advice)
