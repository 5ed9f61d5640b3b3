"""Walks a plan: runs a step, reuses what was done before, skips the rounds after a stop.

Resuming is the same walk. What an earlier session finished is found in the store by its action key;
the journal tells what was spent and what has been said already.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from dagent.compiler.plan import Plan, Step, input_step, users
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.accelerators import BASE, UNIT
from dagent.runtime.configured import check_configs
from dagent.runtime.frozen import check_frozen
from dagent.runtime.journal import Event, Journal
from dagent.runtime.lanes import Lane, Lanes, meter_of, of_variant
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.ready import unready
from dagent.runtime.meter import ADOPTED, OutOfBudget
from dagent.runtime.rows import read_json
from dagent.runtime.step import Artifact, Context, StepRunner
from dagent.runtime.steps import runner as find_runner
from dagent.runtime.store import Action, Store, action_key
from dagent.runtime.worker import Worker

Runners = Callable[[str], StepRunner]
RESERVE = 1.25  # of the time that the end is expected to take
FREE = ("data", "split")  # done while the worker imports what it needs
MEASURE = ("evaluate", "benchmark")


class View(Protocol):
    """What the executor tells the screen."""

    def step(self, step: Step, reused: bool) -> Any: ...
    def progress(self, done: int, total: int, **shown: object) -> None: ...
    def step_done(self, step: Step, action: Action, seconds: float, reused: bool) -> None: ...
    def round_done(self, event: Event) -> None: ...


@dataclass
class Run:
    """One walk over a plan. ``outputs`` holds what is known so far, by ``"<step>/<output>"``."""

    plan: Plan
    project: Path
    store: Store
    journal: Journal
    lanes: Lanes
    worker: Worker
    view: View
    answers: AnswerLog
    force: Collection[str] = ()
    spec: document.Mapping | None = None
    runners: Runners = find_runner
    outputs: dict[str, Artifact] = field(default_factory=dict)
    configured: bool = False  # whether the libraries took the plan's arguments

    def check(self) -> None:
        """Ask every step what would make it fail, before the first runs.

        Raises:
            Refused: with everything that was found.
        """
        found: list[Diagnostic] = []
        for step in self.plan.steps:
            found += self.runners(step.kind).check(step, self.project)
        found += unready(self.plan.steps)
        unique = {(d.code, d.message, d.file): d for d in found}
        if any(d.severity == "error" for d in unique.values()):
            raise Refused(unique.values())

    def walk(self) -> None:
        """Do every step of the plan that is needed, in order.

        Raises:
            Refused, Failed: a step could not be done; what was finished is kept.
            OutOfBudget: outside the rounds; inside, it ends the rounds instead.
        """
        self.check()
        frozen: set[str] = set()  # the times at which everything was compared with the plan
        for step in self.plan.steps:
            lanes = self.lanes.of(step)
            for lane in lanes:
                self._afford_round(lane, step)
            if step.round and all(lane.stopped for lane in lanes):
                continue
            if (when := _time(step)) not in frozen:
                check_frozen(self.plan.steps, self.project, when)
                frozen.add(when)
            try:
                with self.lanes.at_work(lanes, step):
                    self._do(step, lanes)
            except OutOfBudget as out:
                for lane in lanes:
                    if not step.round or lane.last_gate is None:
                        raise
                    lane.stopped = lane.stopped or f"budget spent: {out}"
                continue
            if step.kind == "gate":
                self._finish_round(step, lanes)

    def _do(self, step: Step, lanes: list[Lane]) -> None:
        inputs = {name: self._input(ref, lanes) for name, ref in step.inputs.items()}
        key = action_key(step, inputs)
        action = None if step.id in self.force else self.store.lookup(key)
        reused = action is not None
        self.view.step(step, reused)
        started = monotonic()
        if action is None:
            if not self.configured and step.kind not in FREE:
                check_configs(self.plan.steps, self.project, self.worker, self.store, self.spec)
                self.configured = True
            self.journal.append(
                "step_started",
                step=step.id,
                kind=step.kind,
                round=step.round,
                action=key,
                **self._variants(lanes),
            )
            action = self._run(step, key, inputs, lanes)
        else:
            self._adopt(step, key, action, lanes)
        seconds = round(monotonic() - started, 3)
        found = self._keep(step, action)
        if not reused or not self._told(step, key):
            self.journal.append(
                "step_finished",
                step=step.id,
                kind=step.kind,
                round=step.round,
                action=key,
                reused=reused and not self._started(step, key),
                seconds=seconds,
                outputs={
                    name: {"digest": a.digest, "path": self.store.relative(a)}
                    for name, a in found.items()
                },
                metrics=dict(action.metrics),
                note=action.note,
                **self._variants(lanes),
            )
        self.view.step_done(step, action, seconds, reused)

    def _run(
        self, step: Step, key: str, inputs: Mapping[str, Artifact], lanes: list[Lane]
    ) -> Action:
        scratch = self.store.scratch()
        meter = meter_of(lanes, step)
        context = Context(
            self.project,
            scratch,
            meter,
            self.worker,
            self.view.progress,
            self.answers,
            self.store.unfinished(key),
            self.plan.prices,
        )
        at = f"at step {step.id}"
        try:
            check_frozen((step,), self.project, at)
            output = self.runners(step.kind).run(step, inputs, context)
            check_frozen((step,), self.project, at)
            digests = {
                name: made.digest if isinstance(made, Artifact) else self.store.put(made).digest
                for name, made in output.artifacts.items()
            }
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        spent = {**meter.charged(step.id), **({UNIT: self.lanes.held} if self.lanes.held else {})}
        action = Action(digests, output.metrics, output.note, spent)
        self.store.record(key, action)
        return action

    def _adopt(self, step: Step, key: str, action: Action, lanes: list[Lane]) -> None:
        """Charge reused rows: they count however they came; calls that were paid once do not.

        Among arms they do, to the caps of the arm: it would have made them if it were alone. What
        an earlier step of the same lanes did, such as the champion's answers to a guard, is no
        further work.
        """
        mine = {lane.id for lane in lanes}
        for event in self._events("step_finished"):
            if event["action"] == key and mine <= {*event.get("variants", mine)}:
                return
        units = action.spent if self.plan.variants else {"rows": action.spent.get("rows", 0)}
        amounts = {unit: amount for unit, amount in units.items() if amount}
        meter = meter_of(lanes, step)
        if amounts and not meter.charged(step.id):
            meter.reserve(step.id, (f"round:{step.round}", ADOPTED), **amounts)

    def _keep(self, step: Step, action: Action) -> dict[str, Artifact]:
        found = {}
        for name, key in action.outputs.items():
            artifact = self.store.get(key)
            assert artifact is not None, f"{step.id}/{name} vanished from the store"
            found[name] = artifact
            self.outputs[f"{step.id}/{name}"] = artifact
        return found

    def _input(self, reference: str, lanes: list[Lane]) -> Artifact:
        """The artifact of a reference; one to a skipped gate means the last gate that ran."""
        if reference not in self.outputs and lanes and (gate := lanes[0].last_gate):
            reference = f"{gate.id}/{reference.rsplit('/', 1)[1]}"
        return self.outputs[reference]

    def _variants(self, lanes: list[Lane]) -> dict[str, list[str]]:
        """Which variants an event is of; nothing in a plan without arms."""
        return {"variants": [lane.id for lane in lanes]} if self.plan.variants else {}

    def _told(self, step: Step, key: str) -> bool:
        return any(
            e["step"] == step.id and e["action"] == key for e in self._events("step_finished")
        )

    def _started(self, step: Step, key: str) -> bool:
        """Whether this execution ran the step itself, in a session that died before it said so."""
        return any(
            e["step"] == step.id and e["action"] == key for e in self._events("step_started")
        )

    def _events(self, name: str) -> Iterator[Event]:
        return (e for e in self.journal.events if e["event"] == name)

    def _afford_round(self, lane: Lane, step: Step) -> None:
        """Reserve a round before its first step; stop where the time left cannot hold it.

        A round is expected to take the last one's time and, since rows add up, as much more as the
        last took beyond the one before.
        """
        if lane.stopped or not step.round or step.round <= lane.rounds:
            return
        lane.rounds = step.round
        if lane.meter.charged(f"round:{step.round}"):
            return  # an earlier session began it, and time it took is gone already
        finished = (e for e in self._events("round_finished") if e["round"])
        rounds = [e for e in finished if lane.id in e.get("variants", ("",))]
        took = {
            "wall": [e["seconds"] for e in rounds],
            UNIT: [lane.meter.spent(UNIT, f"round:{e['round']}") for e in rounds],
        }
        try:
            for unit, amounts in took.items():
                self._afford_time(lane, unit, amounts)
            lane.meter.begin(step.round)
        except OutOfBudget as out:
            if lane.last_gate is None:
                raise
            lane.stopped = f"budget spent: {out}"

    def _afford_time(self, lane: Lane, unit: str, took: list[float]) -> None:
        """Raises: OutOfBudget, where a further round would not end within a cap."""
        if not took:
            return
        expected = took[-1] + (max(0.0, took[-1] - took[-2]) if len(took) > 1 else 0.0)
        ends, cap = lane.meter.time_left(unit), lane.meter.round_cap(unit)
        kept = lane.meter.kept.get(unit, 0.0)
        further = f"a further round takes about {expected:.0f} s"
        if ends is not None and expected > ends[0] - kept:
            after = f", {kept:.0f} s of them for test," if kept >= 1 else ","
            raise OutOfBudget(f"{ends[1]}: {ends[0]:.0f} s left{after} {further}")
        if cap is not None and expected > cap:
            raise OutOfBudget(f"round {unit}: {cap:.0f} s allowed, {further}")

    def _kept(self, lane: Lane) -> dict[str, float]:
        """Time that the end will take, which rounds must leave: test by what the base took on
        select, a task by what it took on the base."""
        own = [s for s in self.plan.steps if s.kind in MEASURE and lane in self.lanes.of(s)]
        took = {e["step"]: e["seconds"] for e in self._events("step_finished")}
        base = {s.id: took.get(s.id, 0.0) for s in own if s.round == 0}
        first = next(s for s in own if s.kind == "evaluate" and s.round == 0)
        if not first.estimate.rows or not first.estimate.rows[1] or not sum(base.values()):
            return {}
        end = 0.0
        for step in (s for s in own if s.round is None and s.estimate.rows):
            if step.kind == "benchmark":
                end += next(base[s.id] for s in own if s.id in base and s.params == step.params)
            elif step.estimate.rows:
                end += base[first.id] * step.estimate.rows[1] / first.estimate.rows[1]
        share = RESERVE * end / sum(base.values())
        return {"wall": RESERVE * end, UNIT: share * lane.meter.spent(UNIT, BASE)}

    def _finish_round(self, gate: Step, lanes: list[Lane]) -> None:
        decision = read_json(self.outputs[f"{gate.id}/decision"].path)
        for lane in lanes:
            lane.last_gate, lane.stopped = gate, decision["stop"]
            if gate.round == 0:
                lane.meter.kept = self._kept(lane)
        label = self._variants(lanes)
        told = next(
            (
                e
                for e in self._events("round_finished")
                if e["round"] == gate.round and e.get("variants") == label.get("variants")
            ),
            None,
        )
        if told is None:
            body = self._round_event(gate, decision, lanes[0])
            told = self.journal.append("round_finished", **body, **label)
        self.view.round_done(told)

    def _round_event(self, gate: Step, decision: Mapping[str, Any], lane: Lane) -> dict[str, Any]:
        own = of_variant(list(self._events("step_finished")), lane.id)
        steps = [e for e in own if e["round"] == gate.round]
        return {
            "round": gate.round,
            **{
                k: decision[k]
                for k in (
                    "metric",
                    "accepted",
                    "champion_round",
                    "select",
                    "select_low",
                    "select_high",
                    "per_skill",
                    "reason",
                    "rows",
                    "rows_total",
                    "stop",
                )
            },
            "guards": {name: found["value"] for name, found in decision["guards"].items()},
            "calls": int(lane.meter.spent("calls", f"round:{gate.round}")),
            "seconds": round(sum(e["seconds"] for e in steps), 3),
        }


def _time(step: Step) -> str:
    """When in a run a step is done, as a finding says it."""
    if step.params.get("set") == "test":
        return "before test was opened"
    return f"at the start of round {step.round}" if step.round else "before the rounds"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a step would do, and why: ``action`` is ``run``, ``reuse`` or ``skip``."""

    step: Step
    action: str
    reason: str


def forecast(plan: Plan, store: Store, force: Collection[str] = ()) -> Iterator[Forecast]:
    """What ``walk`` would do, without doing it.

    A step's inputs are known only if what makes them is done; after a step that must run, the
    store may still hold what follows, since an unchanged output stops reruns.
    """
    known: dict[str, Artifact] = {}
    gates: dict[str, str] = {}
    stopped: dict[str, str | None] = {}
    needed = users(plan) if plan.variants else {step.id: ("",) for step in plan.steps}
    for step in plan.steps:
        lanes = needed[step.id]
        if step.round and all(stopped.get(lane) for lane in lanes):
            yield Forecast(step, "skip", stopped[lanes[0]] or "")
            continue
        inputs: dict[str, Artifact] = {}
        missing = None
        for name, reference in step.inputs.items():
            found = known.get(reference)
            if found is None and lanes and stopped.get(lanes[0]):
                found = known.get(f"{gates[lanes[0]]}/{reference.rsplit('/', 1)[1]}")
            if found is None:
                missing = missing or input_step(reference)
            else:
                inputs[name] = found
        if missing:
            yield Forecast(step, "run", f"waits for {missing}")
            continue
        action = store.lookup(action_key(step, inputs))
        if step.id in force:
            yield Forecast(step, "run", "forced")
            continue
        if action is None:
            yield Forecast(step, "run", "not done before with these parameters and inputs")
            continue
        yield Forecast(step, "reuse", action.note or "done before")
        for name, key in action.outputs.items():
            artifact = store.get(key)
            if artifact:
                known[f"{step.id}/{name}"] = artifact
        if step.kind == "gate":
            why = read_json(known[f"{step.id}/decision"].path)["stop"]
            for lane in lanes:
                gates[lane], stopped[lane] = step.id, why
