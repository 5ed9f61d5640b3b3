"""Reader: takes values out of the document, and knows what nobody took.

A key that no step uses must never be ignored: the user would run another experiment than the one
declared. So values are taken only here, each taking is recorded, and ``unread`` refuses the rest as
"not supported yet".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from msgspec import Struct, field

from dagent.compiler import quantity
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence, plain
from dagent.dsl.source import Span

T = TypeVar("T")


class Reader(Struct):
    """Reads one block. The structure was checked before, so that types are as in the schema."""

    block: Mapping
    diagnostics: Diagnostics
    path: tuple[str, ...] = ()
    where: Span | None = None
    taken: set[str] = field(default_factory=set)
    children: list[Reader] = field(default_factory=list)

    def __contains__(self, key: str) -> bool:
        return self.block.entry(key) is not None

    def keys(self) -> tuple[str, ...]:
        return tuple(e.key for e in self.block)

    def name(self, key: str) -> str:
        return ".".join((*self.path, key))

    def span(self, key: str) -> Span:
        """The value's place, else the block's."""
        node = self.block.get(key)
        return node.span if isinstance(node, Scalar) else self.key_span(key)

    def key_span(self, key: str) -> Span:
        entry = self.block.entry(key)
        return entry.key_span if entry else (self.where or self.block.span)

    # --- taking -----------------------------------------------------------------------------

    def node(self, key: str) -> Node | None:
        self.taken.add(key)
        return self.block.get(key)

    def value(self, key: str) -> Any:
        """The plain value, or None."""
        node = self.node(key)
        return None if node is None else plain(node)

    def text(self, key: str, default: T) -> str | T:
        value = self.value(key)
        return default if value is None else str(value)

    def prose(self, key: str, default: T) -> str | T:
        """A text in plain words; blank edges, such as the newline that ends a YAML block scalar,
        mean nothing, so that the twins compile to one plan."""
        value = self.value(key)
        return default if value is None else str(value).strip()

    def texts(self, key: str) -> tuple[Any, ...] | None:
        value = self.value(key)
        return None if value is None else tuple(value)

    def number(self, key: str, default: float) -> float:
        """A plain number; whole ones as int, so that ``2`` and ``2.0`` give the same plan."""
        value = self.value(key)
        if value is None:
            return default
        return int(value) if float(value).is_integer() else float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.value(key)
        return default if value is None else bool(value)

    def amount(self, key: str, kind: str, default: T, least: float | None = None) -> Any | T:
        """A quantity in base units; after a finding the default, so that reading goes on.

        That it is an amount of its kind was checked with the structure, by the schema's
        ``x-quantity``.
        """
        node = self.node(key)
        if not isinstance(node, Scalar) or node.value is None or isinstance(node.value, bool):
            return default
        found = quantity.parse(node.value, kind)
        assert not isinstance(found, quantity.Problem), f"{self.name(key)}: {found}"
        if least is not None and isinstance(found, int | float) and found < least:
            self.diagnostics.error(
                "E204", f"`{self.name(key)}` is at least {least:g}", node.span, f"write {least:g}"
            )
            return default
        return found

    def choice(self, key: str, supported: tuple[str, ...], default: str) -> str:
        """A word of the schema's list, of which this version knows ``supported``."""
        value = self.text(key, default)
        if value not in supported:
            self.refuse(f"`{key} = {value}`", self.span(key), supported)
            return default
        return value

    def refuse(self, what: str, span: Span, instead: tuple[str, ...] = ()) -> None:
        """E190 for something that the language has and this version does not."""
        remedy = "use " + " or ".join(f"`{word}`" for word in instead) if instead else None
        self.diagnostics.error(
            "E190", f"{what} is not supported yet", span, remedy or "remove it for now"
        )

    # --- going down -------------------------------------------------------------------------

    def inner(self, key: str) -> Reader:
        """The block below ``key``; an empty one if there is none."""
        node = self.node(key)
        block = node if isinstance(node, Mapping) else Mapping((), self.key_span(key))
        return self._child(block, (*self.path, key), self.key_span(key))

    def named(self, key: str) -> Iterator[tuple[str, Reader]]:
        """The labelled blocks below ``key``, in the order of their names.

        Their order in the text carries no meaning, except where the reader asks for it.
        """
        for entry in sorted(self.entries(key), key=lambda e: e.key):
            yield entry.key, self.of(key, entry)

    def entries(self, key: str) -> tuple[Entry, ...]:
        node = self.node(key)
        return node.entries if isinstance(node, Mapping) else ()

    def of(self, key: str, entry: Entry) -> Reader:
        block = entry.value if isinstance(entry.value, Mapping) else Mapping((), entry.key_span)
        return self._child(block, (*self.path, key, entry.key), entry.key_span)

    def items(self, key: str) -> Iterator[Reader]:
        """The blocks of a list."""
        node = self.node(key)
        for index, item in enumerate(node.items if isinstance(node, Sequence) else ()):
            if isinstance(item, Mapping):
                yield self._child(item, (*self.path, f"{key}[{index}]"), item.span)

    def _child(self, block: Mapping, path: tuple[str, ...], where: Span) -> Reader:
        child = Reader(block, self.diagnostics, path, where)
        self.children.append(child)
        return child

    # --- what nobody took -------------------------------------------------------------------

    def unread(self) -> None:
        """Refuse every key that was not taken, here and below."""
        for entry in self.block:
            if entry.key not in self.taken:
                self.refuse(f"`{self.name(entry.key)}`", entry.key_span)
        for child in self.children:
            child.unread()


def within(span: Span, part: str, *, first: bool = False) -> Span:
    """The last piece of a written value that reads ``part``; all of it if it is written otherwise.

    A value that came by ``$name`` is written elsewhere: then the name is what to point at.
    """
    text = span.text
    start = (text.find(part) if first else text.rfind(part)) if part else -1
    return span.part(start, start + len(part)) if start >= 0 else span


def inside_text(span: Span, text: str, start: int, end: int) -> Span:
    """Characters ``[start, end)`` of a written text; all of it if it is written otherwise, with
    escapes or over lines."""
    at = span.text.find(text)
    return span.part(at + start, at + end) if at >= 0 else span
