"""``dagent explain``: what a diagnostic's code means and how to mend it."""

from __future__ import annotations

import argparse
import json

from msgspec.structs import asdict

from dagent.dsl.codes import CODES
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.dsl.nearest import nearest


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("code", nargs="?", help="such as E101; default: list all")
    parser.add_argument("--format", choices=("full", "json"), default="full")


def run(args: argparse.Namespace) -> int:
    if args.code is None:
        print(_json(*CODES) if args.format == "json" else _all())
        return 0
    code = args.code.strip().strip("[]").upper()
    if code not in CODES:
        close = nearest(code, CODES)
        advice = f"did you mean `{close}`?" if close else "list all with `dagent explain`"
        raise Refused(Diagnostic("E832", f"there is no code `{args.code}`", suggestion=advice))
    print(_json(code) if args.format == "json" else _one(code))
    return 0


def _all() -> str:
    return "\n".join(f"{code}  {entry.title}" for code, entry in CODES.items())


def _one(code: str) -> str:
    entry = CODES[code]
    example = "\n".join(f"    {line}".rstrip() for line in entry.example.splitlines())
    return (
        f"{code}: {entry.title}\n\n{entry.what}\n\nWhy: {entry.why}\n\nExample:\n\n{example}\n\n"
        f"Remedy: {entry.fix}"
    )


def _json(*codes: str) -> str:
    return json.dumps([{"code": c, **asdict(CODES[c])} for c in codes], indent=2)
