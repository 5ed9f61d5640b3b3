"""PyYAML's syntax errors in words that a user knows."""

from __future__ import annotations

import re
from typing import Any

import yaml

from dagent.dsl.diagnostics import Diagnostics, Edit, Note
from dagent.dsl.source import Source, Span
from dagent.dsl.yaml_fixes import edits

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

_KEY = re.compile(r"""[ ]*(?:-[ ]+)*(?P<key>["']?[^\W\d][\w.-]*["']?)[ ]*:(?=\s|$)""")
_GLUED = re.compile(r"""[ ]*(?:-[ ]+)*(?P<key>[^\W\d][\w-]*):[^\s:/]""")


def report(
    error: yaml.YAMLError,
    source: Source,
    diagnostics: Diagnostics,
    start: int = 0,
    end: int | None = None,
) -> None:
    """One diagnostic at the place where reading stopped; only ``[start, end)`` was read."""
    if isinstance(error, yaml.reader.ReaderError):
        at = start + error.position
        character = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"the character U+{character:04X} cannot stand in YAML"
        here = source.span(at, at + 1)
        diagnostics.error("E010", message, here, "remove it", fix=[Edit(here, "")])
        return
    marked: Any = error
    problem = str(getattr(marked, "problem", None) or error)
    message, advice, at_context = _say(problem)
    mark = marked.problem_mark or marked.context_mark
    if at_context and marked.context_mark is not None:
        mark = marked.context_mark
    at = min(start + mark.index, len(source.text)) if mark is not None else start
    last = len(source.text) if end is None else end
    # A place behind the last line is shown at the end of the text proper.
    while at > start and at >= last and source.text[at - 1] in "\r\n":
        at -= 1
    rest = "the rest of this block" if end is not None else "what follows"
    notes = [Note(f"{rest} was not read; there may be more")]
    here = source.span(at, at + 1)
    opened = _opened(marked, source, start)
    if opened is not None and _on_one_line(opened, here):
        notes.insert(0, Note("noticed here", here))
        message, advice, here = f"this `{opened.text}` is never closed", "close it", opened
    elif opened is not None:
        notes.insert(0, Note("opened here", opened))
    tabbed = problem.startswith("found character '\\t'")
    if tabbed and source.line(here.line)[: here.column - 1].strip():
        message, advice = "a tab cannot stand here in YAML", "write a blank"
    fix = edits(problem, here, start, last)
    message, advice, here, fix = _misread(problem, here, start, (message, advice, here, fix))
    diagnostics.error("E030", message, here, advice, notes, fix)


Said = tuple[str, str | None, Span, list[Edit]]


def _misread(problem: str, here: Span, start: int, said: Said) -> Said:
    """What to say instead where the line that is to blame is not the one where YAML gave up."""
    source, line = here.source, here.source.line(here.line)
    if problem.startswith("could not find expected ':'"):
        glued = _GLUED.match(line)
        if glued is None:
            return said
        at = here.start - here.column + 1 + glued.end("key")
        colon = source.span(at, at + 1)
        fix = [Edit(source.span(colon.end, colon.end), " ")]
        return "a blank is missing after this `:`", "write `key: value`", colon, fix
    if not problem.startswith("mapping values are not allowed"):
        return said
    key, above = _KEY.match(line), _line_above(here, start)
    if key is None or above is None or key.end() != here.column:
        return said
    text = source.line(above.line)
    if _KEY.match(text) is None:
        fix = edits("could not find expected ':'", above, start, here.start)
        return "expected `:` after this key", "write `key: value`", above, fix
    if key.start("key") < above.column:
        return said
    name = source.span(here.start - len(key["key"]), here.start)
    return (
        f"`{key['key']}` is indented below line {above.line}, which already has a value",
        "indent both lines alike",
        name,
        [],
    )


def _line_above(here: Span, start: int) -> Span | None:
    """Where the nearest line above ``here`` begins that says something, not before ``start``."""
    source, end = here.source, here.start - here.column + 1
    while end > start:
        begin = max(start, source.text.rfind("\n", 0, end - 1) + 1)
        words = source.text[begin:end].lstrip(" ")
        if words.strip() and not words.startswith("#"):
            at = end - len(words)
            return source.span(at, at + 1)
        end = begin
    return None


def _say(problem: str) -> tuple[str, str | None, bool]:
    for pattern, message, advice, at_context in _WORDS:
        match = re.fullmatch(pattern, problem, re.DOTALL)
        if match:
            return message.format(*match.groups()), advice, at_context
    words = re.sub(r"<([a-z ]+)>", r"\1", problem)
    return f"this is not valid YAML: {words}", None, False


def _opened(error: Any, source: Source, start: int) -> Span | None:
    """The bracket that was open when the error was met."""
    context, mark = str(error.context or ""), error.context_mark
    if mark is None or not context.startswith("while parsing a flow"):
        return None
    return source.span(start + mark.index, start + mark.index + 1)


def _on_one_line(opened: Span, noticed: Span) -> bool:
    """Whether what a bracket opens was meant to end on its line, and did not."""
    rest = opened.source.line(opened.line)[opened.column :].partition(" #")[0]
    return noticed.line > opened.line and bool(rest.strip())
