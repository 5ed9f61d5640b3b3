"""Where the cursor stands: in which block, at a key or in which key's value.

Read from the tokens of `.dagent` and from the indentation of YAML rather than from the document,
since what is being typed is seldom whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lark import Token

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Path
from dagent.dsl.fmt import syntax_of
from dagent.dsl.source import Source, Span
from dagent.dsl.tokens import IGNORED, tokenize


@dataclass(frozen=True)
class Cursor:
    """``block`` is the path of the block around; a chain's stage is an index in it.

    ``key`` is the key whose value the cursor is in, or ``None`` where a key stands or may stand.
    ``word`` is the piece of text under the cursor, up to the cursor and beyond; ``before`` what the
    value holds before that word. ``given`` are the keys that the block has already. ``heading`` is
    the kind of block, such as `data`, whose name the word is.
    """

    block: Path
    key: str | None
    word: Span
    before: str = ""
    given: frozenset[str] = frozenset()
    heading: str | None = None
    in_text: bool = False
    """In quotes, which then enclose the word."""


_STATEMENTS = ("require", "import")
_WORD = re.compile(r"[$\w./:+%-]")


def cursor_at(source: Source, offset: int) -> Cursor | None:
    """``None`` in a comment, and in a text of several lines, where nothing is to be said."""
    if syntax_of(source.name) == "dagent":
        return _in_dagent(source, offset)
    return _in_yaml(source, offset)


def _word(source: Source, offset: int, least: int, most: int) -> Span:
    start = end = offset
    while start > least and _WORD.match(source.text[start - 1]):
        start -= 1
    while end < most and _WORD.match(source.text[end]):
        end += 1
    return source.span(start, end)


# --- .dagent -----------------------------------------------------------------------------------


@dataclass
class _Frame:
    path: Path
    is_list: bool = False
    keys: set[str] = field(default_factory=set)
    key: str | None = None
    """The key whose value comes, or came last."""
    waits: bool = False
    begun: int = 0
    """Where the value began: the end of its `=`."""
    line: int = 0


@dataclass
class _Walk:
    """Follows the tokens up to one of them. What does not fit is stepped over."""

    frames: list[_Frame] = field(default_factory=lambda: [_Frame(())])
    named: str | None = None
    opens: Path = ()
    counts: dict[Path, int] = field(default_factory=dict)

    def step(self, token: Token) -> None:
        frame = self.frames[-1]
        line, kind, end = token.line or 0, token.type, token.end_pos or 0
        if kind == "KEY":
            key = str(token).strip('"')
            frame.keys.add(key)
            frame.key, frame.waits = key, False
        elif kind in ("EQUAL", "CAP"):
            frame.waits, frame.begun, frame.line = True, end, line
        elif kind == "NAMED":
            self.named = str(token)
            frame.keys.add(self.named)
        elif kind == "KIND":
            self.opens = self._opened(frame, str(token))
            self.named, frame.waits = None, False
        elif kind == "STATEMENT":
            frame.key, frame.waits, frame.begun, frame.line = str(token), True, end, line
        elif kind in ("LBRACE", "LSQB"):
            path = frame.path
            if kind == "LBRACE":
                path, self.opens = self.opens or (*path, frame.key or ""), ()
            inner = _Frame(path, is_list=kind == "LSQB", key=frame.key, begun=end, line=line)
            inner.waits = inner.is_list
            self.frames.append(inner)
        elif kind in ("RBRACE", "RSQB") and len(self.frames) > 1:
            self.frames.pop()
            self.frames[-1].waits = False

    def _opened(self, frame: _Frame, word: str) -> Path:
        if self.named is None:
            frame.keys.add(word)
            return (*frame.path, word)
        if self.named != "train":
            return (*frame.path, self.named, word)
        chain = (*frame.path, self.named)
        index = self.counts[chain] = self.counts.get(chain, -1) + 1
        return (*chain, index)


def _in_dagent(source: Source, offset: int) -> Cursor | None:
    tokens = tokenize(source, Diagnostics(), ignored=True)
    walk, under, rest = _Walk(), None, len(tokens)
    for index, token in enumerate(tokens):
        start, end = token.start_pos or 0, token.end_pos or 0
        if end > offset or (end == offset and token.type not in IGNORED and _ends_word(token)):
            under, rest = (token if start < offset or _begins_word(token) else None), index
            break
        walk.step(token)
    if under is not None and _silent(under, offset):
        return None
    frame = walk.frames[-1]
    line = source.position(offset)[0]
    in_text = under is not None and under.type in ("STRING", "OPEN_STRING", "TEXT", "OPEN_TEXT")
    if in_text and under is not None:
        last = (under.end_pos or 0) - (1 if len(under) > 1 and under.endswith('"') else 0)
        word = source.span((under.start_pos or 0) + 1, max(last, (under.start_pos or 0) + 1))
    else:
        at = source.text.rfind("\n", 0, offset) + 1
        stop = source.text.find("\n", offset)
        word = _word(source, offset, at, len(source.text) if stop < 0 else stop)
    given = frozenset(frame.keys | _after(tokens[rest:], len(walk.frames) > 1))
    before = source.text[frame.begun : word.start - (1 if in_text else 0)]
    if frame.waits and (frame.is_list or line == frame.line):
        statement = frame.key in _STATEMENTS and frame.key not in frame.keys
        done = not frame.is_list and not statement and _done(before)
        if not done:
            return Cursor(frame.path, frame.key, word, before, given, in_text=in_text)
    heading = _heading(source, word) if walk.named is None else walk.named
    if heading in _STATEMENTS:  # nothing stands behind it yet, so it is no statement to the lexer
        return Cursor(frame.path, heading, word, "", given, in_text=in_text)
    given = given - {str(under)} if under is not None and under.type == "KEY" else given
    return Cursor(frame.path, None, word, "", given, heading, in_text)


def _done(before: str) -> bool:
    """Whether a value stands before the word, so that another entry begins; a number may still
    get its unit."""
    value = before.strip()
    return bool(value) and not re.fullmatch(r"[-+]?\.?\d[\w.]*", value)


def _heading(source: Source, word: Span) -> str | None:
    """`guard |` and `data te|`: the kind of block before a name that has no `{` yet."""
    line = source.text[source.text.rfind("\n", 0, word.start) + 1 : word.start]
    match = re.search(r"(?:^|[{};])\s*(\w+)[ \t]+$", line)
    return match[1] if match else None


def _begins_word(token: Token) -> bool:
    return token.type in ("KEY", "KIND", "NAMED", "WORD", "NUMBER", "QUANTITY", "REFERENCE")


def _ends_word(token: Token) -> bool:
    return _begins_word(token) or token.type in ("OPEN_STRING", "STATEMENT", "JUNK")


def _silent(token: Token, offset: int) -> bool:
    if token.type == "COMMENT":
        return (token.start_pos or 0) < offset
    return token.type in ("TEXT", "OPEN_TEXT")


def _after(tokens: list[Token], inside: bool) -> set[str]:
    """Keys of the same block behind the cursor."""
    keys, depth = set(), 0
    for token in tokens:
        if token.type in ("LBRACE", "LSQB"):
            depth += 1
        elif token.type in ("RBRACE", "RSQB"):
            depth -= 1
            if depth < 0 and inside:
                break
        elif depth == 0 and token.type in ("KEY", "KIND"):
            keys.add(str(token).strip('"'))
    return keys


# --- YAML --------------------------------------------------------------------------------------

_LINE = re.compile(
    r"(?P<indent>[ ]*)(?P<dashes>(?:-[ ]+|-$)*)"
    r"(?:(?P<key>[^\s:#\"'{\[][^:#]*?|\"[^\"]*\")[ ]*:(?=\s|$))?(?P<value>.*)"
)
_BLOCK_TEXT = re.compile(r"\s*(?:&\S+\s+)?[|>][-+0-9]*\s*(?:#.*)?$")


@dataclass(frozen=True)
class _Line:
    number: int
    start: int
    indent: int
    """Of the key, or of the item's content."""
    dash: int | None
    """Column of the line's last dash."""
    key: str | None
    key_end: int
    value: str

    @property
    def parent(self) -> bool:
        value = self.value.strip()
        return self.key is not None and (not value or value.startswith(("#", "&")))


def _lines(source: Source, offset: int) -> tuple[list[_Line], int | None, bool]:
    """The lines that hold something, which of them the offset is in, and whether in a text."""
    found: list[_Line] = []
    start, here, text_below, in_text = 0, None, None, False
    for number, raw in enumerate(source.text.split("\n")):
        is_here = start <= offset <= start + len(raw)
        match = _LINE.match(raw)
        assert match is not None
        blank = not raw.strip()
        indent = len(raw) - len(raw.lstrip())
        inside = text_below is not None and (blank or indent > text_below)
        if inside:
            in_text = in_text or (is_here and not blank)
        else:
            text_below = None
        if is_here or not (inside or blank or raw.lstrip().startswith("#")):
            dashes = match["dashes"]
            column = len(match["indent"]) + len(dashes)
            last = len(match["indent"]) + dashes.rindex("-") if dashes else None
            key = match["key"].strip('"') if match["key"] else None
            if is_here:
                here = len(found)
                column = min(column, offset - start) if blank else column
            line = _Line(number, start, column, last, key, match.start("value"), match["value"])
            found.append(line)
            if key is not None and _BLOCK_TEXT.match(match["value"]):
                text_below = line.indent
        start += len(raw) + 1
    return found, here, in_text


def _in_yaml(source: Source, offset: int) -> Cursor | None:
    lines, here, in_text = _lines(source, offset)
    if here is None or in_text:
        return None
    line = lines[here]
    column = offset - line.start
    raw = source.line(line.number + 1)
    if re.search(r"(?:^|\s)#", raw[:column]) and not re.search(r"[\"']", raw[:column]):
        return None
    path, given = _path(lines, here)
    word = _word(source, offset, line.start, line.start + len(raw))
    in_value = line.key is not None and column >= line.key_end
    if in_value:
        value_start = line.start + line.key_end
        flow = _flow(source.text[value_start:offset])
        if flow is not None:
            inner = (*path, line.key or "")
            keys = frozenset(re.findall(r"([\w-]+)[ ]*:", line.value))
            before = source.text[value_start + flow[1] : word.start]
            return Cursor(inner, flow[0], word, before if flow[0] else "", keys)
        before = source.text[value_start : word.start]
        quoted = before.strip().startswith(('"', "'"))
        if quoted:
            first = value_start + len(before) - len(before.lstrip()) + 1
            last = line.start + len(raw.rstrip())
            word = source.span(first, last - (raw.rstrip()[-1:] in "\"'" and last > first))
            before = ""
        return Cursor(path, line.key, word, before, given, in_text=quoted)
    if line.key is None and line.dash is not None and path and column > line.dash:
        # An item of a list of texts, such as a goal.
        *block, _ = path
        if block and isinstance(block[-1], str):
            before = source.text[line.start + line.indent : word.start]
            return Cursor(tuple(block[:-1]), block[-1], word, before, given, heading="item")
    return Cursor(path, None, word, "", given - {line.key or ""})


def _path(lines: list[_Line], here: int) -> tuple[Path, frozenset[str]]:
    """The path of the block that holds the line, and the keys of that block."""
    line = lines[here]
    wanted = line.indent
    path: list[str | int] = []
    keys = {line.key} if line.key else set()
    in_block, dash = line.dash is None, line.dash
    if dash is not None:
        path.insert(0, 0)
    for above in reversed(lines[:here]):
        limit = wanted if dash is None else dash + 1  # a list may stand as far left as its key
        if in_block and above.indent == wanted and above.key and dash is None:
            keys.add(above.key)
            if above.dash is not None:
                path.insert(0, 0)
                dash, in_block = above.dash, False
            continue
        if dash is not None and above.dash == dash:
            path[0] = int(path[0]) + 1
            continue
        if above.parent and above.indent < limit and above.key is not None:
            path.insert(0, above.key)
            wanted, dash, in_block = above.indent, above.dash, False
            if dash is not None:
                path.insert(0, 0)
        if wanted == 0 and dash is None:
            break
    for below in lines[here + 1 :]:
        if below.indent < line.indent or (below.dash is not None and below.dash < line.indent):
            break
        if below.indent == line.indent and below.key:
            keys.add(below.key)
    return tuple(path), frozenset(keys)


def _flow(text: str) -> tuple[str | None, int] | None:
    """In `{ role: dev, path: |`: the key there, and where its value begins."""
    if text.count("{") <= text.count("}"):
        return None
    begin = max(text.rfind("{"), text.rfind(","))
    match = re.match(r"\s*([\w-]+)\s*:\s+", text[begin + 1 :] + " ")
    if match is None:
        return None, len(text)
    return match[1], min(begin + 1 + match.end(), len(text))
