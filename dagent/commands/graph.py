"""``dagent graph``: a plan as a mermaid flowchart."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagent.compiler.graph import mermaid
from dagent.compiler.stale import read_plan
from dagent.dsl.diagnostics import Diagnostic, Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", nargs="?", type=Path, default=Path("dagent.plan.json"), metavar="PLAN"
    )
    parser.add_argument(
        "--round", type=int, metavar="N", help="one round alone, with all that it takes in"
    )


def run(args: argparse.Namespace) -> int:
    plan = read_plan(args.plan)
    if args.round is not None and not 0 <= args.round <= plan.rounds:
        raise Refused(
            Diagnostic(
                "E831",
                f"the plan has no round {args.round}",
                suggestion=f"rounds go from 0 to {plan.rounds}",
            )
        )
    print(mermaid(plan, args.round), end="")
    return 0
