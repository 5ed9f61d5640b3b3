"""Document -> canonical YAML: block style, two blanks deep.

A list of scalars stands on one line if it fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict

from msgspec import Struct, field

from dagent.dsl.comments import Attached, Trivia, told_apart
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.fmt_dsl import WIDTH, Item, _copy, _indent, layout, text_of
from dagent.dsl.schema import Schema, child
from dagent.dsl.texts import is_block
from dagent.dsl.words import in_yaml, yaml_text


class YamlPrinter(Struct, frozen=True):
    """``anchors`` as `parse_yaml.anchors` finds them, which are kept, and so are their aliases."""

    attached: Attached
    anchors: Dict[tuple[int, bool], str] = field(default_factory=dict)

    def document(self, root: Mapping, schema: Schema) -> str:
        return text_of(layout(self.items(root, schema), self.attached.at_end(root), top=True))

    def items(self, node: Mapping, schema: Schema | None) -> list[Item]:
        return [self.entry(e, child(schema, e.key)) for e in node.entries]

    def entry(self, entry: Entry, schema: Schema | None) -> Item:
        trivia = _copy(self.attached.of(entry))
        inner = self.first_inside(entry.value)
        if inner and id(entry) not in self.attached.around:
            # Blocks that join have no place of their own but that of the first.
            trivia.blank = self.attached.of(inner).blank
        name = self.anchors.get((entry.key_span.start, True))
        key = f"&{name} {yaml_text(entry.key)}" if name else yaml_text(entry.key)
        return Item(self.value(f"{key}:", entry, schema), trivia)

    def first_inside(self, node: Node) -> Entry | Node | None:
        if isinstance(node, Mapping) and node.entries:
            return node.entries[0]
        return node.items[0] if isinstance(node, Sequence) and node.items else None

    def value(self, head: str, holder: Entry | Node, schema: Schema | None) -> list[str]:
        """The lines of ``head`` and its value; a list item has no head but its dash."""
        node = holder.value if isinstance(holder, Entry) else holder
        if self.anchors and isinstance(holder, Entry):
            if node.span.start < holder.key_span.start:
                return [f"{head} *{self.anchor(node)}"]
            if name := self.anchor(node):
                head += f" &{name}"
        if isinstance(node, Scalar):
            return self.scalar(head, node)
        if not (node.items if isinstance(node, Sequence) else node.entries):
            ending = "[]" if isinstance(node, Sequence) else "{}"
            if not self.attached.at_end(node):
                return [f"{head} {ending}"]
            # Comments inside nothing: brackets give them a place.
            return [f"{head} {ending[0]}", *_indent([*self.attached.at_end(node), ending[1]])]
        if isinstance(node, Mapping):
            return [head, *_indent(self.block(node, schema))]
        flow = self.flow(head, node)
        if flow and not (schema and schema.get("x-statement")):
            return [flow]
        return [head, *_indent(self.block(node, schema))]

    def block(self, node: Mapping | Sequence, schema: Schema | None) -> list[str]:
        if isinstance(node, Mapping):
            items = self.items(node, schema)
        else:
            items = [self.item(item, alias, child(schema, 0)) for item, alias in told_apart(node)]
        return layout(items, self.attached.at_end(node), top=False)

    def item(self, node: Node, alias: bool, schema: Schema | None) -> Item:
        if alias:
            return Item([f"- *{self.anchor(node)}"], Trivia())
        trivia = _copy(self.attached.of(node))
        name = self.anchor(node)
        mark = f" &{name}" if name else ""
        if isinstance(node, Mapping) and node.entries and not mark:
            lines = self.block(node, schema)
            # What leads the first key would part it from its dash; it leads the item instead.
            lead = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
            trivia.lead += [line for line in lines[:lead] if line]
            lines = lines[lead:]
            if trivia.tail and not re.search(r"  #", lines[0]):
                return Item([f"- {lines[0]}", *_indent(lines[1:])], trivia)
            if trivia.tail:
                trivia.lead.append(trivia.tail)
                trivia.tail = None
            return Item([f"- {lines[0]}", *_indent(lines[1:])], trivia)
        return Item(self.value(f"-{mark}", node, schema), trivia)

    def scalar(self, head: str, node: Scalar) -> list[str]:
        text = node.value
        if isinstance(text, str):
            body = text[:-1] if text.endswith("\n") else text
            if is_block(body):
                sign = "|" if body != text else "|-"
                return [f"{head} {sign}", *_indent(body.split("\n"))]
        return [f"{head} {in_yaml(node)}"]

    def flow(self, head: str, node: Sequence) -> str | None:
        """The list on the line of its key, if it holds only scalars and fits."""
        if not self.attached.quiet(node) or (self.anchors and self.has_alias(node)):
            return None
        if not all(isinstance(i, Scalar) for i in node.items):
            return None
        words = [in_yaml(i) for i in node.items if isinstance(i, Scalar)]
        line = f"{head} [{', '.join(words)}]"
        return line if len(line) <= WIDTH else None

    def anchor(self, node: Node) -> str | None:
        return self.anchors.get((node.span.start, isinstance(node, Scalar)))

    def has_alias(self, node: Sequence) -> bool:
        return any(self.anchor(item) for item in node.items)
