"""``dagent diff``: what a change means for the plan, step by step. Writes nothing."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from dagent.compiler.diff import diff, lines, to_json
from dagent.compiler.pipeline import compile, find_spec
from dagent.compiler.plan import Plan
from dagent.compiler.settings import Settings
from dagent.compiler.stale import read_plan


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", type=Path, metavar="OLD", help="a plan or a spec")
    parser.add_argument(
        "new", nargs="?", type=Path, metavar="NEW", help="a plan or a spec; default: the spec here"
    )
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
    old = _plan(args.old, settings)
    new = _plan(args.new or find_spec(args.old.parent), settings)
    difference = diff(old, new)
    if args.json:
        print(json.dumps(to_json(difference), indent=1, ensure_ascii=False))
    else:
        print("\n".join(lines(difference)))
    return 1 if args.exit_code and not difference.same else 0


def _plan(path: Path, settings: Settings) -> Plan:
    """JSON is a plan; anything else is a spec, which is compiled and not written."""
    return read_plan(path) if path.suffix == ".json" else compile(path, settings).plan
