"""YAML 1.2 text -> document, from PyYAML's events.

Events rather than nodes or objects: they carry exact places and the tags as written, nothing is
constructed, PyYAML's YAML 1.1 reading of words (`no`, `on`, `1e-5`) does not come into play, and
what stands before a syntax error is still checked for duplicates and tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec import Struct, field

from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.nearest import nearest
from dagent.dsl.scalars import resolve
from dagent.dsl.schema import load
from dagent.dsl.source import Source, Span
from dagent.dsl.texts import characters
from dagent.dsl.yaml_errors import report

_Event = Any  # PyYAML's events; their marks are never None here, which the stubs do not know
DEEPEST = 100
MOST_NODES = 100_000
# Anchor and tag before a value, with what may stand between: blanks, and comments after these.
_PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*(?:\s+(?:#[^\n]*\n\s*)*)?)+")

_TOP = re.compile(r"""^["']?([^\W\d]\w*)["']?[ ]*:(?=\s|$)""", re.MULTILINE)
_BREAKS = re.compile("[\x85\u2028\u2029]")
_LINE = re.compile(r"[^\r\n]+")


class _Stop(Exception):
    """Nothing after this can be read; the diagnostic was made."""


class _Sized(Struct, frozen=True):
    """A node with its size and height when all aliases are written out."""

    node: Node
    size: int
    height: int


def parse_yaml(source: Source, diagnostics: Diagnostics) -> Mapping | None:
    """The document, even where something is wrong in it; ``None`` where nothing can be read."""
    found = Diagnostics()
    for match in _BREAKS.finditer(source.text):
        message = f"U+{ord(match[0]):04X} ends a line in one version of YAML and not in the next"
        diagnostics.error("E010", message, source.span(*match.span()), "remove it")
    reader = _Reader(source, found, source.text)
    try:
        root = reader.document()
    except _Stop:
        root = None
    except yaml.YAMLError as error:
        return _around(error, source, found, diagnostics)
    diagnostics.found += found.found
    if root is None and found.has_errors:
        return None
    nothing = isinstance(root, Mapping) and not root.entries and not found.has_errors
    if root is None or nothing or (isinstance(root, Scalar) and root.value is None):
        diagnostics.error("E003", f"`{source.name}` holds no block", source.span(0, 0))
        return None
    if not isinstance(root, Mapping):
        message = f"a spec is a map of blocks, not {_kind(root)}"
        diagnostics.error("E035", message, _first_line(root.span), "start with `domain:`")
        return None
    return Mapping(root.entries, source.span(0, len(source.text)))


def parse_alone(source: Source, diagnostics: Diagnostics) -> Mapping | None:
    """The document of some top-level keys cut out of a text; ``None`` where the rest could matter:
    a bracket or quote goes on behind the cut, or an anchor may stand before it."""
    reader = _Reader(source, diagnostics, source.text)
    try:
        root = reader.document()
    except (_Stop, yaml.YAMLError):
        return None
    spoilt = any(d.code < "E1" for d in diagnostics) or _BREAKS.search(source.text)
    if not isinstance(root, Mapping) or not root.entries or reader.anchors or spoilt:
        return None
    return root


def _around(
    error: yaml.YAMLError, source: Source, found: Diagnostics, diagnostics: Diagnostics
) -> Mapping | None:
    """What can be read around the blocks in which YAML stumbles; each of these is reported.

    YAML stops at its first error, and a quote that is not closed is noticed only at the next one.
    So each block of the spec is tried alone.
    """
    tried = ((start, end, _fault(source.text[start:end])) for start, end in blocks(source.text))
    faulty = [(start, end, fault) for start, end, fault in tried if fault]
    if not faulty:
        diagnostics.found += found.found
        report(error, source, diagnostics)
        return None
    text = source.text
    for start, end, fault in faulty:
        report(fault, source, diagnostics, start, end)
        text = text[:start] + _LINE.sub(lambda m: " " * len(m[0]), text[start:end]) + text[end:]
    try:
        root = _Reader(source, diagnostics, text, partial=True).document()
    except (_Stop, yaml.YAMLError):
        return None
    return Mapping(root.entries, source.span(0, len(text))) if isinstance(root, Mapping) else None


def blocks(text: str) -> list[tuple[int, int]]:
    """Where the blocks of a spec start and end, as far as its left margin tells."""
    known = list(load()["properties"])
    keys = (m for m in _TOP.finditer(text) if m[1] in known or nearest(m[1], known))
    starts = [0, *(m.start() for m in keys)]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def fault_behind(source: Source, head: str, at: int, start: int, end: int) -> yaml.YAMLError | None:
    """In what the block ``[start, end)`` stumbles, if all can be read but what comes at ``at``: as
    if the whole was read. ``head`` is the line that names the block, where ``at`` is behind it.
    ``None`` where YAML reads on, in the block or behind it, and where it is not YAML's rules but
    ours that end the reading."""
    text = head + source.text[at:]
    try:
        _Reader(Source(source.name, text), Diagnostics(), text).document()
    except yaml.YAMLError:
        pass
    except _Stop:
        return None
    else:
        return None
    fault = _fault(head + source.text[at:end])
    if isinstance(fault, yaml.reader.ReaderError):
        fault.position += at - start - len(head)
    elif isinstance(fault, yaml.MarkedYAMLError):
        for mark in {id(m): m for m in (fault.problem_mark, fault.context_mark) if m}.values():
            if mark.index >= len(head):
                mark.index += at - start - len(head)
    return fault


def _fault(text: str) -> yaml.YAMLError | None:
    try:
        for _ in _events(text):
            pass
    except yaml.YAMLError as error:
        return error
    return None


def _events(text: str) -> Iterator[_Event]:
    return iter(yaml.parse(text, Loader=yaml.SafeLoader))


def _index(mark: Any) -> int:
    return int(mark.index)


def anchors(source: Source) -> dict[tuple[int, bool], str]:
    """Names of anchors, by where the anchored value starts and whether it is a scalar."""
    reader = _Reader(source, Diagnostics(), source.text)
    return {
        (reader.properties(event, event.start_mark.index), isinstance(event, yaml.ScalarEvent)): (
            event.anchor
        )
        for event in _events(source.text)
        if getattr(event, "anchor", None) and not isinstance(event, yaml.AliasEvent)
    }


class _Reader(Struct):
    source: Source
    diagnostics: Diagnostics
    text: str
    """The source's text, without the blocks that are left out if it is ``partial``."""
    partial: bool = False
    anchors: dict[str, _Sized | None] = field(default_factory=dict)
    """``None`` while the anchored node is still being read: an alias to it would be a cycle."""

    def document(self) -> Node | None:
        root: Node | None = None
        events = _events(self.text)
        count = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                count += 1
                if count > 1:
                    span = self.source.span(_index(event.start_mark), _index(event.start_mark) + 3)
                    message = "a second document starts here"
                    self.diagnostics.error("E032", message, span, "keep one document in a file")
                    break
                root = self.node(next(events), events, 1).node
        return root

    def node(self, event: _Event, events: Iterator[_Event], depth: int) -> _Sized:
        start = event.start_mark.index
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        start = self.properties(event, start)
        if depth > DEEPEST:
            message = f"more than {DEEPEST} lists and maps in each other"
            self.diagnostics.error("E027", message, self.source.span(start, start + 1))
            raise _Stop
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            made = _Sized(self.scalar(event, start), 1, 1)
        elif isinstance(event, yaml.SequenceStartEvent):
            made = self.sequence(event, start, events, depth)
        else:
            made = self.mapping(event, start, events, depth)
        if anchor:
            self.anchors[anchor] = made
        return made

    def properties(self, event: _Event, start: int) -> int:
        """Refuse a tag; where the value itself starts, behind its anchor and tag."""
        match = _PROPERTIES.match(self.source.text, start) if event.anchor or event.tag else None
        if event.tag is not None:
            at = start + max(0, match[0].find("!")) if match else start
            written = self.source.text[at:].split(maxsplit=1)[0].rstrip(",]}")
            self.diagnostics.error(
                "E031",
                f"tags such as `{written}` have no meaning in a spec",
                self.source.span(at, at + len(written)),
                "remove the tag",
            )
        if match and isinstance(event, yaml.ScalarEvent):
            return min(match.end(), _index(event.end_mark))  # an empty value ends at its anchor
        return match.end() if match else start

    def alias(self, event: _Event) -> _Sized:
        span = self.source.span(event.start_mark.index, event.end_mark.index)
        if event.anchor not in self.anchors and self.partial:
            raise _Stop  # it may be anchored in what was left out
        if event.anchor not in self.anchors:
            self.diagnostics.error("E030", f"no anchor `&{event.anchor}` before this alias", span)
            raise _Stop
        made = self.anchors[event.anchor]
        if made is None:
            self.diagnostics.error("E033", f"`*{event.anchor}` contains itself", span)
            raise _Stop
        return made

    def scalar(self, event: _Event, start: int) -> Scalar:
        end = max(start, event.end_mark.index)
        text = self.source.text[start:end]
        span = self.source.span(start, start + len(text.rstrip()))
        plain = event.style is None or event.style == ""
        value = resolve(event.value) if plain else characters(event.value)
        return Scalar(value, span, quoted=not plain)

    def sequence(self, event: _Event, start: int, events: Iterator[_Event], depth: int) -> _Sized:
        made: list[_Sized] = []
        for inner in events:
            if isinstance(inner, yaml.SequenceEndEvent):
                end = _index(inner.end_mark) if event.flow_style else _end(made, start)
                break
            made.append(self.node(inner, events, depth + 1))
        items = tuple(m.node for m in made)
        return self.sized(Sequence(items, self.source.span(start, end)), made, start)

    def mapping(self, event: _Event, start: int, events: Iterator[_Event], depth: int) -> _Sized:
        made: list[_Sized] = []
        entries: dict[str, Entry] = {}
        for inner in events:
            if isinstance(inner, yaml.MappingEndEvent):
                end = _index(inner.end_mark) if event.flow_style else _end(made, start)
                break
            key = self.node(inner, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            made += (key, value)
            self.entry(key.node, value.node, entries)
        return self.sized(
            Mapping(tuple(entries.values()), self.source.span(start, end)), made, start
        )

    def entry(self, key: Node, value: Node, entries: dict[str, Entry]) -> None:
        span = _first_line(key.span)
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            message = f"a key is text, not {_kind(key)}"
            advice = f'write `"{span.text}"`' if isinstance(key, Scalar) and span.text else None
            self.diagnostics.error("E034", message, span, advice)
        elif key.value in entries:
            self.diagnostics.error(
                "E107",
                f"key `{key.value}` is given twice",
                span,
                "keep one of the two",
                [Note("first given here", entries[key.value].key_span)],
            )
        else:
            entries[key.value] = Entry(key.value, span, value)

    def sized(self, node: Node, made: list[_Sized], start: int) -> _Sized:
        size = 1 + sum(m.size for m in made)
        height = 1 + max((m.height for m in made), default=0)
        if size > MOST_NODES or height > DEEPEST:
            message = "the aliases in here multiply beyond measure"
            self.diagnostics.error("E033", message, _first_line(node.span))
            raise _Stop
        return _Sized(node, size, height)


def _end(made: list[_Sized], start: int) -> int:
    """Where a block ends: PyYAML's mark stands at the next token, after blanks and comments.

    An alias has the place of its anchor, which may stand before.
    """
    return max((m.node.span.end for m in made), default=start)


def _first_line(span: Span) -> Span:
    line_end = span.source.text.find("\n", span.start, span.end)
    return span if line_end < 0 else span.part(0, line_end - span.start)


def _kind(node: Node) -> str:
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a map"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "true or false"
    return "text" if isinstance(node.value, str) else "a number"
