"""``dagent check``: everything that is wrong with specs. Reads, never writes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dagent.compiler.pipeline import check, find_spec
from dagent.compiler.settings import Settings
from dagent.dsl.render import FORMATS, report


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="*", type=Path, help="default: the folder's one spec")
    parser.add_argument("--format", choices=FORMATS, default="full", help="default: full")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of a parameter, or of `seed`; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    specs: list[Path] = args.spec or [find_spec(Path())]
    settings = Settings(tuple(args.set), os.environ)
    # A spec named twice, or wrong in what it shares with another, is reported once.
    found = list(dict.fromkeys(d for spec in specs for d in check(spec, settings)))
    report(found, args.format)
    if any(d.severity == "error" for d in found):
        return 1
    if args.format != "json":
        named = str(specs[0]) if len(specs) == 1 else f"{len(specs)} specs"
        print(f"{named}: nothing is wrong", file=sys.stderr)
    return 0
