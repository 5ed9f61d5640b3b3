"""Parse tree of a `.dagent` text -> document; blocks of one kind join, duplicates are refused."""

from __future__ import annotations

import re
from typing import Literal

from lark import Token, Tree
from msgspec import Struct, field

from dagent.dsl.diagnostics import Diagnostics, Edit, Note
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.scalars import resolve
from dagent.dsl.schema import Schema, child, load
from dagent.dsl.source import Source, Span
from dagent.dsl.texts import trim, unescape

# How an entry came about. Blocks with names and statements join those before them.
_Form = Literal["pair", "block", "named", "chain", "statement"]
_JOINS: tuple[_Form, ...] = ("named", "chain", "statement")
_Parsed = Tree[Token] | Token


class _Slot(Struct):
    form: _Form
    key: str
    span: Span
    whole: Span
    value: Node | None = None
    parts: list[Entry] = field(default_factory=list)


class _Builder(Struct, frozen=True):
    source: Source
    diagnostics: Diagnostics

    def span(self, parsed: _Parsed) -> Span:
        if isinstance(parsed, Token):
            return self.source.span(parsed.start_pos or 0, parsed.end_pos or 0)
        return self.source.span(parsed.meta.start_pos, parsed.meta.end_pos)

    def entries(self, trees: list[_Parsed], schema: Schema | None) -> tuple[Entry, ...]:
        slots: dict[str, _Slot] = {}
        for tree in trees:
            assert isinstance(tree, Tree)
            new = self.slot(tree, schema)
            old = slots.setdefault(new.key, new)
            if old is new:
                continue
            if old.form == new.form and new.form in _JOINS:
                self.join(old, new)
            else:
                self.duplicate(new.key, old.span, new.span, block=new.form != "pair")
        return tuple(Entry(s.key, s.span, _value(s)) for s in slots.values())

    def slot(self, tree: Tree[Token], schema: Schema | None) -> _Slot:
        first = tree.children[0]
        assert isinstance(first, Token)
        key, span, whole = self.name(first), self.span(first), self.span(tree)
        inner = child(schema, key)
        if tree.data == "pair":
            operator, value = tree.children[1], tree.children[2]
            if operator == "<=" and inner is not None and not inner.get("x-cap"):
                message = f"`{key}` is no cap, so `<=` says nothing about it"
                at = self.span(operator)
                self.diagnostics.error("E024", message, at, "write `=`", fix=[Edit(at, "=")])
            return _Slot("pair", key, span, whole, self.value(value, inner))
        if tree.data == "statement":
            parts = [Entry("", item.span, item) for item in self.statement(tree.children[1:])]
            return _Slot("statement", key, span, whole, parts=parts)
        if tree.data == "block":
            return _Slot("block", key, span, whole, self.body(tree, 1, inner))
        label = tree.children[1]
        assert isinstance(label, Token)
        chain = inner.get("x-chain") if inner else None
        if chain:
            body = self.body(tree, 2, child(inner, 0))
            stage = Entry(chain, self.span(label), Scalar(str(label), self.span(label)))
            for entry in body:
                if entry.key == chain:
                    self.duplicate(chain, stage.key_span, entry.key_span, block=False)
            rest = tuple(e for e in body if e.key != chain)
            part = Entry("", self.span(label), Mapping((stage, *rest), body.span))
            return _Slot("chain", key, span, whole, parts=[part])
        body = self.body(tree, 2, child(inner, self.name(label)))
        return _Slot(
            "named", key, span, whole, parts=[Entry(self.name(label), self.span(label), body)]
        )

    def join(self, old: _Slot, new: _Slot) -> None:
        for part in new.parts:
            twin = next((p for p in old.parts if old.form == "named" and p.key == part.key), None)
            if twin:
                name = f"{old.key} {part.key}"
                self.duplicate(name, twin.key_span, part.key_span, block=True)
            else:
                old.parts.append(part)

    def duplicate(self, key: str, old: Span, new: Span, *, block: bool) -> None:
        self.diagnostics.error(
            "E108" if block else "E107",
            f"{'block' if block else 'key'} `{key}` is given twice",
            new,
            "keep one of the two",
            [Note("first given here", old)],
        )

    def body(self, tree: Tree[Token], start: int, schema: Schema | None) -> Mapping:
        opening, closing = tree.children[start], tree.children[-1]
        span = self.source.span(self.span(opening).start, self.span(closing).end)
        return Mapping(self.entries(tree.children[start + 1 : -1], schema), span)

    def statement(self, terms: list[_Parsed]) -> list[Scalar]:
        """Texts in quotes are an item each; anything else is one item, as it is written."""
        if all(isinstance(term, Token) and term.type == "STRING" for term in terms):
            return [self.scalar(term) for term in terms if isinstance(term, Token)]
        span = self.source.span(self.span(terms[0]).start, self.span(terms[-1]).end)
        return [Scalar(" ".join(span.text.split()), span)]

    def value(self, parsed: _Parsed, schema: Schema | None) -> Node:
        if isinstance(parsed, Token):
            return self.scalar(parsed)
        inside = parsed.children[1:-1]
        if parsed.data == "map":
            return Mapping(self.entries(inside, schema), self.span(parsed))
        items = tuple(self.value(item, child(schema, 0)) for item in inside)
        return Sequence(items, self.span(parsed))

    def scalar(self, token: Token) -> Scalar:
        span = self.span(token)
        if token.type == "STRING":
            return Scalar(self.unquoted(token, 1), span, quoted=True)
        if token.type == "TEXT":
            return Scalar(self.unquoted(token, 3), span, quoted=True)
        if token.type == "QUANTITY":
            return Scalar(re.sub(r"[ \t]+", " ", str(token)), span)
        return Scalar(resolve(str(token)), span)

    def name(self, token: Token) -> str:
        return self.unquoted(token, 1) if token.startswith('"') else str(token)

    def unquoted(self, token: Token, quotes: int) -> str:
        """The text of a token in quotes; one that was never closed lacks those at the end."""
        mark = token[:quotes]
        closed = len(token) >= 2 * quotes and token.endswith(mark)
        raw = str(token)[quotes : len(token) - quotes if closed else len(token)]

        def bad(offset: int, escape: str) -> None:
            # In a trimmed text offsets have moved; the escape itself is looked for.
            start = (token.start_pos or 0) + quotes
            at = start + offset if quotes == 1 else self.source.text.find(escape, start)
            self.diagnostics.error(
                "E012",
                f"`{escape}` is no escape",
                self.source.span(at, at + len(escape)),
                r"write `\\` for a backslash",
                fix=[Edit(self.source.span(at, at), "\\")] if quotes == 1 else [],
            )

        return unescape(trim(raw) if quotes == 3 else raw, bad)


def _value(slot: _Slot) -> Node:
    if slot.form == "named":
        return Mapping(tuple(slot.parts), slot.whole)
    if slot.form in ("chain", "statement"):
        return Sequence(tuple(part.value for part in slot.parts), slot.whole)
    assert slot.value is not None
    return slot.value


def build(source: Source, tree: Tree[Token], diagnostics: Diagnostics) -> Mapping:
    """The document; of what is given twice it keeps the first."""
    builder = _Builder(source, diagnostics)
    return Mapping(builder.entries(tree.children, load()), source.span(0, len(source.text)))
