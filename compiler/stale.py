"""Is a plan still what its spec says? ``execute`` asks before it spends anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from dagent.compiler.diff import diff, plan_changes
from dagent.compiler.lock import LOCK_FORMAT, lock_path
from dagent.compiler.pipeline import compile
from dagent.compiler.plan import PLAN_FORMAT, Plan, from_json, step_key
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostic, Note, Refused

SHOWN = 8  # reasons told before the rest is counted


def check_fresh(path: Path) -> Plan:
    """The plan at ``path``, if it is whole and still what its spec and locked files say.

    A plan whose spec is not there (it was shipped alone) is held against its own keys only; the
    steps check the data and programs that they use.

    Raises:
        Refused: E803 no plan; E806 not a plan, or of another version; E805 edited by hand;
            E804 the spec, its data or its programs changed since: with what changed; or the
            findings of a spec that does not compile any more.
    """
    plan = read_plan(path)
    lock = _read_lock(path)
    spec = path.parent / lock["spec"]
    if not spec.exists():
        return plan
    values = tuple(f"{name}={_text(value)}" for name, value in lock["set"].items())
    fresh = compile(spec, Settings(values, os.environ)).plan
    if fresh.id == plan.id:
        return plan
    raise _refused(
        "E804",
        f"the plan is stale: `{lock['spec']}`, or a file that it names, changed since",
        "run `dagent compile` again; `dagent diff` shows what that means",
        path,
        _reasons(plan, fresh),
    )


def read_plan(path: Path) -> Plan:
    """The plan in a file, its identity checked.

    Raises:
        Refused: E803, E806 or E805 as above.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _refused(
            "E803", f"there is no plan `{path}`", "run `dagent compile` first", path
        ) from None
    except (ValueError, OSError) as error:
        raise _refused("E806", f"`{path}` is no plan: {error}", "compile again", path) from None
    try:
        plan = from_json(body)
        keys: dict[str, str] = {}
        for step in plan.steps:
            keys[step.id] = step_key(step, keys)
    except (KeyError, TypeError, ValueError) as error:
        raise _refused(
            "E806",
            f"`{path}` is no plan of format {PLAN_FORMAT}: {error}",
            "compile again with this version of dagent",
            path,
        ) from None
    edited = [s.id for s in plan.steps if s.key != keys[s.id]]
    if edited or plan.id != body["id"]:
        what = f"step `{edited[0]}`" if edited else "its budget, metric or order"
        raise _refused(
            "E805",
            f"the plan was edited by hand: {what} does not match its key",
            "change the spec and compile again",
            path,
        )
    return plan


def _read_lock(path: Path) -> dict[str, Any]:
    beside = lock_path(path)
    try:
        lock: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _refused(
            "E803",
            f"the plan's lock `{beside.name}` is missing",
            "run `dagent compile` again",
            beside,
        ) from None
    except ValueError:
        lock = {}
    if lock.get("format") != LOCK_FORMAT:
        raise _refused(
            "E806", f"`{beside.name}` is no lock of {LOCK_FORMAT}", "compile again", beside
        )
    return lock


def _reasons(old: Plan, new: Plan) -> list[str]:
    """The changes themselves; what merely follows from them is counted."""
    told = list(plan_changes(old, new))
    follow = 0
    for change in diff(old, new):
        own = [r for r in change.reasons if not r.startswith("input ")]
        if change.verdict in ("new", "removed"):
            told.append(f"{change.step} is {change.verdict}")
        elif own:
            told += [f"{change.step}: {reason}" for reason in own]
        elif change.verdict == "changed":
            follow += 1
    rest = len(told) - SHOWN
    told = told[:SHOWN] + ([f"and {rest} more"] if rest > 0 else [])
    return told + ([f"{follow} further steps follow from these"] if follow else [])


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _refused(
    code: str, message: str, suggestion: str, path: Path, reasons: list[str] | None = None
) -> Refused:
    notes = tuple(Note(reason) for reason in reasons or ())
    return Refused(Diagnostic(code, message, None, "error", suggestion, notes, str(path)))
