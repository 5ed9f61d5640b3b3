"""What was executed: the plan of each execution, and what its steps took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagent.compiler import rates
from dagent.compiler.plan import Plan, Step, dumps, from_json
from dagent.compiler.totals import span
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.journal import Event, read_events
from dagent.runtime.status import RUNS, execution_id, journal_path, latest, plan_path
from dagent.runtime.store import write_atomically

STORE = Path(".dagent/store")
EXPECTED = "expected.json"


def keep_plan(plan: Plan, project: Path) -> None:
    """Keep the plan with its execution, so that later ones can be compared with it, and how long
    its steps were expected to take, so that what happened can be."""
    path = plan_path(project, execution_id(plan.id))
    if not path.exists():
        write_atomically(path, dumps(plan))
    expected = path.with_name(EXPECTED)
    if not expected.exists():
        steps = rates.foreseen(plan, project).steps
        write_atomically(expected, json.dumps(steps, sort_keys=True) + "\n")


def expected(plan: Plan, project: Path) -> Mapping[str, rates.Span]:
    """What was expected when the plan was first executed, by step; where an earlier version of
    dagent did not keep it, what would be now."""
    path = plan_path(project, execution_id(plan.id)).with_name(EXPECTED)
    with suppress(OSError, ValueError):
        found: Mapping[str, rates.Span] = json.loads(path.read_text(encoding="utf-8"))
        return found
    return rates.foreseen(plan, project).steps


def executed(plan: Plan, step: Step, project: Path) -> dict[str, Any] | None:
    """What became of a step in the plan's own execution; ``None`` if there was none."""
    execution = execution_id(plan.id)
    events = read_events(journal_path(project, execution))
    if not events:
        return None
    own = [e for e in events if e.get("step") == step.id]
    done = [e for e in own if e["event"] == "step_finished"]
    last: Event = done[-1] if done else {}
    state = "reused" if last.get("reused") else "done" if last else "begun" if own else "not run"
    return {
        "execution": execution,
        "state": state,
        "seconds": last.get("seconds"),
        "metrics": last.get("metrics", {}),
        "note": last.get("note", ""),
        "outputs": {
            name: (STORE / made["path"]).as_posix()
            for name, made in last.get("outputs", {}).items()
        },
    }


def last_events(project: Path) -> Sequence[Event]:
    """The journal of the folder's latest execution; empty if there was none."""
    execution = latest(project)
    return read_events(journal_path(project, execution)) if execution else ()


def events_of(project: Path, wanted: str | None = None) -> Sequence[Event]:
    """The journal of an execution, named by the first letters of its id; of the latest for None.

    Raises:
        Refused: E817 when nothing was executed here, E880 when no one execution is so named.
    """
    ids = sorted(path.parent.name for path in (project / RUNS).glob("*/journal.jsonl"))
    last = latest(project)
    found = [id for id in ids if id.startswith(wanted)] if wanted else [last] if last else []
    if not ids or not (wanted or last):
        raise Refused(
            Diagnostic(
                "E817",
                "nothing was executed in this folder yet",
                suggestion="dagent compile && dagent execute",
                file=str(project),
            )
        )
    if len(found) != 1:
        many = f"{len(found)} executions begin" if found else "no execution here begins"
        raise Refused(
            Diagnostic(
                "E880",
                f"{many} with `{wanted}`",
                suggestion="take one of: " + ", ".join(found or ids),
                file=str(project),
            )
        )
    return read_events(journal_path(project, found[0]))


def seconds_of(events: Sequence[Event]) -> Mapping[str, float]:
    """What each step took that was run and not reused, by its id."""
    return {
        e["step"]: e["seconds"] for e in events if e["event"] == "step_finished" and not e["reused"]
    }


def learn(plan: Plan, project: Path) -> None:
    """Keep how the latest execution's steps compared with their estimates, for the next compile."""
    path = project / rates.FILE
    before = None
    with suppress(OSError, ValueError):
        before = json.loads(path.read_text(encoding="utf-8"))
    body = rates.learned(plan, seconds_of(last_events(project)), before)
    write_atomically(path, json.dumps(body, sort_keys=True, indent=1) + "\n")


def compared(plan: Plan, events: Sequence[Event], project: Path) -> dict[str, Any]:
    """Seconds of the steps that ran and were not reused: as estimated (low, likely, high), and as
    taken."""
    took = seconds_of(events)
    ends = rates.together(e for id, e in expected(plan, project).items() if id in took)
    return {"estimated": [round(x, 1) for x in ends], "actual": round(sum(took.values()), 1)}


def compared_words(found: dict[str, Any]) -> str:
    low, likely, high = found["estimated"]
    actual = span((found["actual"], found["actual"]), "time")
    guess = f"estimated {rates.about((low, likely, high))}" if high else "no estimate"
    return f"{guess} for the steps that ran; they took {actual}"


def kept_plan(project: Path, execution: str) -> Plan | None:
    """The plan of an execution; ``None`` if an earlier version of dagent kept none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return from_json(json.loads(plan_path(project, execution).read_text(encoding="utf-8")))
    return None
