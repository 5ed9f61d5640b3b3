"""``dagent rehearse``: the whole plan against stand-ins, to find what would break."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagent.compiler.stale import check_fresh


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
    plan = check_fresh(args.plan)
    from dagent.runtime.rehearsal.answers import MARK
    from dagent.runtime.rehearsal.rehearsal import rehearse

    found = rehearse(plan, args.plan.resolve().parent, faults=args.faults)
    width = max((len(id) for id, _, _ in found.steps), default=0)
    lines = [f"{id:<{width}}  {how:<6}  {says}" for id, how, says in found.steps]
    lines += [f"not reached: {len(plan.steps) - len(found.steps)} of {len(plan.steps)} steps"]
    for unit, took, worst, cap in found.use:
        lines.append(f"{unit}: {took} here, at most {worst} by the estimate; cap: {cap}")
    for model, tokens in sorted(found.longest.items()):
        lines.append(f"{model}: a context of {tokens:,} tokens holds its longest call")
    lines += [f"faults met: {n} {name}" for name, n in sorted(found.faults.items())]
    lines += [f"would break: {what}" for what in found.breaks] or ["nothing broke"]
    print("\n".join(f"[{MARK}] {line}" for line in lines))
    return 1 if found.breaks else 0
