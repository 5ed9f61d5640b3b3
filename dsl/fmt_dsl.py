"""Document -> canonical `.dagent` text.

One entry a line, in the author's order, indented by two. A block stands on one line if it holds one
scalar, or two and has a name. A list stands on one line if it fits. Caps are written `<=`.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from dagent.dsl.comments import Attached, Trivia, told_apart
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.schema import Schema, child
from dagent.dsl.texts import is_block, quote
from dagent.dsl.words import WORD, dsl_key, goal, in_dsl

WIDTH = 100
_STEP = "  "


class Item(Struct):
    """An entry as printed, not yet indented; a comment at the line's end goes behind ``at``."""

    lines: list[str]
    trivia: Trivia
    at: int = 0


class DslPrinter(Struct, frozen=True):
    attached: Attached

    def document(self, root: Mapping, schema: Schema) -> str:
        items = self.items(root, schema)
        return text_of(layout(items, self.attached.at_end(root), top=True))

    def items(self, node: Mapping, schema: Schema | None) -> list[Item]:
        out: list[Item] = []
        carried: list[str] = []  # comments that stand last in what is no block here
        for entry in node.entries:
            made, left = self.at(entry).entry(entry, child(schema, entry.key))
            made[0].trivia.lead = carried + made[0].trivia.lead
            out += made
            carried = left
        if carried:
            out.append(Item([], Trivia(lead=carried)))
        return out

    def at(self, entry: Entry) -> DslPrinter:
        """The printer for an entry: an alias of YAML is written out, its comments are not."""
        alias = entry.value.span.start < entry.key_span.start
        return DslPrinter(self.attached.without(entry)) if alias else self

    def entry(self, entry: Entry, schema: Schema | None) -> tuple[list[Item], list[str]]:
        """The items of an entry, and comments that belong behind the last of them."""
        value, says = entry.value, schema or {}
        if says.get("x-named") and (blocks := _named(value)):
            items = [
                self.named(entry.key, part, body, child(schema, part.key)) for part, body in blocks
            ]
        elif says.get("x-chain") and (stages := _stages(value, says["x-chain"])):
            items = [self.stage(entry.key, stage, item, child(schema, 0)) for stage, item in stages]
        elif says.get("x-statement") and (texts := _texts(value)):
            write = quote if entry.key == "import" else goal
            items = [
                Item([f"{entry.key} {write(str(t.value))}"], _copy(self.attached.of(t)))
                for t in texts
            ]
        else:
            return [self.plain(entry, schema)], []
        own = self.attached.of(entry)
        first = items[0].trivia
        first.lead = own.lead + ([own.tail] if own.tail else []) + first.lead
        first.blank = first.blank or own.blank
        return items, list(self.attached.at_end(value))

    def named(self, kind: str, part: Entry, body: Mapping, schema: Schema | None) -> Item:
        lines = self.at(part).block(f"{kind} {part.key}", body, schema, named=True)
        return Item(lines, _copy(self.attached.of(part)))

    def stage(self, key: str, stage: Entry, item: Mapping, schema: Schema | None) -> Item:
        rest = tuple(e for e in item.entries if e is not stage)
        body = Mapping(rest, item.span)
        if id(item) in self.attached.last:
            self.attached.last[id(body)] = self.attached.last[id(item)]
        trivia, inner = _copy(self.attached.of(item)), self.attached.of(stage)
        trivia.lead += inner.lead
        if inner.tail and trivia.tail:
            trivia.lead.append(inner.tail)
        else:
            trivia.tail = trivia.tail or inner.tail
        assert isinstance(stage.value, Scalar)
        return Item(self.block(f"{key} {stage.value.value}", body, schema, named=True), trivia)

    def plain(self, entry: Entry, schema: Schema | None) -> Item:
        value, trivia = entry.value, _copy(self.attached.of(entry))
        if isinstance(value, Mapping) and WORD.fullmatch(entry.key):
            return Item(self.block(entry.key, value, schema, named=False), trivia)
        sign = "<=" if schema and schema.get("x-cap") and not _compound(value) else "="
        head = f"{dsl_key(entry.key)} {sign} "
        lines = self.value(head, value, schema)
        # Behind a text over lines there is room only after its closing quotes.
        at = len(lines) - 1 if isinstance(value, Scalar) else 0
        return Item(lines, trivia, at)

    def block(self, head: str, body: Mapping, schema: Schema | None, *, named: bool) -> list[str]:
        if not body.entries and not self.attached.at_end(body):
            return [f"{head} {{ }}"]
        few = len(body.entries) <= (2 if named else 1)
        if few and self.attached.quiet(body) and all(_short(e.value) for e in body.entries):
            inner = [item.lines for item in self.items(body, schema)]
            line = f"{head} {{ {_STEP.join(lines[0] for lines in inner)} }}"
            if len(line) <= WIDTH and all(len(lines) == 1 for lines in inner):
                return [line]
        return [f"{head} {{", *self.inside(body, schema), "}"]

    def inside(self, body: Mapping, schema: Schema | None) -> list[str]:
        return _indent(layout(self.items(body, schema), self.attached.at_end(body), top=False))

    def value(self, head: str, node: Node, schema: Schema | None) -> list[str]:
        if isinstance(node, Scalar):
            return self.scalar(head, node, schema)
        if self.attached.quiet(node):
            line = head + self.inline(node, schema)
            if len(line) <= WIDTH:
                return [line]
        if isinstance(node, Mapping):
            return [f"{head}{{", *self.inside(node, schema), "}"]
        items = []
        for item, alias in told_apart(node):
            printer = DslPrinter(Attached()) if alias else self
            lines = printer.value("", item, child(schema, 0))
            trivia = _copy(printer.attached.of(item))
            items.append(Item([*lines[:-1], lines[-1] + ","], trivia))
        inside = layout(items, self.attached.at_end(node), top=False)
        return [f"{head}[", *_indent(inside), "]"]

    def scalar(self, head: str, node: Scalar, schema: Schema | None) -> list[str]:
        text = node.value
        if head and isinstance(text, str):
            body = text[:-1] if text.endswith("\n") else text
            if is_block(body):
                escaped = body.replace("\\", "\\\\").replace('"""', '""\\"')
                lines = escaped.split("\n") + ([""] if body != text else [])
                return [f'{head}"""', *_indent([*lines, '"""'])]
        return [head + in_dsl(node, schema)]

    def inline(self, node: Node, schema: Schema | None) -> str:
        if isinstance(node, Scalar):
            return in_dsl(node, schema)
        if isinstance(node, Sequence):
            return f"[{', '.join(self.inline(item, child(schema, 0)) for item in node.items)}]"
        pairs = (
            f"{dsl_key(e.key)} = {self.inline(e.value, child(schema, e.key))}" for e in node.entries
        )
        return f"{{ {_STEP.join(pairs)} }}" if node.entries else "{ }"


def layout(items: Iterable[Item], last: list[str], *, top: bool) -> list[str]:
    """The lines of items under each other, with their comments, a blank line where one belongs.

    At the top a block over several lines has one around it; elsewhere the author decides.
    """
    out: list[str] = []
    tall = False
    for item in items:
        now_tall = top and len(item.lines) > 1
        if out and (item.trivia.blank or now_tall or tall):
            out.append("")
        tall = now_tall
        out += item.trivia.lead
        lines = list(item.lines)
        if item.trivia.tail:
            lines[item.at] += f"  {item.trivia.tail}"
        out += lines
    if last:
        out += ([""] if out and (top or tall) else []) + last
    return out


def text_of(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _indent(lines: list[str]) -> list[str]:
    return [_STEP + line if line else line for line in lines]


def _copy(trivia: Trivia) -> Trivia:
    return Trivia(list(trivia.lead), trivia.tail, trivia.blank)


def _compound(node: Node) -> bool:
    return not isinstance(node, Scalar)


def _short(node: Node) -> bool:
    return isinstance(node, Scalar) and "\n" not in str(node.value)


def _named(node: Node) -> list[tuple[Entry, Mapping]]:
    """Each block with its name; nothing unless all are blocks whose names are words."""
    entries = node.entries if isinstance(node, Mapping) else ()
    blocks = [
        (e, e.value) for e in entries if isinstance(e.value, Mapping) and WORD.fullmatch(e.key)
    ]
    return blocks if len(blocks) == len(entries) else []


def _stages(node: Node, key: str) -> list[tuple[Entry, Mapping]]:
    """Each item with the entry that names it; nothing unless all have one."""
    found = []
    for item in node.items if isinstance(node, Sequence) else ():
        entry = item.entry(key) if isinstance(item, Mapping) else None
        name = entry.value.value if entry and isinstance(entry.value, Scalar) else None
        if entry is None or not isinstance(name, str) or not WORD.fullmatch(name):
            return []
        assert isinstance(item, Mapping)
        found.append((entry, item))
    return found


def _texts(node: Node) -> list[Scalar]:
    items = node.items if isinstance(node, Sequence) else ()
    texts = [i for i in items if isinstance(i, Scalar) and isinstance(i.value, str)]
    return texts if len(texts) == len(items) else []
