"""``dagent graph``: a plan as a picture."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from dagent.compiler.graph import mermaid
from dagent.compiler.graph_dot import dot
from dagent.compiler.graph_svg import svg
from dagent.compiler.plan import Plan, alone
from dagent.compiler.stale import read_plan
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.dsl.nearest import did_you_mean

FORMATS: Mapping[str, Callable[[Plan, int | None], str]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
}
ENDINGS = {".svg": "svg", ".dot": "dot", ".gv": "dot"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", nargs="?", type=Path, default=Path("dagent.plan.json"), metavar="PLAN"
    )
    parser.add_argument(
        "--format",
        dest="picture",
        choices=tuple(FORMATS),
        help="default: as the ending of FILE says, else mermaid",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: print it")
    parser.add_argument(
        "--variant", metavar="ARM/sSEED", help="of a plan with arms; default: the first"
    )
    parser.add_argument(
        "--round", type=int, metavar="N", help="one round alone, with all that it takes in"
    )


def run(args: argparse.Namespace) -> int:
    plan = _of_variant(read_plan(args.plan), args.variant)
    if args.round is not None and not 0 <= args.round <= plan.rounds:
        raise Refused(
            Diagnostic(
                "E831",
                f"the plan has no round {args.round}",
                suggestion=f"rounds go from 0 to {plan.rounds}",
            )
        )
    output: Path | None = args.output
    picture = args.picture or (ENDINGS.get(output.suffix) if output else None) or "mermaid"
    text = FORMATS[picture](plan, args.round)
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
    return 0


def _of_variant(plan: Plan, wanted: str | None) -> Plan:
    """One variant of a plan with arms: the others look the same."""
    known = [variant.id for variant in plan.variants]
    if wanted is not None and wanted not in known:
        remedy = did_you_mean(wanted, known, "`dagent show` lists them")
        raise Refused(Diagnostic("E831", f"the plan has no variant `{wanted}`", suggestion=remedy))
    return alone(plan, wanted or known[0]) if known else plan
