"""``dagent check``: everything that is wrong with specs, and what can be mended without thought."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from dagent.compiler.pipeline import check, find_spec
from dagent.compiler.settings import Settings, from_disk
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.document import Mapping
from dagent.dsl.fix import Mended, mend
from dagent.dsl.parse import decode, guess_syntax, parse, read
from dagent.dsl.render import DOCUMENTS, FORMATS, report
from dagent.dsl.source import Source
from dagent.files import write

STDIN = "<stdin>"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec", nargs="*", type=Path, help="default: the folder's one spec; `-`: standard input"
    )
    parser.add_argument("--format", choices=FORMATS, default="full", help="default: full")
    parser.add_argument("--fix", action="store_true", help="make the fixes that are safe")
    parser.add_argument("--diff", action="store_true", help="show these fixes; write nothing")
    parser.add_argument(
        "--syntax", choices=("dagent", "yaml"), help="of standard input; default: guessed"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of a parameter, or of `seed`; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    specs: list[Path] = args.spec or [find_spec(Path())]
    _refuse_contradictions(args, specs)
    settings = Settings(tuple(args.set), os.environ)
    texts = [_text(spec, args.syntax) for spec in dict.fromkeys(specs)]
    if args.fix or args.diff:
        mended = [_mend(text, settings, args) for text in texts]
        left = [d for m in mended for d in m.left]
    else:
        mended, left = [], [d for text in texts for d in text.check(settings)]
    # What is wrong in what two specs share is reported once.
    left = list(dict.fromkeys(left))
    report(left, args.format)
    if any(d.severity == "error" for d in left) or (args.diff and any(m.made for m in mended)):
        return 1
    if args.format not in DOCUMENTS:
        named = texts[0].shown if len(texts) == 1 else f"{len(texts)} specs"
        print(f"{named}: {'no errors' if left else 'nothing is wrong'}", file=sys.stderr)
    return 0


@dataclass(frozen=True)
class _Text:
    """A spec: a file, or standard input, which then stands in for the file at ``path``."""

    path: Path
    source: Source | None = None

    @property
    def shown(self) -> str:
        return self.source.name if self.source else str(self.path)

    def check(self, settings: Settings, source: Source | None = None) -> tuple[Diagnostic, ...]:
        source = source or self.source

        def documents(path: Path, diagnostics: Diagnostics) -> Mapping | None:
            if source is not None and path == self.path:
                return parse(source, diagnostics, path.suffix)
            return from_disk(path, diagnostics)

        return check(self.path, replace(settings, documents=documents))


def _text(spec: Path, syntax: str | None) -> _Text:
    if str(spec) != "-":
        return _Text(spec)
    source = decode(sys.stdin.buffer.read(), STDIN)
    return _Text(Path(f"{STDIN}.{syntax or guess_syntax(source.text)}"), source)


def _mend(text: _Text, settings: Settings, args: argparse.Namespace) -> Mended:
    try:
        source = text.source or read(text.path)
    except Refused as refused:
        return Mended(Source(text.shown, ""), 0, refused.diagnostics)
    mended = mend(source, partial(text.check, settings))
    if args.diff:
        before, after = (s.text.splitlines(keepends=True) for s in (source, mended.source))
        sys.stdout.writelines(difflib.unified_diff(before, after, text.shown, text.shown))
    elif text.source is not None:
        sys.stdout.write(mended.source.text)
    elif mended.made:
        write(text.path, mended.source.text)
    if mended.made and args.format not in DOCUMENTS:
        verb = "would be made" if args.diff else "made"
        print(f"{text.shown}: {mended.made} fixes {verb}", file=sys.stderr)
    return mended


def _refuse_contradictions(args: argparse.Namespace, specs: list[Path]) -> None:
    stdin = any(str(spec) == "-" for spec in specs)
    problem = None
    if args.syntax and not stdin:
        problem = "--syntax is for standard input: the ending of a file's name says it"
    elif args.fix and args.diff:
        problem = "--diff shows what --fix would do: give one of them"
    elif args.format in DOCUMENTS and (args.diff or (args.fix and stdin)):
        problem = f"standard output cannot hold both {args.format} and what was fixed"
    if problem:
        raise Refused(Diagnostic("E831", problem))
