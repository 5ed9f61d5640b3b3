"""Quoted texts of the `.dagent` syntax: escapes, and the trimming of indentation.

Escapes are those of JSON, in both kinds of quotes. A text in three quotes may run over lines: the
line break after the opening quotes and the one before the closing quotes do not count, nor does
the indentation that all lines share, the line of the closing quotes included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.|$)", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
_SURROGATE = re.compile("[\ud800-\udbff][\udc00-\udfff]|([\ud800-\udfff])")


def unescape(raw: str, bad: Callable[[int, str], None]) -> str:
    """Replace the escapes; ``bad(offset, escape)`` hears of each that is none, which then stays."""

    def replace(match: re.Match[str]) -> str:
        sign = match[1]
        if sign in _SHORT:
            return _SHORT[sign]
        if len(sign) == 5:
            return chr(int(sign[1:], 16))
        bad(match.start(), match[0])
        return match[0]

    return characters(_ESCAPE.sub(replace, raw))


def characters(text: str) -> str:
    """The text with surrogates made characters, as JSON writes what lies beyond 16 bits: a pair is
    one, and half a pair, which no file could hold, is the replacement character."""

    def join(match: re.Match[str]) -> str:
        return "\ufffd" if match[1] else match[0].encode("utf-16", "surrogatepass").decode("utf-16")

    return text if text.isascii() else _SURROGATE.sub(join, text)


def trim(raw: str) -> str:
    r"""The text between triple quotes, escapes untouched.

    >>> trim("\n    one\n      two\n    ")
    'one\n  two'
    >>> trim("one")
    'one'
    """
    lines = raw.replace("\r\n", "\n").split("\n")
    if len(lines) == 1:
        return raw
    first, rest = lines[0], lines[1:]
    indents = [_indent(line) for line in rest[:-1] if line.strip(" \t")] + [_indent(rest[-1])]
    rest = [line[min(indents) :] if line.strip(" \t") else "" for line in rest]
    if rest[-1] == "":
        rest.pop()
    return "\n".join(rest if not first.strip(" \t") else [first, *rest])


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def quote(text: str) -> str:
    """The text in plain quotes, on one line; valid in `.dagent`, JSON and YAML alike."""
    quoted = json.dumps(text, ensure_ascii=False)
    # Characters that end a line, or that YAML does not print, are written by their number.
    return re.sub(
        "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]",
        lambda match: f"\\u{ord(match[0]):04x}",
        quoted,
    )


def is_block(text: str) -> bool:
    """Whether the text can be written over several lines, and reads back the same."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and bool(lines[0].strip())
        and bool(lines[-1].strip())
        and not any(line != line.rstrip() for line in lines)
        and not lines[0].startswith((" ", "\t"))
        and re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", text) is None
    )
