"""``dagent fmt``: specs in the one canonical form, or in the other syntax. Comments are kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import get_args

from dagent.compiler.pipeline import find_spec
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.fmt import Syntax, format_source, syntax_of
from dagent.dsl.parse import read
from dagent.dsl.render import DOCUMENTS, FORMATS, report
from dagent.dsl.source import ENDINGS
from dagent.files import write


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="*", type=Path, help="default: the folder's one spec")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if one differs")
    parser.add_argument("--to", choices=get_args(Syntax), help="convert; prints unless -o is given")
    parser.add_argument("-o", "--output", type=Path, help="where to write what --to makes")
    parser.add_argument("--format", choices=FORMATS, default="full", help="of errors")


def run(args: argparse.Namespace) -> int:
    specs: list[Path] = args.spec or [find_spec(Path())]
    _refuse_contradictions(args, specs)
    diagnostics = Diagnostics()
    if args.to:
        _convert(specs[0], args.to, args.output, diagnostics)
    else:
        for spec in dict.fromkeys(specs):
            _format(spec, diagnostics, check=args.check, quiet=args.format in DOCUMENTS)
    found = list(diagnostics)
    # A document is for programs: one without findings tells them that nothing was wrong.
    if found or (args.format in DOCUMENTS and (args.output or not args.to)):
        report(found, args.format)
    return 1 if diagnostics.has_errors else 0


def _refuse_contradictions(args: argparse.Namespace, specs: list[Path]) -> None:
    problem = None
    if args.output and not args.to:
        problem = "-o has no meaning without --to: `dagent fmt` rewrites the file itself"
    elif args.to and args.check:
        problem = "--check has no meaning with --to: there is nothing to compare with"
    elif args.to and len(specs) > 1:
        problem = "--to converts one spec at a time"
    elif args.output and (
        args.output.suffix.lower() not in ENDINGS or syntax_of(args.output.name) != args.to
    ):
        problem = f"the ending of `{args.output}` is not that of --to {args.to}"
    if problem:
        raise Refused(Diagnostic("E831", problem))


def _convert(spec: Path, to: Syntax, output: Path | None, diagnostics: Diagnostics) -> None:
    text = _formatted(spec, diagnostics, to)
    if text is None:
        return
    if output is None:
        sys.stdout.write(text[1])
    else:
        write(output, text[1])
        print(f"{output}: written", file=sys.stderr)


def _format(spec: Path, diagnostics: Diagnostics, *, check: bool, quiet: bool) -> None:
    texts = _formatted(spec, diagnostics, None)
    if texts is None:
        return
    before, after = texts
    if before == after:
        verdict = "unchanged"
    elif check:
        message = f"`{spec}` is not in canonical form"
        advice = f"run `dagent fmt {spec}`"
        diagnostics.add(Diagnostic("E830", message, suggestion=advice, file=str(spec)))
        return
    else:
        write(spec, after)
        verdict = "formatted"
    if not quiet:
        print(f"{spec}: {verdict}", file=sys.stderr)


def _formatted(spec: Path, diagnostics: Diagnostics, to: Syntax | None) -> tuple[str, str] | None:
    """The text as it is and as it should be; ``None`` if it has errors, which are then reported."""
    own = Diagnostics()
    try:
        source = read(spec)
        text = format_source(source, own, to)
    except Refused as refused:
        diagnostics.found += refused.diagnostics
        return None
    diagnostics.found += own.found
    # Compared as bytes would be: other line ends or a byte order mark are not canonical.
    raw = spec.read_bytes().decode("utf-8")
    return None if text is None else (raw, text)
