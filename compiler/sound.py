"""The part of a document that nothing is wrong with, so that one mistake does not hide the next."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from typing import Any

from msgspec import Struct

from dagent.dsl.diagnostics import Diagnostic
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.scalars import resolve
from dagent.dsl.source import Span

# What is said of a file, a name or an argument for its own sake. Other findings compare parts of
# the spec, one of which may just be missing here.
OF_ITSELF = frozenset(
    (
        *("E301", "E302", "E311", "E316", "E317", "E318", "E320", "E324", "E328"),
        *("E411", "E511", "E513", "E601", "E602", "E603", "E605", "E607", "E609"),
        *("E610", "E611", "E612", "E653", "E717"),
    )
)

# For what a spec must have; nothing of the above is said of it.
STANDS_IN: Dict[str, Any] = {
    "domain": {"name": "spec", "goal": "Answer."},
    "data": {},
    "student": {"model": "builtin:tiny-python"},
    "engineer": {"strategy": "curriculum", "generator": {"lm": "openai/stand-in"}},
    "budget": {"rounds": 1},
    "criteria": {"metric": {"metric": {"grader": "exact"}}},
    "train": [{"stage": "sft"}],
}

ONE_BY_ONE = ("domain", "student", "budget")


def sound(root: Mapping, wrong: Iterable[Diagnostic], unknown: Iterable[Span] = ()) -> Mapping:
    """The document without the keys and values that the errors are about, and the ``unknown``
    values; where an error brings its fix, with that; where something must be, with a stand-in. A
    data set that anything is left out of is left out: its rows would be misread."""
    errors = [d for d in wrong if d.severity == "error" and d.span is not None]
    fixes = {edit.span: edit.text for d in errors for edit in d.fix}
    places = [*unknown, *(d.span for d in errors if d.span is not None)]
    part = _Sound(places, fixes).mapping(root, ())
    return _filled(part, STANDS_IN)


class _Sound(Struct, frozen=True):
    wrong: list[Span]
    fixes: Dict[Span, str]

    def mapping(self, node: Mapping, path: tuple[str, ...]) -> Mapping:
        entries: dict[str, Entry] = {}
        for entry in node:
            key = self.fixes.get(entry.key_span, entry.key)
            value = self.node(entry.value, (*path, key))
            lost = key == entry.key and self.touches(entry.key_span)
            if lost or value is None or key in entries:
                continue
            entries[key] = Entry(key, entry.key_span, value)
        return Mapping(tuple(entries.values()), node.span)

    def node(self, node: Node, path: tuple[str, ...]) -> Node | None:
        if isinstance(node, Scalar):
            return self.scalar(node) if self.touches(node.span) else node
        if isinstance(node, Sequence):
            items = (self.node(item, path) for item in node.items)
            return Sequence(tuple(item for item in items if item is not None), node.span)
        found = self.mapping(node, path)
        data = len(path) == 2 and path[0] == "data"
        return None if data and len(found.entries) < len(node.entries) else found

    def scalar(self, node: Scalar) -> Scalar | None:
        for span, text in self.fixes.items():
            if _overlap(span, node.span):
                start, end = span.start - node.span.start, span.end - node.span.start
                whole = node.span.text[: max(0, start)] + text + node.span.text[end:]
                return Scalar(whole.strip("\"'") if node.quoted else resolve(whole), node.span)
        return None

    def touches(self, span: Span) -> bool:
        return any(_overlap(wrong, span) for wrong in self.wrong)


def _overlap(one: Span, other: Span) -> bool:
    return one.source is other.source and one.start < other.end and other.start < one.end


def _filled(node: Mapping, needed: Dict[str, Any]) -> Mapping:
    """With what is needed and lacking, at the very start of the text."""
    start = node.span.source.span(0, 0)
    entries = {entry.key: entry for entry in node}
    for key, value in needed.items():
        entry = entries.get(key)
        if entry is None:
            entries[key] = Entry(key, start, _node(value, start))
        elif isinstance(entry.value, Mapping) and isinstance(value, dict) and key in ONE_BY_ONE:
            entries[key] = Entry(key, entry.key_span, _filled(entry.value, value))
    return Mapping(tuple(entries.values()), node.span)


def _node(value: Any, span: Span) -> Node:
    if isinstance(value, dict):
        return Mapping(tuple(Entry(k, span, _node(v, span)) for k, v in value.items()), span)
    if isinstance(value, list):
        return Sequence(tuple(_node(item, span) for item in value), span)
    return Scalar(value, span)
