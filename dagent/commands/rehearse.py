"""``dagent rehearse``: the whole plan against stand-ins, to find what would break."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dagent.compiler.stale import fresh

if TYPE_CHECKING:
    from dagent.runtime.rehearsal.findings import Rehearsal


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", nargs="?", type=Path, default=Path("dagent.plan.json"), metavar="PLAN"
    )
    parser.add_argument(
        "--faults",
        action="store_true",
        help="let the stand-in for the models' servers fail now and then, as servers do",
    )


def run(args: argparse.Namespace) -> int:
    plan, spec = fresh(args.plan)
    from dagent.runtime.rehearsal.answers import MARK
    from dagent.runtime.rehearsal.rehearsal import rehearse

    def say(line: str) -> None:
        print(f"[{MARK}] {line}", flush=True)

    width = max(len(step.id) for step in plan.steps)
    say(f"rehearsing {plan.name}: models and student are stand-ins, and no figure is a result")
    found = rehearse(
        plan,
        args.plan.resolve().parent,
        lambda id, how, says: say(f"{id:<{width}}  {how:<6}  {says}"),
        faults=args.faults,
        spec=spec,
    )
    for line in _told(found, len(plan.steps)):
        say(line)
    return 1 if found.breaks else 0


def _told(found: Rehearsal, steps: int) -> Iterator[str]:
    yield f"{len(found.reached)} of {steps} steps in {found.seconds:.1f} s"
    for unit, took, worst, cap in found.use:
        yield f"{unit}: {took} here; the estimate says up to {worst}; cap of the run: {cap}"
    for model, tokens in sorted(found.longest.items()):
        yield f"{model}: a context of {tokens:,} tokens holds its longest call"
    if found.faults:
        met = ", ".join(f"{n} {name}" for name, n in sorted(found.faults.items()))
        yield f"faults met and survived: {met}"
    for one in found.breaks:
        yield f"would break: {one.at}: {one.what}"
        if one.advice:
            yield f"       help: {one.advice}"
    if not found.breaks:
        yield "nothing broke"
