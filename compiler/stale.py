"""Is a plan still what its spec and files say? If not, what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.diff import diff
from dagent.compiler.diff_view import lines
from dagent.compiler.digests import content_digest
from dagent.compiler.hub import pins_of
from dagent.compiler.lock import LOCK_FORMAT, lock_path
from dagent.compiler.plan import PLAN_FORMAT, Plan, content, from_json, step_key
from dagent.compiler.settings import Settings
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Note, Refused
from dagent.dsl.source import ENDINGS

COMPILE = "run `dagent compile`; what is unchanged is reused"
SHOWN = 8  # reasons that are shown


def check_fresh(path: Path, warnings: Diagnostics | None = None) -> Plan:
    """As ``fresh``, the plan alone."""
    return fresh(path, warnings)[0]


def fresh(path: Path, warnings: Diagnostics | None = None) -> tuple[Plan, document.Mapping | None]:
    """The plan at ``path``, once it is certain that it is what the files beside it say, and the
    document of its spec.

    The spec is compared as a document: comments, spaces and the order of keys change nothing. A
    spec that is gone is no error, since the plan alone says what to do: a warning, if ``warnings``
    takes it.

    Raises:
        Refused: with what changed, and the digests expected and found.
    """
    plan = read_plan(path)
    lock = read_lock(path, plan)
    found = Diagnostics()
    for diagnostic in _files(path.parent, plan, lock):
        found.add(diagnostic)
    spec = None
    if not found.has_errors:  # what compiling anew would find is what was found already
        spec = _check_spec(path, plan, lock, found)
    found.gate()
    if warnings is not None:
        for diagnostic in found:
            warnings.add(diagnostic)
    return plan, spec


def read_plan(path: Path) -> Plan:
    """The plan in a file, its keys checked against its content.

    Raises:
        Refused: E803, E805 or E806.
    """
    if path.suffix.lower() in ENDINGS:
        message = f"{path.name} is a spec; what runs is the plan that is compiled from it"
        remedy = f"run `dagent compile {path.name}`, then the same command without a file"
        raise _refused("E803", message, path, remedy)
    body = _json(path, "E803", "there is no plan", "run `dagent compile` first", "E805")
    if body.get("format") != PLAN_FORMAT:
        raise _refused(
            "E806", f"its format is {body.get('format')!r}, not {PLAN_FORMAT!r}", path, COMPILE
        )
    try:
        plan = from_json(body)
        keys: dict[str, str] = {}
        for step in plan.steps:
            keys[step.id] = step_key(step, keys)
            if keys[step.id] != step.key:
                raise _edited(path, f"the key of step `{step.id}` does not match its content")
        intact = plan.id == body.get("id")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _edited(path, f"it is no plan: {type(error).__name__}: {error}") from None
    if not intact:
        raise _edited(path, "its id does not match its content")
    # Plans of dagent 0.1 have no digest of the whole.
    if "digest" in body and body["digest"] != content(body):
        raise _edited(path, "it was edited: its digest does not match its content")
    return plan


def read_lock(path: Path, plan: Plan) -> Mapping[str, Any]:
    """The lock beside a plan.

    Raises:
        Refused: E804 or E806 when it is missing, another plan's, or of another format.
    """
    lock = lock_path(path)
    body = _json(lock, "E804", "the plan's lock is missing", COMPILE, "E804")
    if body.get("format") != LOCK_FORMAT:
        raise _refused(
            "E806", f"its format is {body.get('format')!r}, not {LOCK_FORMAT!r}", lock, COMPILE
        )
    if body.get("plan") != plan.id:
        raise _refused("E804", "the lock belongs to another plan", lock, COMPILE)
    spec = str(body.get("spec", ""))
    if "/" in spec:
        raise _refused(
            "E804",
            f"the plan's spec, `{spec}`, stands in another folder; its data and programs do too",
            path,
            "compile without `-o`, or with a name in the spec's folder",
        )
    return body


def _json(path: Path, missing: str, says: str, remedy: str, broken: str) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _refused(missing, f"{says}: {path.name}", path, remedy) from None
    except OSError as error:
        raise _refused("E005", f"{path.name}: {error.strerror}", path, remedy) from None
    except ValueError:
        raise _refused(broken, f"{path.name} is not JSON", path, COMPILE) from None
    if not isinstance(body, dict):
        raise _refused(broken, f"{path.name} is no JSON object", path, COMPILE)
    return body


def _files(project: Path, plan: Plan, lock: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Every locked file whose content is another one now."""
    for step in plan.steps:
        if step.kind == "data" and "program" not in step.params:
            what = f"the data set `{step.params['name']}`"
            params = step.params
            if params.get("sha256"):  # a program's is among the lock's; a commit cannot change
                source = params.get("path") or params["hub"]
                yield from _file(project, source, params["sha256"], what)
    for file, expected in lock.get("programs", {}).items():
        yield from _file(project, file, expected, "the program")
    for file, expected in lock.get("accelerate", {}).items():
        yield from _file(project, file, expected, "the accelerate config")
    for file, expected in lock.get("prices", {}).items():
        yield from _file(project, file, expected, "the price list")
    for step in plan.steps:
        if step.kind == "student":
            model, expected = step.params["model"], step.params["sha256"]
            if expected is not None and not model.startswith("builtin:"):
                yield from _file(project, model, expected, f"the {step.id.partition('.')[0]}")


def _file(project: Path, name: str, expected: str, what: str) -> Iterator[Diagnostic]:
    path = project / name
    if not path.exists():
        yield _stale(f"{what}, {name}, is gone", path)
        return
    found = content_digest(path)
    if found != expected:
        notes = (Note(f"compiled from {expected[:12]}…, found {found[:12]}…"),)
        yield _stale(f"{what}, {name}, changed", path, notes)


def _check_spec(
    path: Path, plan: Plan, lock: Mapping[str, Any], found: Diagnostics
) -> document.Mapping | None:
    """Compile the spec again, with the same settings, and compare; its document."""
    spec = path.parent / str(lock["spec"])
    if not spec.exists():
        found.add(
            Diagnostic(
                "E807",
                f"the spec {spec.name} is gone; the plan runs without it",
                severity="warning",
                suggestion="keep the spec beside its plan",
                file=str(spec),
            )
        )
        return None
    # Here and not above: who only reads a plan needs no parser.
    from dagent.compiler.pipeline import compile

    values = (f"{name}={_text(value)}" for name, value in lock.get("set", {}).items())
    try:
        settings = Settings(set=tuple(values), pins=pins_of(lock), variant=lock.get("variant"))
        again = compile(spec, settings)
    except Refused as refused:
        raise Refused(
            (
                _stale(f"the spec {spec.name} changed, and does not compile any more", spec),
                *(d for d in refused.diagnostics if d.severity == "error"),
            )
        ) from None
    difference = diff(plan, again.plan)
    if difference.same:
        return again.root  # what may differ still is only shown: estimates, settings, the goal
    reasons = [line for line in lines(difference) if line]
    notes = tuple(Note(line.strip()) for line in reasons[:SHOWN])
    message = f"the spec {spec.name} gives another plan now: it changed since, or dagent did"
    found.add(_stale(message, spec, notes))
    return again.root


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _stale(message: str, path: Path, notes: tuple[Note, ...] = ()) -> Diagnostic:
    return Diagnostic("E804", message, suggestion=COMPILE, notes=notes, file=str(path))


def _refused(code: str, message: str, path: Path, remedy: str) -> Refused:
    return Refused(Diagnostic(code, message, suggestion=remedy, file=str(path)))


def _edited(path: Path, message: str) -> Refused:
    return _refused("E805", message, path, "change the spec and run `dagent compile`")
