"""PyYAML's syntax errors in words that a user knows."""

from __future__ import annotations

import re
from typing import Any

import yaml

from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.source import Source

# PyYAML's problem, what we say, the remedy, and whether the place is where the context began.
_WORDS: tuple[tuple[str, str, str | None, bool], ...] = (
    (
        r"mapping values are not allowed here",
        "a `:` makes no sense here",
        "put the text in quotes, or check the indentation",
        False,
    ),
    (
        r"could not find expected ':'",
        "expected `:` after this key",
        "write `key: value`",
        True,
    ),
    (
        r"found character '\\t' that cannot start any token",
        "a tab cannot indent YAML",
        "indent with spaces",
        False,
    ),
    (
        r"found character '(.)' that cannot start any token",
        "a value cannot start with `{0}`",
        "put it in quotes",
        False,
    ),
    (
        r"found unexpected end of stream",
        "this quote is never closed",
        "close it",
        True,
    ),
    (
        r"found unexpected document separator",
        "this quote is never closed",
        "close it",
        True,
    ),
    (
        r"found unknown escape character '(.)'",
        r"`\{0}` is no escape",
        r"write `\\` for a backslash, or use single quotes",
        False,
    ),
    (
        r"expected ',' or '([\]}])', but got .*",
        "expected `,` or `{0}` here",
        "add it, or close the bracket",
        False,
    ),
    (
        r"expected <block end>, but found '-'",
        "a list item does not belong here",
        "indent it as the items before it, or remove the `-`",
        False,
    ),
    (
        r"expected <block end>, but found .*",
        "this does not belong to the block above",
        "check the indentation, and put values with quotes or brackets in quotes altogether",
        False,
    ),
    (
        r"expected the node content, but found .*",
        "expected a value here",
        "write a value, or put it in quotes",
        False,
    ),
    (
        r"expected '<document start>', but found .*",
        "this does not belong to the document",
        "check the indentation",
        False,
    ),
    (
        r"(?:block sequence entries|sequence entries) are not allowed here",
        "a list item cannot start here",
        "start it on a line of its own",
        False,
    ),
    (
        r"found duplicate anchor .*",
        "this anchor is given twice",
        "rename one of the two",
        False,
    ),
    (
        r"expected chomping or indentation indicators, but found .*",
        "after `|` or `>` the text starts on the next line",
        None,
        False,
    ),
    (
        r"expected alphabetic or numeric character, but found .*",
        "a name is missing here",
        None,
        False,
    ),
)


def report(error: yaml.YAMLError, source: Source, diagnostics: Diagnostics) -> None:
    """One diagnostic at the place where reading stopped."""
    if isinstance(error, yaml.reader.ReaderError):
        at = error.position
        character = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"the character U+{character:04X} cannot stand in YAML"
        diagnostics.error("E010", message, source.span(at, at + 1), "remove it")
        return
    marked: Any = error
    problem = str(getattr(marked, "problem", None) or error)
    message, advice, at_context = _say(problem)
    mark = marked.problem_mark or marked.context_mark
    if at_context and marked.context_mark is not None:
        mark = marked.context_mark
    at = min(mark.index, len(source.text)) if mark is not None else 0
    notes = [Note("YAML is read only up to its first error; there may be more")]
    opened = _opened(marked, source)
    if opened:
        notes.insert(0, opened)
    # A place behind the last line is shown at the end of the text proper.
    while at > 0 and at >= len(source.text) and source.text[at - 1] in "\r\n":
        at -= 1
    diagnostics.error("E030", message, source.span(at, at + 1), advice, notes)


def _say(problem: str) -> tuple[str, str | None, bool]:
    for pattern, message, advice, at_context in _WORDS:
        match = re.fullmatch(pattern, problem, re.DOTALL)
        if match:
            return message.format(*match.groups()), advice, at_context
    words = re.sub(r"<([a-z ]+)>", r"\1", problem)
    return f"this is not valid YAML: {words}", None, False


def _opened(error: Any, source: Source) -> Note | None:
    """Where the bracket was opened that the error stumbled in."""
    context, mark = str(error.context or ""), error.context_mark
    if mark is None or not context.startswith("while parsing a flow"):
        return None
    return Note("opened here", source.span(mark.index, mark.index + 1))
