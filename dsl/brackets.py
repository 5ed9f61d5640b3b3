"""Brackets that do not match, found before parsing, so that one of them costs one diagnostic.

Where all match, nothing happens here and indentation means nothing. Where they do not, it tells
which was forgotten: a block whose content is indented is taken to end before an entry, or the
closing of an outer block, that is not.
"""

from __future__ import annotations

from lark import Token
from msgspec import Struct

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.source import Source
from dagent.dsl.tokens import STARTERS

_CLOSER = {"LBRACE": ("RBRACE", "}"), "LSQB": ("RSQB", "]")}
_OPENER = {"RBRACE": "LBRACE", "RSQB": "LSQB"}


class _Open(Struct, frozen=True):
    token: Token
    indent: int
    """Column of the first token on the bracket's line."""
    indented: bool
    """Whether what stands in it, if on lines of its own, is indented further than its line."""


def balance(source: Source, tokens: list[Token], diagnostics: Diagnostics) -> list[Token]:
    """The tokens with brackets that match: missing ones are added, stray ones removed, all told."""
    all_match = matching(tokens)
    truncated = bool(tokens) and tokens[-1].type == "OPEN_TEXT"
    out: list[Token] = []
    stack: list[_Open] = []

    def close(before: int, *, silent: bool = False) -> None:
        top = stack.pop()
        kind, sign = _CLOSER[top.token.type]
        out.append(Token(kind, "", before, end_pos=before))
        if not silent:
            at = top.token.start_pos or 0
            diagnostics.error(
                "E022",
                f"this `{top.token}` is never closed",
                source.span(at, at + 1),
                f"close it with `{sign}`",
            )

    indent = 0
    for i, token in enumerate(tokens):
        start = token.start_pos or 0
        first = i == 0 or tokens[i - 1].end_line != token.line
        if first:
            indent = token.column or 0
        if first and not all_match:
            while stack and stack[-1].indented and _outside(token, stack[-1]):
                close(start)
        if token.type in STARTERS:
            while stack and stack[-1].token.type == "LSQB":
                close(start)
        if token.type in _OPENER:
            wanted = _OPENER[token.type]
            if wanted == "LBRACE" and any(o.token.type == wanted for o in stack):
                while stack[-1].token.type != wanted:
                    close(start)
            if not stack or stack[-1].token.type != wanted:
                diagnostics.error(
                    "E023",
                    f"this `{token}` closes nothing",
                    source.span(start, start + 1),
                    "remove it",
                )
                continue
            stack.pop()
        elif token.type in _CLOSER:
            stack.append(_Open(token, indent, _indented(tokens, i, indent)))
        out.append(token)
    while stack:
        close(len(source.text), silent=truncated)
    return out


def matching(tokens: list[Token]) -> bool:
    stack = []
    for token in tokens:
        if token.type in _CLOSER:
            stack.append(token.type)
        elif token.type in _OPENER and (not stack or stack.pop() != _OPENER[token.type]):
            return False
    return not stack


def _outside(token: Token, top: _Open) -> bool:
    column = token.column or 0
    if token.type == "RBRACE":
        return column < top.indent
    return token.type in STARTERS and column <= top.indent


def _indented(tokens: list[Token], i: int, indent: int) -> bool:
    line = tokens[i].line
    if i + 1 < len(tokens) and tokens[i + 1].line == line:
        return True  # it begins on this line, so nothing says that it goes on without indentation
    after = next((t for t in tokens[i + 1 :] if t.line != line), None)
    return after is not None and (after.column or 0) > indent
