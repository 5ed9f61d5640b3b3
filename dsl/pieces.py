"""A text parsed again and again while it is typed: only the top-level blocks that changed are.

The text is cut where, by its look, one block ends and the next begins. A cut is right if what it
leaves can be read alone; the front ends' ``parse_alone`` tell, and where one says no the whole text
is parsed. So the document and the findings are those of ``parse``, but for their places: a node
keeps the small source that it was parsed from, wherever that has moved to. ``place`` tells where.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Edit, Note
from dagent.dsl.document import Entry, Mapping, Node, Sequence
from dagent.dsl.parse import parse
from dagent.dsl.schema import child, load
from dagent.dsl.source import DAGENT, Source, Span

# A line that ends with `}`, then, after blanks and comments, a word at the left margin.
_AFTER_BLOCK = re.compile(r"\}[ \t,]*(?:#[^\n]*)?\r?\n(?=(?:[ \t]*(?:#[^\n]*)?\r?\n)*[^\W\d])")
_TOP_KEY = re.compile(r"^(?=[\w\"'])", re.MULTILINE)
# A key alone on its line, then, after blanks and comments, the indentation of what is below it.
_HEAD = re.compile(r"(\w+):[ ]*(?:#[^\n]*)?\r?\n(?:[ ]*(?:#[^\n]*)?\r?\n)*([ ]+)(?=[\w\"'])")
_SAYS_NOTHING = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*")
_MARKS = re.compile(r"^(?:---|\.\.\.|%)", re.MULTILINE)


class _Piece(Struct, frozen=True):
    """``under`` names the block whose entries these are, in YAML; empty for whole blocks."""

    source: Source
    root: Mapping
    found: tuple[Diagnostic, ...]
    under: str


class _Part(Struct, frozen=True):
    """A cut of the text from offset ``start``; without a piece where it cannot be read alone."""

    start: int
    text: str
    under: str
    piece: _Piece | None


class Pieces(Struct):
    """Of one file, from one version of its text to the next."""

    _kept: dict[tuple[str, str, bool], list[_Piece]] = field(default_factory=dict)
    _places: dict[Source, tuple[Source, int]] = field(default_factory=dict)

    def parse(self, source: Source, diagnostics: Diagnostics) -> Mapping | None:
        """As ``dagent.dsl.parse.parse``, with places in pieces."""
        faults = Diagnostics()
        pieces = _sound(self._pieces(source), source, faults)
        entries = _joined(pieces) if pieces else None
        if entries is None or pieces is None:
            self._places = {}
            return parse(source, diagnostics)
        diagnostics.found += faults.found
        for piece in pieces:
            diagnostics.found += piece.found
        return Mapping(entries, source.span(0, len(source.text)))

    def place(self, span: Span) -> Span:
        """Where a place of the latest document is in the whole text."""
        whole, offset = self._places.get(span.source, (span.source, 0))
        return whole.span(span.start + offset, span.end + offset)

    def _pieces(self, source: Source) -> list[_Part]:
        texts = _cut(source)
        old, self._kept, self._places = self._kept, defaultdict(list), {}
        parts = []
        offset = 0
        for index, (text, under) in enumerate(texts):
            key = (text, under, index == len(texts) - 1)
            piece = old[key].pop() if old.get(key) else _parsed(source.name, *key)
            if piece is not None:
                self._kept[key].append(piece)
                self._places[piece.source] = (source, offset)
            parts.append(_Part(offset, text, under, piece))
            offset += len(text)
        return parts


def _sound(parts: list[_Part], source: Source, faults: Diagnostics) -> list[_Piece] | None:
    """The pieces; of YAML in which one cannot be read, those of the other blocks, with a finding
    for its block, as the front end leaves it out. ``None`` where cutting does not tell."""
    lost = [part for part in parts if part.piece is None]
    dagent = Path(source.name).suffix.lower() in DAGENT
    if lost and (dagent or len(lost) > 1 or len(parts) == 1):
        return None
    kept = parts
    for part in lost:
        from dagent.dsl.parse_yaml import blocks, fault_behind
        from dagent.dsl.yaml_errors import report

        start, end = next((a, b) for a, b in blocks(source.text) if a <= part.start < b)
        # The first piece begins with the comments above its block.
        above = len(parts[0].text) <= start or _SAYS_NOTHING.fullmatch(source.text, 0, start)
        if not above or part.start + len(part.text) > end:
            return None
        first, *others = [p for p in parts if start <= p.start <= part.start]
        # Entries can be read without those before them, below the line that names their block.
        entry = part.under and all(p.under == part.under for p in others)
        head, at = (first.text, part.start) if entry else ("", start)
        fault = fault_behind(source, head, at, start, end)
        if fault is None:
            return None
        report(fault, source, faults, start, end)
        kept = [p for p in parts if not start < p.start + len(p.text) <= end]
    return [p.piece for p in kept if p.piece is not None]


def _cut(source: Source) -> list[tuple[str, str]]:
    """The pieces of the text, each with the block that it belongs into."""
    text = source.text
    if Path(source.name).suffix.lower() in DAGENT:
        cuts = [match.end() for match in _AFTER_BLOCK.finditer(text)]
        return [(piece, "") for piece in _between(text, cuts)]
    # What stands before the first key belongs to it.
    cuts = [] if _MARKS.search(text) else [m.start() for m in _TOP_KEY.finditer(text)][1:]
    return [part for block in _between(text, cuts) for part in _parts(block)]


def _between(text: str, cuts: list[int]) -> list[str]:
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def _parts(block: str) -> list[tuple[str, str]]:
    """A YAML block of named entries as its head and each entry."""
    head = _HEAD.match(block)
    if not head or not (child(load(), head[1]) or {}).get("x-named"):
        return [(block, "")]
    inner = re.finditer(rf"^{head[2]}(?=[\w\"'])", block, re.MULTILINE)
    top, *entries = _between(block, [match.start() for match in inner])
    return [(top, ""), *((entry, head[1]) for entry in entries)]


def _parsed(name: str, text: str, under: str, last: bool) -> _Piece | None:
    source, diagnostics = Source(name, text), Diagnostics()
    if Path(name).suffix.lower() in DAGENT:
        from dagent.dsl.parse_dsl import parse_alone

        root = parse_alone(source, diagnostics, last=last)
    else:
        from dagent.dsl.parse_yaml import parse_alone as parse_alone_yaml

        root = parse_alone_yaml(source, diagnostics)
    return _Piece(source, root, tuple(diagnostics.found), under) if root is not None else None


def _joined(pieces: list[_Piece]) -> tuple[Entry, ...] | None:
    """The entries of all; ``None`` where something is given twice, which ``parse`` tells."""
    parts: dict[str, list[Entry]] = defaultdict(list)
    named: dict[str, list[Entry]] = defaultdict(list)
    for piece in pieces:
        for entry in piece.root:
            (named[piece.under] if piece.under else parts[entry.key]).append(entry)
    entries = []
    for key, same in parts.items():
        inner = named.get(key)
        value: Node | None
        if inner:
            value = _unique(inner, inner[0].key_span) if len(same) == 1 else None
        else:
            value = same[0].value if len(same) == 1 else _join(key, same)
        if value is None:
            return None
        entries.append(Entry(key, same[0].key_span, value))
    return tuple(entries)


def _join(key: str, same: list[Entry]) -> Node | None:
    """Blocks of one kind with names, or lines such as `import`, from several pieces."""
    schema = child(load(), key) or {}
    first = same[0].value
    # Such a block begins at its kind; `data = { … }`, which cannot be repeated, behind its `=`.
    if any(e.value.span.start != e.key_span.start for e in same):
        return None
    if schema.get("x-named"):
        inner = [e for entry in same if isinstance(entry.value, Mapping) for e in entry.value]
        return _unique(inner, first.span)
    if schema.get("x-chain") or schema.get("x-statement"):
        items = [i for e in same if isinstance(e.value, Sequence) for i in e.value.items]
        return Sequence(tuple(items), first.span)
    return None


def _unique(entries: list[Entry], span: Span) -> Mapping | None:
    keys = {entry.key for entry in entries}
    return Mapping(tuple(entries), span) if len(keys) == len(entries) else None


def moved(diagnostic: Diagnostic, place: Callable[[Span], Span]) -> Diagnostic:
    """The finding with its places in the whole text, as ``place`` tells them."""
    return replace(
        diagnostic,
        span=diagnostic.span and place(diagnostic.span),
        notes=tuple(Note(n.message, n.span and place(n.span)) for n in diagnostic.notes),
        fix=tuple(Edit(place(e.span), e.text) for e in diagnostic.fix),
    )
