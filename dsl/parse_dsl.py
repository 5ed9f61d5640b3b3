"""`.dagent` text -> document, reporting every mistake once.

Lex everything; make the brackets match; feed the tokens to Lark's interactive parser. At a token
that does not fit: report it, go back to where the broken entry began, and go on at the next token
that can begin an entry of the same block. At last the tokens that survived give the tree.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from lark import Token, Tree
from lark.exceptions import UnexpectedToken
from msgspec import Struct

from dagent.dsl.brackets import balance, matching
from dagent.dsl.build import build
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Mapping
from dagent.dsl.misread import Place, explain, looks_like_entry, retag, span
from dagent.dsl.source import Source
from dagent.dsl.tokens import STARTERS, grammar, tokenize

DEEPEST = 100


def parse_dsl(source: Source, diagnostics: Diagnostics) -> Mapping | None:
    """The document of what can be read, even where something is wrong elsewhere in the text.

    ``None`` only where nothing can be read. Whoever goes on must see to the diagnostics.
    """
    tokens = tokenize(source, diagnostics)
    if not tokens:
        diagnostics.error("E003", f"`{source.name}` holds no block", source.span(0, 0))
        return None
    if (deep := _too_deep(tokens)) is not None:
        message = f"more than {DEEPEST} brackets in each other"
        diagnostics.error("E027", message, span(source, deep))
        return None
    tokens = retag(source, balance(source, tokens, diagnostics), diagnostics)
    tree = _faultless(tokens)
    if tree is None:
        tree = _tree(_survivors(source, tokens, diagnostics))
    return build(source, tree, diagnostics)


def parse_alone(source: Source, diagnostics: Diagnostics, *, last: bool) -> Mapping | None:
    """The document of some blocks cut out of a text; ``None`` where the rest could matter.

    It cannot where the brackets match, the first token begins an entry and the last ends one that
    was kept: the parser then stands where it stood before, on the top level. Behind the ``last``
    piece nothing follows.
    """
    tokens = tokenize(source, diagnostics)
    if not tokens or tokens[0].type not in STARTERS or not matching(tokens) or _too_deep(tokens):
        return None
    if not last and tokens[-1].type != "RBRACE":
        return None
    read = retag(source, tokens, diagnostics)
    tree = _faultless(read)
    if tree is None:
        kept = _survivors(source, read, diagnostics)
        if not last and (not kept or kept[-1] is not tokens[-1]):
            return None
        tree = _tree(kept)
    return build(source, tree, diagnostics)


def _faultless(tokens: list[Token]) -> Tree[Token] | None:
    """The tree where every token fits; recovery, which takes as long again, is then not needed."""
    place = Place()
    for token in tokens:
        if place.leaves_statement(token):
            return None
        place = place.after(token)
    try:
        return _tree(tokens)
    except UnexpectedToken:
        return None


def _too_deep(tokens: list[Token]) -> Token | None:
    depth = 0
    for token in tokens:
        depth += (token.type in ("LBRACE", "LSQB")) - (token.type in ("RBRACE", "RSQB"))
        if depth > DEEPEST:
            return token
    return None


class _Misplaced(Exception):
    """A token that the grammar takes, on a line where it does not belong."""


class _Frame(Struct):
    """A block that is open: the parser before its latest entry, and the tokens kept until then."""

    parser: Any
    kept: int


def _survivors(source: Source, tokens: list[Token], diagnostics: Diagnostics) -> list[Token]:
    """The tokens without the entries that are broken; a diagnostic for each of these."""
    parser: Any = grammar().parse_interactive("")
    conf = copy(parser.parser_state.parse_conf)
    conf.callbacks = {}  # build nothing yet; so snapshots share nothing that changes
    parser.parser_state.parse_conf = conf
    frames = [_Frame(_snapshot(parser), 0)]
    kept: list[Token] = []
    place = Place()
    end = Token("$END", "", len(source.text), end_pos=len(source.text))
    stream = [*tokens, end]
    i, failed = 0, -1
    while i < len(stream):
        token = stream[i]
        at_entry = _accepts(parser, "NAMED")
        if token.type in STARTERS and at_entry:
            frames[-1] = _Frame(_snapshot(parser), len(kept))
        try:
            if place.leaves_statement(token):
                raise _Misplaced
            if token.type == "$END":
                # On a copy: feeding the end for good would finish the parser.
                _snapshot(parser).feed_token(token)
                break
            parser.feed_token(token)
        except (UnexpectedToken, _Misplaced):
            before = kept[-1] if kept else None
            explain(source, stream, i, before, place, at_entry, diagnostics)
            if not at_entry:
                parser = _snapshot(frames[-1].parser)
                del kept[frames[-1].kept :]
            # The same token may be met again after going back, but it fails only once.
            i, failed = _resume(stream, i + (i == failed)), i
            place = Place()
            continue
        if token.type == "LBRACE":
            frames.append(_Frame(_snapshot(parser), len(kept) + 1))
        elif token.type == "RBRACE":
            frames.pop()
        place = place.after(token)
        kept.append(token)
        i += 1
    return kept


def _resume(stream: list[Token], i: int) -> int:
    """Where the next entry of the same block begins, or the block ends, at ``i`` or after it."""
    depth = 0
    for j in range(i, len(stream)):
        kind = stream[j].type
        if depth == 0 and (kind in STARTERS or kind in ("RBRACE", "$END")):
            # A starter at which the parser stumbled is met again after going back; it fits then.
            return j
        if depth == 0 and j > i and looks_like_entry(stream, j):
            return j
        depth += (kind in ("LBRACE", "LSQB")) - (kind in ("RBRACE", "RSQB"))
        depth = max(depth, 0)
    return len(stream) - 1


def _accepts(parser: Any, kind: str) -> bool:
    try:
        _snapshot(parser).feed_token(Token(kind, ""))
    except UnexpectedToken:
        return False
    return True


def _snapshot(parser: Any) -> Any:
    return parser.copy(deepcopy_values=False)


def _tree(tokens: list[Token]) -> Tree[Token]:
    parser: Any = grammar().parse_interactive("")
    for token in tokens:
        parser.feed_token(token)
    tree: Tree[Token] = parser.feed_eof(tokens[-1] if tokens else None)
    return tree
