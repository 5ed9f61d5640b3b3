"""Remedies of YAML's syntax errors, where only one can be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dagent.dsl.diagnostics import Edit
from dagent.dsl.source import Source, Span
from dagent.dsl.texts import quote

# A line of one key with a plain value, and a comment behind it.
_PAIR = re.compile(
    r"""[ ]*(?:-[ ]+)?["']?[\w.-]+["']?[ ]*:[ ]+  # the key
        (?P<value>[^\s"'\[{|>&*!\#].*?)
        (?:[ ]+\#.*)?[ \r]*$
    """,
    re.VERBOSE,
)
_ASSIGNED = re.compile(r"[ ]*[\w.-]+(?P<sign>[ ]*<?=)")
_IN_FLOW = re.compile(r"[@`%][^\s,{}\[\]\"'#]*")


def edits(problem: str, here: Span, start: int, end: int) -> list[Edit]:
    """For PyYAML's ``problem`` at ``here``, in the block ``[start, end)`` of the text."""
    source = here.source
    line = source.line(here.line)
    if problem.startswith("found character '\\t'"):
        if line[: here.column - 1].strip():
            return [Edit(here, " ")]
        return _untabbed(source, start, end)
    if problem.startswith(("mapping values are not allowed", "found character")):
        return _quoted(here, line)
    if problem.startswith("found unexpected end of stream"):
        return _closed(here, line)
    if problem.startswith("could not find expected ':'"):
        match = _ASSIGNED.match(line)
        return [Edit(_part(here, match, "sign"), ":")] if match else []
    return []


def _part(here: Span, match: re.Match[str], group: str) -> Span:
    begin = here.start - here.column + 1
    return here.source.span(begin + match.start(group), begin + match.end(group))


def _quoted(here: Span, line: str) -> list[Edit]:
    match = _PAIR.match(line)
    if match and match.start("value") < here.column:
        return [Edit(_part(here, match, "value"), quote(match["value"]))]
    flow = _IN_FLOW.match(here.source.text, here.start)
    if flow:
        return [Edit(here.source.span(flow.start(), flow.end()), quote(flow[0]))]
    return []


def _closed(here: Span, line: str) -> list[Edit]:
    """The quote that opens at ``here``, closed at the end of its line if nothing else is there."""
    rest = line[here.column - 1 :].rstrip()
    if not rest or set(rest[1:]) & set("\"'#,]}\\"):
        return []
    end = here.start + len(rest)
    return [Edit(here.source.span(end, end), rest[0])]


def _untabbed(source: Source, start: int, end: int) -> list[Edit]:
    """Tabs that indent, as two blanks each, where the block has no other indentation."""
    lines = list(_indents(source, start, end))
    if any(set(indent.text) != {"\t"} for indent in lines):
        return []
    return [Edit(indent, "  " * len(indent.text)) for indent in lines]


def _indents(source: Source, start: int, end: int) -> Iterator[Span]:
    for match in re.finditer(r"^[ \t]+(?=\S)", source.text[start:end], re.MULTILINE):
        yield source.span(start + match.start(), start + match.end())
