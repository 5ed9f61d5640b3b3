"""`.dagent` text -> tokens. Never stops: what is no token becomes one, with its diagnostic.

The parser's tables come ready-made (see build_tables.py); they are built from the grammar only
where they are not of this grammar or this version of Lark.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import lark
from lark import Lark, Token
from lark.utils import TextSlice

from dagent.dsl.diagnostics import Diagnostics, Edit
from dagent.dsl.source import Source, Span

# What the lexer may stumble over, tried in this order.
_MISTAKES = re.compile(
    r"""(?P<open_text>\"{3}.*)
    |   (?P<open_string>"(?:[^"\\\n]|\\[^\n])*\\?)
    |   (?P<single>'[^'\n]*'?)
    |   (?P<junk>[^\s\w"\#{}\[\]=$,']+|.)
    """,
    re.DOTALL | re.VERBOSE,
)
_CLOSERS = re.compile(r"[ \t]*[\]}][ \t\]}]*\r?$")
IGNORED = ("COMMENT", "BLANK")
STARTERS = frozenset({"KEY", "KIND", "NAMED", "STATEMENT"})


@cache
def grammar() -> Lark:
    from dagent.dsl import build_tables, tables

    if lark.__version__ == tables.LARK and build_tables.digest() == tables.GRAMMAR:
        load: Any = Lark._load_from_dict  # what Lark's own standalone parsers call
        made: Lark = load(tables.DATA, tables.MEMO)
        return made
    text = build_tables.GRAMMAR.read_text(encoding="utf-8")
    return Lark(text, **build_tables.OPTIONS)


def tokenize(source: Source, diagnostics: Diagnostics, *, ignored: bool = False) -> list[Token]:
    """All tokens, with comments and blanks if ``ignored`` are wanted.

    A text that is never closed counts as closed at the end of its line, so that it costs one
    diagnostic. Characters without meaning become a token ``JUNK``, which the parser reports.
    """
    lexer: Any = grammar().parser.lexer
    text = source.text
    piece = TextSlice(text, 0, len(text))
    tokens: list[Token] = []
    pos = 0
    while pos < len(text):
        found = lexer.match(piece, pos)
        value, kind = found or _mistake(source, pos, tokens, diagnostics)
        if ignored or kind not in IGNORED:
            line, column = source.position(pos)
            end = pos + len(value)
            tokens.append(Token(kind, value, pos, line, column, *source.position(end), end))
        pos += len(value)
    return tokens


def _mistake(
    source: Source, pos: int, tokens: list[Token], diagnostics: Diagnostics
) -> tuple[str, str]:
    match = _MISTAKES.match(source.text, pos)
    assert match is not None
    value = match[0]
    if match.lastgroup == "open_text":
        diagnostics.error(
            "E011",
            'this `"""` is never closed',
            source.span(pos, pos + 3),
            'close the text with `"""`',
        )
        return value, "OPEN_TEXT"
    if match.lastgroup == "open_string":
        # `{ model = "x }`: the bracket that the line has open was hardly meant as text.
        line = [t for t in tokens if t.line == source.position(pos)[0]]
        is_open = sum((t.type in ("LBRACE", "LSQB")) - (t.type in ("RBRACE", "RSQB")) for t in line)
        closers = _CLOSERS.search(value)
        if closers and is_open > 0:
            value = value[: closers.start()]
        value = value.rstrip()
        diagnostics.error(
            "E011",
            "this text is never closed on its line",
            source.span(pos, pos + len(value)),
            'close it with `"`; a text of several lines stands in `"""`',
            fix=[]
            if "#" in value
            else [Edit(source.span(pos + len(value), pos + len(value)), '"')],
        )
        return value, "OPEN_STRING"
    if match.lastgroup == "single":
        diagnostics.error(
            "E010",
            "texts stand in double quotes, not in single ones",
            source.span(pos, pos + len(value)),
            "write `\"` in place of `'`",
            fix=_requoted(source.span(pos, pos + len(value))),
        )
        return value, "OPEN_STRING"
    return value, "JUNK"


def _requoted(span: Span) -> list[Edit]:
    """A text in single quotes, in double ones; none where it holds what would need thought."""
    inner = span.text[1:-1]
    closed = len(span.text) > 1 and span.text.endswith("'")
    return [Edit(span, f'"{inner}"')] if closed and not set(inner) & {'"', "\\"} else []
