"""``dagent show``: a plan for people."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dagent.compiler.plan import to_json
from dagent.compiler.stale import read_plan
from dagent.compiler.table import lines


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", nargs="?", type=Path, default=Path("dagent.plan.json"), metavar="PLAN"
    )
    parser.add_argument("--json", action="store_true", help="print the plan itself")


def run(args: argparse.Namespace) -> int:
    if args.json:
        args.format = "json"
    plan = read_plan(args.plan)
    if args.json:
        print(json.dumps(to_json(plan), sort_keys=True, indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines(plan)))
    return 0
