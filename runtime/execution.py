"""One execution of a plan: folder, lock, journal, tracker, worker, and the walk between them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dagent import __version__
from dagent.compiler.plan import Plan
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Note, Refused
from dagent.runtime import tracking
from dagent.runtime.executor import Run, View
from dagent.runtime.journal import Event, Journal, read_events
from dagent.runtime.lanes import Lane, Lanes, of_variant
from dagent.runtime.lanes import lanes as make_lanes
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.answers import inherit as inherit_answers
from dagent.runtime.lm.batch_log import inherit as inherit_batches
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.provenance import made_on, packages
from dagent.runtime.rows import read_json
from dagent.runtime.sandbox import unsandboxed
from dagent.runtime.shortfall import shortfall
from dagent.runtime.status import LATEST, execution_id, journal_path, latest, spent
from dagent.runtime.store import Store, write_atomically
from dagent.runtime.worker import ProcessWorker, Timing, Worker

LOCK = Path(".dagent/lock")
CHAMPION = Path(".dagent/champion")


class Screen(View, AbstractContextManager["Screen"], Protocol):
    """A view that lasts as long as a ``with`` block."""


class StoppableWorker(Worker, Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


MakeWorker = Callable[[Path, Timing], StoppableWorker]


def _process_worker(log: Path, timing: Timing) -> StoppableWorker:
    return ProcessWorker(log, timing)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``event`` is the ``execution_finished`` event; ``already`` that nothing was left to do;
    ``behind`` the line to print when MLflow lacks something."""

    event: Event
    already: bool
    behind: str | None


def execute(
    plan: Plan,
    project: Path,
    plan_path: str,
    make_screen: Callable[[Plan, Lanes], AbstractContextManager[View]],
    *,
    force: Collection[str] = (),
    make_worker: MakeWorker = _process_worker,
    spec: document.Mapping | None = None,
) -> Outcome:
    """Execute a plan in its project folder, or continue where an earlier execution of it stopped.
    ``spec`` is the document that the plan was compiled from: what is wrong has its place there.

    Raises:
        Refused: a finding on the user's side; what was finished is kept.
        Failed: on the machine's side; likewise.
        KeyboardInterrupt: likewise; the journal says so.
    """
    with locked(project):
        execution, before = execution_id(plan.id), latest(project)
        journal = Journal(journal_path(project, execution))
        fresh = not journal.events
        write_atomically(project / LATEST, execution + "\n")
        if not force and (done := finished(journal.events)):
            return Outcome(done, True, "\n".join(tracking.catch_up(project)) or None)
        store = Store(project / ".dagent/store")
        store.sweep()
        journal.append(
            "execution_started",
            plan_id=plan.id,
            name=plan.name,
            goal=plan.goal,
            plan_path=plan_path,
            settings=dict(plan.settings),
            seed=plan.settings.get("seed", 0),
            rounds=plan.rounds,
            metric=plan.metric,
            resumed=bool(journal.events),
            version=__version__,
            made_on=made_on(project),
            packages=packages(),
            **({"unsandboxed": True} if unsandboxed() else {}),
            **_variants(plan),
        )
        if fresh and before is not None and not plan.variants:
            _inherit(journal_path(project, before), journal)
        lanes = make_lanes(plan, journal)
        answers = AnswerLog(journal.path.with_name("answers.jsonl"))
        worker = make_worker(journal.path.parent / "worker.log", lanes)
        worker.start()
        tracker = tracking.start(project, execution)
        try:
            with make_screen(plan, lanes) as view:
                run = Run(plan, project, store, journal, lanes, worker, view, answers, force, spec)
                run.walk()
            event = journal.append(
                "execution_finished", **_finish(run, project / CHAMPION, journal.events)
            )
            store.forget_unfinished()
        except KeyboardInterrupt:
            journal.append("execution_stopped", state="interrupted", reason="interrupted")
            raise
        except OutOfBudget as out:
            told = _unaffordable(journal.events, out)
            journal.append("execution_stopped", state="failed", reason=told.message)
            raise Refused(told) from out
        except Exception as error:
            journal.append("execution_stopped", state="failed", reason=str(error))
            raise
        finally:
            worker.stop()
            behind = tracker.finish()
            answers.close()
            journal.close()
        return Outcome(event, False, behind or tracker.note or None)


def _inherit(before: Path, journal: Journal) -> None:
    """What the folder's last execution, of another plan, paid for and could not use: answers of
    steps that it did not finish, and batches that are still at the provider."""
    if not before.exists():
        return
    events = read_events(before)
    done = {e["step"] for e in events if e["event"] == "step_finished"}
    theirs, ours = before.parent, journal.path.parent
    inherit_answers(theirs / "answers.jsonl", ours / "answers.jsonl", done)
    held = inherit_batches(theirs / "batches.jsonl", ours / "batches.jsonl", events)
    for event in held:
        kept = {name: event[name] for name in ("key", "scopes", "amounts")}
        journal.append("reserved", **kept)


def _unaffordable(events: Sequence[Event], out: OutOfBudget) -> Diagnostic:
    """A cap that ends a run where there is no result to end it with."""
    at = [e["step"] for e in events if e["event"] == "step_started"][-1]
    kept = len({e["step"] for e in events if e["event"] == "step_finished"})
    return Diagnostic(
        "E861",
        f"the budget does not reach past step `{at}`: {out}",
        suggestion="raise that cap in the spec, then `dagent compile` and `dagent execute`: "
        "finished steps are reused",
        notes=(Note(f"{kept} finished steps are kept, and the answers that `{at}` got so far"),),
    )


def _variants(plan: Plan) -> dict[str, Any]:
    """What each variant's own start says: its arm, its seed, and the settings that it changes."""
    if not plan.variants:
        return {}
    settings = {a.name: {**plan.settings, **a.settings} for a in plan.arms}
    own = {
        v.id: {"arm": v.arm, "seed": v.seed, "settings": {**settings[v.arm], "seed": v.seed}}
        for v in plan.variants
    }
    return {"variants": list(own), "by_variant": own}


def finished(events: list[Event]) -> Event | None:
    """The end of an execution that needs nothing more."""
    return events[-1] if events and events[-1]["event"] == "execution_finished" else None


@contextmanager
def locked(project: Path) -> Iterator[None]:
    """One execution at a time in a folder.

    Raises:
        Refused: E816 when another process holds the lock.
    """
    path = project / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                Diagnostic(
                    "E816",
                    "another process executes in this folder",
                    suggestion="wait for it, or watch it with `dagent status`",
                    file=str(project),
                )
            ) from None
        yield


def is_running(project: Path) -> bool:
    try:
        with locked(project):
            return False
    except Refused:
        return True


def _finish(run: Run, champion: Path, events: list[Event]) -> dict[str, Any]:
    """The fields of ``execution_finished``; also lays the champion out as a folder of its own.

    With arms the champion is the loop's of the seed that did best on select.
    """
    plan = run.plan
    ends = {
        v.id: _end(run, run.lanes.by_id[v.id], v.result, of_variant(events, v.id))
        for v in plan.variants
    }
    if ends:
        mine = [v.id for v in plan.variants if v.arm == plan.variants[0].arm]
        best = max(mine, key=lambda id: ends[id]["champion"]["select"])
        lane, end = run.lanes.by_id[best], {**ends[best], "best": best, "by_variant": ends}
        end["comparison"] = read_json(run.outputs["compare/comparison"].path)
    else:
        lane = run.lanes.by_id[""]
        end = _end(run, lane, "result", events)
    assert lane.last_gate is not None
    _lay_out(run.outputs[f"{lane.last_gate.id}/champion"].path, champion)
    return {
        "state": "finished",
        "spent": spent(events, adopted=not plan.variants),
        "champion_model": champion.relative_to(run.project).as_posix(),
        **end,
    }


def _end(run: Run, lane: Lane, result_step: str, events: list[Event]) -> dict[str, Any]:
    """How one variant ended."""
    result: Mapping[str, Any] = read_json(run.outputs[f"{result_step}/result"].path)
    number = result["champion"]["round"]
    select = {e["round"]: e["select"] for e in events if e["event"] == "round_finished"}
    return {
        "stop": lane.stopped,
        **shortfall(events),
        "base": {"select": select[0], "test": result["base"]["test"]},
        "champion": {
            "round": number,
            "select": select[number],
            "test": result["champion"]["test"],
        },
        "gain": {k: result["gain"][k] for k in ("test_pp", "relative", "ci", "p", "by")},
        "requirements": result["requirements"],
        "met": all(r["met"] for r in result["requirements"]),
        **{key: result[key] for key in ("metrics", "watched", "programs") if key in result},
    }


def _lay_out(model: Path, target: Path) -> None:
    """Copy the champion to where a person looks for it; the old stays until the new is whole."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(model, partial)
    for file in partial.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
