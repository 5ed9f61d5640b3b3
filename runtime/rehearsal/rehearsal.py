"""The rehearsal itself: the real walk, meter, agents and client, between a stand-in for every
model's server and one for the student. It has a store and a journal of its own, which are deleted;
no tracker, and no champion that is laid out.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Plan, Step, alone
from dagent.compiler.prices import place
from dagent.compiler.totals import span, totals
from dagent.dsl.diagnostics import Refused
from dagent.runtime.executor import Run
from dagent.runtime.journal import Event, Journal
from dagent.runtime.lanes import lanes as make_lanes
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.rehearsal.answers import MARK
from dagent.runtime.rehearsal.server import StandIn
from dagent.runtime.rehearsal.student import StandInStudent
from dagent.runtime.rows import read_rows
from dagent.runtime.status import spent
from dagent.runtime.store import Action, Store

FOLDER = Path(".dagent/rehearsal")
UNITS = ("calls", "tokens", "money", "rows")
_UNPAID = re.compile(r"[\w:.]+ (?:calls|tokens|money|rows): .* more needed|not verified")


@dataclass
class Rehearsal:
    """``steps`` are (step, ok or what broke, what it says); ``breaks`` is what would break."""

    steps: list[tuple[str, str, str]] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    use: list[tuple[str, str, str, str]] = field(default_factory=list)
    longest: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)


def rehearse(plan: Plan, project: Path, *, faults: bool = False) -> Rehearsal:
    """Walk the plan against stand-ins, and say what would break."""
    found = Rehearsal(breaks=list(dict.fromkeys(_unset(plan))))
    (project / FOLDER).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=project / FOLDER))
    try:
        _walk(plan, project, folder, faults, found)
    finally:
        _delete(folder)
        if not any((project / FOLDER).iterdir()):
            (project / FOLDER).rmdir()
    return found


def _walk(plan: Plan, project: Path, folder: Path, faults: bool, found: Rehearsal) -> None:
    store, journal = Store(folder / "store"), Journal(folder / "journal.jsonl")
    answers, watched = AnswerLog(folder / "answers.jsonl"), _Watched(found)
    known = _Known()
    with StandIn(known, faults) as server:
        acted = _against(plan, server.base)
        lanes = make_lanes(acted, journal)
        student = StandInStudent(known)
        run = Run(acted, project, store, journal, lanes, student, watched, answers)
        known.outputs = run.outputs
        try:
            run.walk()
        except Refused as refused:
            told = "; ".join(f"{d.code} {d.message}" for d in refused.diagnostics)
            watched.broke(told)
        except OutOfBudget as out:
            watched.broke(f"the budget ends: {out}")
        finally:
            answers.close()
            journal.close()
    for lane in lanes.by_id.values():
        if lane.stopped and lane.stopped.startswith("budget spent"):
            found.breaks.append(f"the budget ends in round {lane.rounds}: {lane.stopped}")
    found.longest, found.faults = server.longest, server.met
    found.breaks += _too_long(server.longest)
    found.use = list(_use(plan, spent(journal.events, adopted=not plan.variants)))


def _too_long(longest: Mapping[str, int]) -> Iterator[str]:
    """Models whose context, where LiteLLM knows it, does not hold the longest call."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its table, not the network's
    for name, tokens in longest.items():
        model = name.removeprefix(f"{MARK} for ")
        try:
            from litellm import model_cost
        except ImportError:
            return
        known = model_cost.get(model) or model_cost.get(model.partition("/")[2]) or {}
        window = known.get("max_input_tokens")
        if window is not None and tokens > window:
            yield (
                f"a call of `{model}` may take {tokens:,} tokens, and its context holds "
                f"{window:,}: lower `max_tokens`"
            )


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


def _unset(plan: Plan) -> Iterator[str]:
    """Credentials that are missing, and servers without an address; nothing is sent anywhere."""
    for step in plan.steps:
        for lm in _models(step.params):
            endpoint = Endpoint(**lm)
            for name in _keys(endpoint):
                if not os.environ.get(name):
                    yield f"E850 `{endpoint.model}` needs a key, and `{name}` is not set"
            if endpoint.compatible:
                try:
                    _ = endpoint.base
                except Refused as refused:
                    yield f"E852 {refused.diagnostics[0].message}"


def _keys(endpoint: Endpoint) -> list[str]:
    """The variables that must be set; LiteLLM knows those of the providers that it speaks to."""
    if endpoint.key_name is not None:
        return [endpoint.key_name]
    if endpoint.compatible:
        return []
    try:
        from litellm import validate_environment
    except ImportError:
        return []
    missing: list[str] = validate_environment(endpoint.model)["missing_keys"]
    return missing


def _models(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        if "lm" in value:
            yield value["lm"]
        for part in value.values():
            yield from _models(part)


def _against(plan: Plan, base: str) -> Plan:
    """The plan with every model at the stand-in's address, its price and its bounds as they are."""
    prices = {}
    for step in plan.steps:
        for lm in _models(step.params):
            price = plan.prices.get(place(lm["model"], lm["api_base"]))
            if price is not None:
                prices[place(_acted(lm, base)["model"], base)] = price
    steps = tuple(replace(step, params=_put(step.params, base)) for step in plan.steps)
    return replace(plan, steps=steps, prices=prices)


def _put(value: Any, base: str) -> Any:
    if isinstance(value, Mapping):
        return {k: _acted(v, base) if k == "lm" else _put(v, base) for k, v in value.items()}
    return value


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
        for name, artifact in list(self.outputs.items()):
            if name not in self._read and re.search(r"(^|/)data\.[^/]+/rows$", name):
                self._read.add(name)
                rows = read_rows(artifact.path)
                self._answers |= {r["prompt"]: r["answer"] for r in rows if "answer" in r}
        return self._answers


@dataclass
class _Watched:
    """The view of the walk: a line for each step, and where it stood when it broke."""

    found: Rehearsal
    at: str = "before the first step"

    def step(self, step: Step, reused: bool) -> None:
        self.at = step.id

    def progress(self, done: int, total: int, **shown: object) -> None: ...

    def step_done(self, step: Step, action: Action, seconds: float, reused: bool) -> None:
        unpaid = _UNPAID.search(action.note)
        if unpaid:
            where = f"in round {step.round}" if step.round else "before the rounds"
            self.found.breaks.append(f"the budget ends {where}, at {step.id}: {unpaid[0]}")
        self.found.steps.append((step.id, "BUDGET" if unpaid else "ok", action.note or "done"))

    def round_done(self, event: Event) -> None: ...

    def broke(self, why: str) -> None:
        self.found.steps.append((self.at, "BROKE", why))
        self.found.breaks.append(f"{self.at}: {why}")
