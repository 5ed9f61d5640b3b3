"""``dagent diff``: what a change means for the plan, step by step. Writes nothing."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

from dagent.compiler.diff import diff
from dagent.compiler.diff_view import lines, to_json
from dagent.compiler.pipeline import compile, find_spec
from dagent.compiler.places import located
from dagent.compiler.plan import Plan
from dagent.compiler.rates import with_rates
from dagent.compiler.settings import Settings
from dagent.compiler.stale import read_plan
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Note, Refused


@dataclass(frozen=True, slots=True)
class _Side:
    """A plan; if a spec was compiled for it, that spec's document and folder."""

    plan: Plan
    root: document.Mapping | None = None
    folder: Path = Path()


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "old",
        nargs="?",
        metavar="OLD",
        help="a plan, a spec, a git revision or A..B; default: what was executed last here",
    )
    parser.add_argument(
        "new", nargs="?", metavar="NEW", help="a plan, a spec or a revision; default: the spec here"
    )
    parser.add_argument("--last", action="store_true", help="compare with the last execution")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of a parameter, or of `seed`, where a spec is compiled; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print every step and reason as JSON")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if the plans differ")


def run(args: argparse.Namespace) -> int:
    if args.json:
        args.format = "json"
    settings = Settings(tuple(args.set), os.environ)
    old, new = _sides(args, settings)
    difference = diff(old.plan, with_rates(new.plan, Path()))
    if new.root is not None:
        difference = located(difference, new.plan, new.root, new.folder)
    if args.json:
        print(json.dumps(to_json(difference), indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines(difference)))
    return 1 if args.exit_code and not difference.same else 0


def _sides(args: argparse.Namespace, settings: Settings) -> tuple[_Side, _Side]:
    if args.last or args.old is None:
        # With --last, what is named is the new side: there is only one old one.
        name = args.new if args.old is None else args.old
        folder = Path(name).parent if name and Path(name).exists() else Path()
        return _Side(_last(folder)), _side(name, None, settings)
    if ".." in args.old and not Path(args.old).exists() and args.new is None:
        return _range(args.old, settings)
    spec = _spec_name(args.new)
    old = _side(args.old, spec, settings)
    if args.new is None and Path(args.old).exists():
        return old, _compile(_spec_of(Path(args.old)), settings)
    return old, _side(args.new, spec, settings)


def _spec_of(plan: Path) -> Path:
    """The spec of the folder that one is in; from elsewhere, that of the plan's."""
    try:
        return find_spec(Path())
    except Refused as refused:
        if refused.diagnostics[0].code != "E801":
            raise
        return find_spec(plan.parent)


def _compile(path: Path, settings: Settings) -> _Side:
    compiled = compile(path, settings)
    return _Side(compiled.plan, compiled.root, path.parent)


def _side(name: str | None, spec: Path | None, settings: Settings) -> _Side:
    """A file, else a revision; JSON is a plan, anything else a spec, compiled and not written."""
    if name is None:
        return _compile(find_spec(Path()), settings)
    path = Path(name)
    if path.suffix == ".json":
        return _Side(read_plan(path))
    if path.exists() or path.suffix in (".dagent", ".yaml", ".yml"):
        return _compile(path, settings)
    from dagent.runtime.revisions import revisions

    folder = spec.parent if spec else Path()
    found = revisions(name, folder)
    if found is None or found[1] is not None:
        raise _unknown(name)
    return _at(name, found[0], folder, spec, settings)


def _range(text: str, settings: Settings) -> tuple[_Side, _Side]:
    from dagent.runtime.revisions import revisions

    old, new = revisions(text, Path()) or (None, None)
    if old is None or new is None:
        raise _unknown(text)
    before, _, after = text.partition("..")
    return (
        _at(before or "HEAD", old, Path(), None, settings),
        _at(after.lstrip(".") or "HEAD", new, Path(), None, settings),
    )


def _at(says: str, commit: str, folder: Path, spec: Path | None, settings: Settings) -> _Side:
    """The plan at a commit; what is wrong there is told without the folder it was put into."""
    from dagent.runtime.revisions import spec_at

    with spec_at(commit, folder, spec.name if spec else None) as path:
        try:
            return _compile(path, settings)
        except Refused as refused:
            errors = [d for d in refused.diagnostics if d.severity == "error"]
            where = (f" at line {d.span.line}" if d.span else "" for d in errors)
            notes = tuple(
                Note(f"{d.code}{at}: {d.message}") for d, at in zip(errors, where, strict=True)
            )
            raise Refused(
                Diagnostic(
                    "E713",
                    f"the spec at {says} ({commit[:8]}) does not compile",
                    suggestion="name a revision whose spec compiles with this version of dagent",
                    notes=notes,
                )
            ) from None


def _last(folder: Path) -> Plan:
    from dagent.runtime.status import latest, plan_path

    execution = latest(folder)
    if execution is None:
        raise Refused(
            Diagnostic(
                "E817",
                "nothing was executed in this folder yet, so there is nothing to compare with",
                suggestion="name what to compare with, such as `dagent diff HEAD`",
                file=str(folder),
            )
        )
    kept = plan_path(folder, execution)
    return read_plan(kept if kept.exists() else folder / "dagent.plan.json")


def _spec_name(name: str | None) -> Path | None:
    """NEW where it is a spec: then OLD, a revision, means that spec too."""
    path = Path(name) if name else None
    return path if path and path.exists() and path.suffix != ".json" else None


def _unknown(name: str) -> Refused:
    return Refused(
        Diagnostic(
            "E715",
            f"`{name}` is neither a file nor a git revision here",
            suggestion="write a plan, a spec, a revision such as `HEAD~1`, or `main..HEAD`",
        )
    )
