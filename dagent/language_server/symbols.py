"""The outline of a spec: its blocks and, in them, blocks and names."""

from __future__ import annotations

from dataclasses import dataclass

from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.schema import Schema, child, load
from dagent.dsl.source import Span


@dataclass(frozen=True)
class Symbol:
    """``span`` covers all of it, ``name_span`` what names it."""

    name: str
    detail: str
    span: Span
    name_span: Span
    inner: tuple[Symbol, ...] = ()


def symbols(root: Mapping) -> tuple[Symbol, ...]:
    return _below(root, load())


def _below(block: Mapping, schema: Schema | None) -> tuple[Symbol, ...]:
    found: list[Symbol] = []
    for entry in block:
        inner = child(schema, entry.key)
        if inner and inner.get("x-named") and isinstance(entry.value, Mapping):
            found += [_symbol(e, f"{entry.key} {e.key}", child(inner, e.key)) for e in entry.value]
        elif inner and inner.get("x-chain") and isinstance(entry.value, Sequence):
            found += _chain(entry, entry.value, inner)
        elif isinstance(entry.value, Mapping):
            found.append(_symbol(entry, entry.key, inner))
        else:
            found.append(_leaf(entry.key, entry.key_span, entry.value))
    return tuple(found)


def _chain(entry: Entry, items: Sequence, schema: Schema) -> list[Symbol]:
    found = []
    for index, item in enumerate(items.items):
        stage = item.entry(schema["x-chain"]) if isinstance(item, Mapping) else None
        if isinstance(item, Mapping) and stage is not None:
            name = f"{entry.key} {stage.value.span.text}"
            inner = tuple(_leaf(e.key, e.key_span, e.value) for e in item if e is not stage)
            found.append(Symbol(name, "", _over(stage.key_span, item.span), stage.key_span, inner))
        else:
            found.append(_leaf(f"{entry.key}[{index}]", item.span, item))
    return found


def _symbol(entry: Entry, name: str, schema: Schema | None) -> Symbol:
    inner = _below(entry.value, schema) if isinstance(entry.value, Mapping) else ()
    span = _over(entry.key_span, entry.value.span)
    return Symbol(name, _detail(entry.value), span, entry.key_span, inner)


def _leaf(name: str, name_span: Span, value: Node) -> Symbol:
    return Symbol(name, _detail(value), _over(name_span, value.span), name_span)


def _detail(value: Node) -> str:
    if not isinstance(value, Scalar):
        return ""
    text = " ".join(value.span.text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def _over(first: Span, last: Span) -> Span:
    """From one to the other; a YAML alias has its value elsewhere, and then the first alone."""
    if last.source is not first.source or last.start < first.start:
        return first
    return first.source.span(first.start, max(first.end, last.end))
