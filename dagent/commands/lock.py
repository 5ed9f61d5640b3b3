"""``dagent lock``: what the plan was compiled from, and whether it moved. Executes nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dagent.compiler.moved import Moved, moved
from dagent.compiler.stale import read_lock, read_plan


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "plan", nargs="?", type=Path, default=Path("dagent.plan.json"), metavar="PLAN"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if anything moved")
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    if args.json:
        args.format = "json"
    lock = read_lock(args.plan, read_plan(args.plan))
    found = tuple(moved(lock, args.plan.parent))
    if args.json:
        body = [
            {"kind": m.kind, "name": m.name, "before": m.before, "after": m.after} for m in found
        ]
        print(json.dumps({"moved": body}, indent=1, ensure_ascii=False))
    else:
        print("\n".join(_text(found)))
    return 1 if args.check and found else 0


def _text(found: tuple[Moved, ...]) -> list[str]:
    if not found:
        return ["nothing moved since the plan was compiled"]
    lines = [str(m) for m in found]
    if any(m.kind != "package" for m in found):
        return [*lines, "run `dagent diff` to see what it means, `dagent compile` to take it over"]
    return [*lines, "packages are recorded, not refused; `dagent compile` records them anew"]
