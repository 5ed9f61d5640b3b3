"""Comments and blank lines of a text, attached to the entries of its document.

A comment on a line of its own leads the entry after it in the same block, or stands last in the
block. One behind something on its line belongs to that. So the formatter can print the tree anew,
in either syntax, and every comment keeps its company.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from msgspec import Struct, field

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.source import Source

# A comment in YAML; it ends where YAML sees a line end, which is not at line feeds alone.
_HASH = re.compile(r"(?:(?<=\s)|(?<![^\n]))#[^\n\r\x85\u2028\u2029]*")
# What a comment in YAML cannot hold: its line ends, and what its readers refuse.
_NOT_IN_YAML = re.compile(
    "[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+"
)


class Comment(Struct, frozen=True):
    text: str
    start: int
    own_line: bool


class Trivia(Struct):
    """What stands around an entry or a list item."""

    lead: list[str] = field(default_factory=list)
    """Comments before it; an empty text is a blank line between them."""
    tail: str | None = None
    blank: bool = False
    """Whether the author left a blank line before it."""


class Attached(Struct):
    """Trivia by the ``id`` of an entry or item, and what stands last in a map or list, by its."""

    around: dict[int, Trivia] = field(default_factory=dict)
    last: dict[int, list[str]] = field(default_factory=dict)

    def of(self, unit: Entry | Node) -> Trivia:
        return self.around.get(id(unit)) or Trivia()

    def at_end(self, node: Node) -> list[str]:
        return self.last.get(id(node), [])

    def in_yaml(self) -> Attached:
        """The same for YAML: a line end of its own inside a comment would end it there."""

        def lines(texts: list[str]) -> list[str]:
            return [_NOT_IN_YAML.sub(" ", text) for text in texts]

        around = {
            id: Trivia(lines(t.lead), t.tail and _NOT_IN_YAML.sub(" ", t.tail), t.blank)
            for id, t in self.around.items()
        }
        return Attached(around, {id: lines(texts) for id, texts in self.last.items()})

    def without(self, entry: Entry) -> Attached:
        """Only what stands around the entry, nothing of what stands inside."""
        return Attached({id(entry): self.of(entry)})

    def quiet(self, node: Node) -> bool:
        """Whether no comment stands anywhere inside."""
        if self.at_end(node):
            return False
        inner: list[Entry] | list[Node] = []
        if isinstance(node, Mapping):
            inner = list(node.entries)
        elif isinstance(node, Sequence):
            inner = [item for item, alias in told_apart(node) if not alias]
        for unit in inner:
            trivia = self.of(unit)
            if trivia.lead or trivia.tail:
                return False
            if not self.quiet(unit.value if isinstance(unit, Entry) else unit):
                return False
        return True


def told_apart(node: Sequence) -> Iterator[tuple[Node, bool]]:
    """The items, and whether each is an alias of YAML: that has its anchor's place, further up."""
    end = node.span.start
    for item in node.items:
        yield item, item.span.start < end
        end = max(end, item.span.end)


class _Unit(Struct, frozen=True):
    """An entry or item that comments can attach to, in the block that holds it."""

    unit: Entry | Node
    start: int
    end: int
    holder: _Holder
    inner: _Holder | None


class _Holder(Struct):
    node: Node
    start: int
    end: int
    column: int
    flow: bool
    parent: _Holder | None
    units: list[_Unit] = field(default_factory=list)


def attach(source: Source, root: Mapping, *, braces: bool) -> Attached:
    """Attach every comment of ``source``; ``braces``: blocks end at a bracket, not by indent."""
    holders: list[_Holder] = []
    top = _Holder(root, 0, len(source.text) + 1, 0, braces, None)
    _collect(root, top, holders, source, braces)
    units = sorted((u for h in [top, *holders] for u in h.units), key=lambda u: u.start)
    attached = Attached()
    dangling: list[tuple[_Holder, Comment]] = []
    before: dict[int, list[Comment]] = {}
    for comment in dsl_comments(source) if braces else yaml_comments(source, root):
        if not comment.own_line:
            owner = _owner(source, comment, units)
            if owner is not None and _closes(source, owner, comment):
                assert owner.inner is not None
                dangling.append((owner.inner, comment))
                continue
            if owner is not None:
                trivia = attached.around.setdefault(id(owner.unit), Trivia())
                if trivia.tail is None:
                    trivia.tail = comment.text
                else:
                    trivia.lead.append(comment.text)
                continue
        place = _braced(comment, top, holders) if braces else _indented(source, comment, units, top)
        after = place if isinstance(place, _Unit) else _next(place, comment.start)
        if after is not None:
            before.setdefault(id(after), []).append(comment)
        elif isinstance(place, _Holder):
            dangling.append((place, comment))
    row = 0
    for unit in units:
        # What stands behind something on its line has no line of its own to lead.
        last, row = row, source.position(unit.start)[0]
        if row != last or id(unit) in before:
            _lead(source, unit, before.get(id(unit), []), attached)
    for holder, comment in dangling:
        _append(source, attached.last.setdefault(id(holder.node), []), comment)
    return attached


def _append(source: Source, lines: list[str], comment: Comment) -> None:
    row = source.position(comment.start)[0]
    if lines and row > 1 and not source.line(row - 1).strip():
        lines.append("")
    lines.append(comment.text)


def _lead(source: Source, unit: _Unit, comments: list[Comment], attached: Attached) -> None:
    first = comments[0].start if comments else unit.start
    row = source.position(first)[0]
    blank = row > 1 and not source.line(row - 1).strip()
    if not comments and not blank:
        return
    trivia = attached.around.setdefault(id(unit.unit), Trivia())
    trivia.blank = blank
    lines: list[str] = []
    for comment in comments:
        _append(source, lines, comment)
    row = source.position(unit.start)[0]
    if comments and row > 1 and not source.line(row - 1).strip():
        lines.append("")
    trivia.lead = lines + trivia.lead


def _collect(
    node: Node, holder: _Holder, holders: list[_Holder], source: Source, braces: bool
) -> None:
    """Fill ``holder`` with the units of ``node``, and add the blocks inside."""
    pairs: list[tuple[Entry | Node, int, Node]] = []
    if isinstance(node, Mapping):
        pairs = [(e, e.key_span.start, e.value) for e in node.entries]
    elif isinstance(node, Sequence):
        pairs = [(i, _start(i), i) for i, alias in told_apart(node) if not alias]
    for unit, start, value in pairs:
        if value.span.start < start and isinstance(unit, Entry):
            value = Scalar(None, source.span(start, start))  # an alias: its anchor has the comments
        opens = value.span.text[:1]
        if isinstance(value, Scalar):
            holder.units.append(_Unit(unit, start, max(start, value.span.end), holder, None))
        elif braces and opens not in ("{", "["):
            # Blocks of one kind that join: each is a unit of its own.
            _collect(value, holder, holders, source, braces)
        else:
            span = value.span
            column = source.position(span.start)[1]
            inner = _Holder(value, span.start, span.end, column, opens in ("{", "["), holder)
            holders.append(inner)
            holder.units.append(_Unit(unit, start, max(start, span.end), holder, inner))
            _collect(value, inner, holders, source, braces)


def _start(item: Node) -> int:
    """Of a stage in a chain, the place of its name, which stands before its bracket."""
    if isinstance(item, Mapping) and item.entries:
        return min(item.span.start, item.entries[0].key_span.start)
    return item.span.start


def _closes(source: Source, owner: _Unit, comment: Comment) -> bool:
    """Whether a comment stands behind the bracket that closes a block of several lines."""
    if owner.inner is None or owner.end > comment.start:
        return False
    return source.position(owner.start)[0] != source.position(comment.start)[0]


def _owner(source: Source, comment: Comment, units: list[_Unit]) -> _Unit | None:
    """What a comment at the end of a line belongs to."""
    row = source.position(comment.start)[0]
    there = units[: bisect_left(units, comment.start, key=lambda u: u.start)]
    begun = [u for u in there if source.position(u.start)[0] == row]
    ended = [u for u in begun if u.end <= comment.start]
    if ended:
        # Of those that end together, such as a block on one line and its entry, the outermost
        # that has brackets or is a scalar: a block of YAML may go on in the next line.
        closed = [u for u in ended if u.inner is None or u.inner.flow]
        return max(closed or ended, key=lambda u: (u.end, -u.start))
    if begun:
        return begun[-1]
    closed = [u for u in there if u.end <= comment.start and source.position(u.end)[0] == row]
    return max(closed, key=lambda u: (u.end, -u.start)) if closed else None


def _braced(comment: Comment, top: _Holder, holders: list[_Holder]) -> _Holder:
    around = [h for h in holders if h.start < comment.start < h.end]
    return max(around, key=lambda h: h.start, default=top)


def _indented(
    source: Source, comment: Comment, units: list[_Unit], top: _Holder
) -> _Holder | _Unit:
    """Where the comment's indentation says that it belongs, between the units around it."""
    index = bisect_left(units, comment.start, key=lambda u: u.start)
    last = units[index - 1] if index else None
    after = units[index] if index < len(units) else None
    if last is None:
        return after or top
    innermost = last.inner or last.holder
    chain = list(_upwards(innermost))
    flow = next((h for h in chain if h.flow and h.start < comment.start < h.end), None)
    if flow is not None:
        return flow
    if after is not None and after.holder is last.inner:
        return after
    column = source.position(comment.start)[1]
    limit = after.holder if after is not None else top
    for holder in chain:
        if holder is limit:
            break
        if not holder.flow and holder.column <= column:
            return holder
    return after or top


def _upwards(holder: _Holder | None) -> Iterator[_Holder]:
    while holder is not None:
        yield holder
        holder = holder.parent


def _next(holder: _Holder, start: int) -> _Unit | None:
    return next((u for u in holder.units if u.start > start), None)


def dsl_comments(source: Source) -> list[Comment]:
    from dagent.dsl.tokens import tokenize

    tokens = tokenize(source, Diagnostics(), ignored=True)
    return [_comment(source, t.start_pos or 0, str(t)) for t in tokens if t.type == "COMMENT"]


def yaml_comments(source: Source, root: Mapping) -> list[Comment]:
    """Each `#` after a blank that stands in no scalar; and behind the sign of a block scalar."""
    text = source.text
    hidden: list[tuple[int, int]] = []
    for start, end in sorted(_scalars(root)):
        if text[start : start + 1] in ("|", ">"):
            start = text.find("\n", start, end)
            if start < 0:
                continue
        hidden.append((start, end))
    found = []
    pos = 0
    while match := _HASH.search(text, pos):
        at = bisect_right(hidden, match.start(), key=lambda span: span[0])
        if at and match.start() < hidden[at - 1][1]:
            pos = hidden[at - 1][1]  # in a scalar; a comment may follow it on the same line
        else:
            found.append(_comment(source, match.start(), match[0]))
            pos = match.end()
    return found


def _scalars(node: Node) -> Iterator[tuple[int, int]]:
    if isinstance(node, Mapping):
        for entry in node.entries:
            yield entry.key_span.start, entry.key_span.end
            yield from _scalars(entry.value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _scalars(item)
    else:
        yield node.span.start, node.span.end


def _comment(source: Source, start: int, text: str) -> Comment:
    line_start = source.text.rfind("\n", 0, start) + 1
    own_line = not source.text[line_start:start].strip(" \t,\ufeff")
    return Comment(text.rstrip(), start, own_line)
