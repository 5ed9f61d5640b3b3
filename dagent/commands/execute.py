"""``dagent execute``: run a plan, or continue it where it stopped."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from dagent.commands.show import find_step
from dagent.compiler.plan import Plan
from dagent.compiler.stale import fresh
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.render import report


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", nargs="?", type=Path, default=Path("dagent.plan.json"), metavar="PLAN"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="say for each step whether it would run or be reused, and why; run nothing",
    )
    parser.add_argument(
        "--force",
        action="append",
        default=[],
        metavar="STEP",
        help="run this step again although its result is there; repeatable",
    )
    parser.add_argument(
        "--allow-unsandboxed",
        action="store_true",
        help="DANGEROUS: where this machine has no sandbox, run code that a model wrote as you, "
        "with your files and network, instead of refusing",
    )


def run(args: argparse.Namespace) -> int:
    warnings = Diagnostics()
    plan, spec = fresh(args.plan, warnings)
    if warnings.found:
        report(tuple(warnings), "full")
    project = args.plan.resolve().parent
    _check_force(plan, args.force)
    if args.dry_run:
        _forecast(plan, project, args.force)
        return 0
    _allow_unsandboxed(args.allow_unsandboxed)
    # A polite kill is an interruption like Ctrl-C: the journal says so and the worker is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from dagent.runtime.execution import execute
    from dagent.runtime.history import compared, compared_words, keep_plan, last_events, learn
    from dagent.runtime.view import Screen, summary

    keep_plan(plan, project)
    outcome = execute(plan, project, args.plan.name, Screen, force=args.force, spec=spec)
    if outcome.already:
        print("this plan was executed already; --force STEP runs a step again", file=sys.stderr)
    print(summary(outcome.event, plan))
    if not outcome.already:
        print(f"  {compared_words(compared(plan, last_events(project), project))}")
        learn(plan, project)
    if outcome.behind:
        print(outcome.behind, file=sys.stderr)
    return 0 if outcome.event["met"] else 1


def _allow_unsandboxed(allowed: bool) -> None:
    """From the command line only, and for this execution only; the worker inherits it."""
    from dagent.runtime.sandbox import ALLOWED

    os.environ.pop(ALLOWED, None)
    if allowed:
        os.environ[ALLOWED] = "1"
        print(
            "warning: --allow-unsandboxed: where this machine cannot isolate it, code that a "
            "model wrote runs as you and can read your keys and the test set, and delete your "
            "files; the journal, the report and MLflow will say so",
            file=sys.stderr,
        )


def _check_force(plan: Plan, force: list[str]) -> None:
    for name in force:
        find_step(plan, name)


def _forecast(plan: Plan, project: Path, force: list[str]) -> None:
    from dagent.runtime.executor import forecast
    from dagent.runtime.store import Store

    rows = list(forecast(plan, Store(project / ".dagent/store"), force))
    width = max(len(row.step.id) for row in rows)
    for row in rows:
        print(f"{row.step.id:<{width}}  {row.action:<5}  {row.reason}")
    counts = Counter(row.action for row in rows)
    print(", ".join(f"{counts[a]} to {a}" for a in ("run", "reuse", "skip") if counts[a]))
