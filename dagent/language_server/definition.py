"""Where what is named under the cursor is defined."""

from __future__ import annotations

from pathlib import Path

from dagent.dsl.source import Source, Span
from dagent.language_server.cursor import Cursor, cursor_at
from dagent.language_server.known import Known


def definition(source: Source, offset: int, known: Known) -> Span | None:
    """The place of the name that defines it, or the start of the file that is named."""
    cursor = cursor_at(source, offset)
    span = _defined(cursor, offset, known) if cursor is not None else None
    return known.place(span) if span is not None else None


def _defined(cursor: Cursor, offset: int, known: Known) -> Span | None:
    if cursor.key is None:
        return _label(cursor, known)
    word = cursor.word.text.strip("\"'")
    if reference := _reference(cursor, offset):
        return _key(known, ("let", reference)) or _key(known, ("param", reference))
    if cursor.key in ("require", "when"):
        return _key(known, ("criteria", "metric", word)) or _set(word, known)
    if cursor.key == "metric":
        return _key(known, ("criteria", "metric", word))
    if cursor.key == "program" and ":" in word:
        file, _, name = word.partition(":")
        return next((span for n, span in known.functions(file) if n == name), _file(known, file))
    if cursor.key in ("import", "path", "sources", "model"):
        written_in = Path(cursor.word.source.name).parent
        base = written_in if cursor.key == "import" else known.folder
        return _file(known, word, base)
    return None


def _reference(cursor: Cursor, offset: int) -> str | None:
    """The `NAME` of a `$NAME` or `${NAME}` under the cursor."""
    text, at = cursor.word.source.text, offset
    while at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_-{"):
        at -= 1
    if at == 0 or text[at - 1] != "$":
        return None
    name = text[at:].lstrip("{")
    size = next((i for i, c in enumerate(name) if not (c.isalnum() or c in "_-")), len(name))
    return name[:size] or None


def _label(cursor: Cursor, known: Known) -> Span | None:
    """`guard NAME` watches the data set of that name, in either syntax."""
    inside = cursor.block == ("criteria", "guard") or (
        cursor.block == ("criteria",) and cursor.heading == "guard"
    )
    return _key(known, ("data", cursor.word.text.rstrip(":"))) if inside else None


def _set(word: str, known: Known) -> Span | None:
    """`test` is the data set of that role; `select` is a half of dev."""
    role = {"test": "test", "select": "dev"}.get(word)
    name = next(iter(known.data_sets(role)), None) if role else word
    return _key(known, ("data", name)) if name else None


def _key(known: Known, path: tuple[str, ...]) -> Span | None:
    entry = known.entry(*path)
    return entry.key_span if entry else None


def _file(known: Known, name: str, base: Path | None = None) -> Span | None:
    path = (base or known.folder) / name
    return Source(str(path), "").span(0, 0) if path.is_file() else None
