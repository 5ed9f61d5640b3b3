"""What can be written where the cursor stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from dagent.compiler.blocks import PARTS
from dagent.compiler.quantity import COUNTS, MEMORY, MONEY, SHOWN, SI, TIME
from dagent.dsl.fmt import Syntax, syntax_of
from dagent.dsl.schema import Schema, child, schema_at
from dagent.dsl.source import ENDINGS, Source, Span
from dagent.language_server.arguments import arguments_at
from dagent.language_server.cursor import Cursor, cursor_at
from dagent.language_server.hover import describe, kind
from dagent.language_server.known import Known

Sort = Literal["key", "block", "word", "unit", "reference", "name", "file", "function", "operator"]


@dataclass(frozen=True)
class Item:
    """``text`` takes the place of ``span``; in it ``$0`` and ``${1:…}`` are stops of a snippet,
    where ``snippet`` says so."""

    label: str
    sort: Sort
    text: str
    span: Span
    detail: str = ""
    about: str | None = None
    snippet: bool = False


def complete(source: Source, offset: int, known: Known) -> list[Item]:
    cursor = cursor_at(source, offset)
    if cursor is None:
        return []
    syntax = syntax_of(source.name)
    if cursor.key is None:
        return list(_keys(cursor, known, syntax))
    return list(_values(cursor, known, offset))


# --- keys --------------------------------------------------------------------------------------


def _keys(cursor: Cursor, known: Known, syntax: Syntax) -> Iterator[Item]:
    if cursor.heading is not None:
        yield from _labels(cursor, known)
        return
    schema = schema_at(cursor.block) or {}
    if schema.get("x-named") and syntax == "yaml":
        wanted = Cursor(cursor.block[:-1], None, cursor.word, heading=str(cursor.block[-1]))
        yield from _labels(wanted, known)
        return
    for key, inner in schema.get("properties", {}).items():
        again = syntax == "dagent" and any(
            inner.get(mark) for mark in ("x-named", "x-statement", "x-chain")
        )
        stage = syntax == "dagent" and schema_at(cursor.block[:-1]) == {} and key == "stage"
        if (key in cursor.given and not again) or stage or _is_stage(cursor, key, syntax):
            continue
        text, snippet = _written(key, inner, syntax)
        about = describe(cursor.block, key, known.root)
        sort: Sort = "block" if inner.get("type") == "object" else "key"
        yield Item(key, sort, text, cursor.word, kind(inner), about, snippet)
    arguments = arguments_at(cursor.block, known.root)
    for name in arguments.arguments if arguments else ():
        if name not in cursor.given and arguments:
            text = f"{name}: " if syntax == "yaml" else f"{name} = "
            about = describe(cursor.block, name, known.root)
            yield Item(name, "key", text, cursor.word, arguments.config, about)


def _is_stage(cursor: Cursor, key: str, syntax: Syntax) -> bool:
    """In `.dagent` the stage stands in front: `train sft { … }`."""
    return syntax == "dagent" and key == "stage" and cursor.block[:1] == ("train",)


def _labels(cursor: Cursor, known: Known) -> Iterator[Item]:
    """The name of a block, where only some make sense."""
    heading = cursor.heading
    schema = child(schema_at(cursor.block), heading or "") or {}
    if heading == "guard":
        names: Iterable[str] = known.data_sets("guard")
    elif heading == "per":
        names = PARTS
    elif schema.get("x-chain"):
        names = schema["items"]["properties"][schema["x-chain"]]["enum"]
    else:
        return
    given = {e.key for e in known.entries(*[str(p) for p in cursor.block], heading or "")}
    for name in names:
        if name not in given:
            yield Item(name, "name", name, cursor.word, f"{heading} {name}")


def _written(key: str, schema: Schema, syntax: Syntax) -> tuple[str, bool]:
    """What a key is written as, up to its value, and whether that is a snippet."""
    if syntax == "yaml":
        if schema.get("type") == "object":
            return f"{key}:\n  $0", True
        return (f"{key}:\n  - $0", True) if schema.get("type") == "array" else (f"{key}: ", False)
    if schema.get("x-chain"):
        return f"{key} ${{1:sft}} {{\n  $0\n}}", True
    if schema.get("x-named"):
        return f"{key} ${{1:NAME}} {{\n  $0\n}}", True
    if schema.get("type") == "object":
        return f"{key} {{\n  $0\n}}", True
    if schema.get("x-statement"):
        return f"{key} ", False
    if schema.get("type") == "array":
        return f"{key} = [$0]", True
    return f"{key} {'<=' if schema.get('x-cap') else '='} ", False


# --- values ------------------------------------------------------------------------------------


def _values(cursor: Cursor, known: Known, offset: int) -> Iterator[Item]:
    key, word = cursor.key or "", cursor.word
    schema = child(schema_at(cursor.block), key) or {}
    typed = word.source.text[word.start : offset]
    if key == "require" or schema.get("x-requirement"):
        yield from _goal(cursor.before, word, known)
        return
    if "x-quantity" in schema and not typed.startswith("$"):
        yield from _units(cursor, schema["x-quantity"], typed)
    yield from (_word(str(w), word) for w in schema.get("enum", ()))
    if schema.get("type") == "boolean":
        yield from (_word(w, word) for w in ("true", "false"))
    arguments = arguments_at(cursor.block, known.root)
    if arguments is not None and key in arguments.arguments:
        argument = arguments.arguments[key]
        words = [*argument.choices, *_booleans(argument.types)]
        yield from (_word(w, word) for w in words)
    yield from _named(cursor, key, typed, known)
    # `import` and the definitions themselves come before any value is known.
    if cursor.block[:1] not in (("param",),) and key not in ("import", "language"):
        for entry in known.references():
            if not (cursor.in_text and not typed.startswith("$")):
                yield Item(f"${entry.key}", "reference", f"${entry.key}", word, "constant")


def _booleans(types: Iterable[str]) -> tuple[str, ...]:
    return ("true", "false") if "boolean" in types else ()


def _word(text: str, span: Span) -> Item:
    return Item(text, "word", text, span)


def _units(cursor: Cursor, kind: str, typed: str) -> Iterator[Item]:
    """After a number: the units of that kind, with thousands for counts."""
    match = re.match(r"([-+]?\.?\d[\d._]*)\s*(\w*)$", cursor.before.lstrip() + typed)
    if match is None:
        return
    number, start = match[1], cursor.word.start
    spaced = not typed or not typed.startswith(number)
    span = cursor.word.source.span(start if spaced else start + len(number), cursor.word.end)
    for unit in units(kind):
        gap = "" if spaced or not (len(unit) > 3 or " " in unit) or unit[:1] in "kMG" else " "
        yield Item(number + gap + unit, "unit", gap + unit, span, SHOWN[kind][0])


def units(kind: str) -> list[str]:
    """As people write them; each is one that `quantity.parse` takes."""
    if kind in COUNTS:
        return [kind, *(f"{prefix} {kind}" for prefix in SI if prefix)]
    short = {"time": TIME, "memory": MEMORY, "money": MONEY, "fraction": ("%",), "points": ("pp",)}
    return [unit for unit in short[kind] if kind != "time" or unit in ("s", "min", "h", "d")]


def _goal(before: str, word: Span, known: Known) -> Iterator[Item]:
    """`METRIC >= NUMBER on SET for skill NAME`, by what stands already."""
    words = before.strip().lstrip("\"'").split()
    last = words[-1] if words else ""
    if not words:
        yield from (Item(m, "name", m, word, "metric") for m in known.metrics())
    elif len(words) == 1:
        yield from (Item(op, "operator", op, word) for op in (">=", ">", "<=", "<"))
    elif last == "on":
        for name in ("test", "select", *known.data_sets("guard")):
            yield Item(name, "name", name, word, "measured set")
    elif last == "for":
        yield from (_word(text, word) for text in ("each skill", "skill"))
    elif last == "skill":
        yield from (Item(s, "name", s, word, "skill") for s in known.skills())
    elif len(words) == 3:
        yield _word("on", word)
    elif "on" in words and "for" not in words:
        yield from (_word(text, word) for text in ("for each skill", "for skill"))


def _named(cursor: Cursor, key: str, typed: str, known: Known) -> Iterator[Item]:
    """Names that other blocks or the file system give."""
    quote = "" if cursor.in_text or syntax_of(cursor.word.source.name) == "yaml" else '"'
    written = typed.lstrip("\"'")
    if key == "metric" and cursor.block[:2] == ("criteria", "guard"):
        yield from (Item(m, "name", m, cursor.word, "metric") for m in known.metrics())
    elif key == "program":
        file, colon, _ = written.partition(":")
        if colon:
            for name, _ in known.functions(file):
                text = f"{file}:{name}"
                yield Item(text, "function", quote + text + quote, cursor.word, "function")
        for path in known.files(written, (".py",)) if not colon else ():
            yield _file(path, path if path.endswith("/") else f"{path}:", quote, cursor.word)
    elif key in ("path", "import", "sources"):
        endings = ENDINGS if key == "import" else ()
        for path in known.files(written, endings):
            yield _file(path, path, quote, cursor.word)
    elif key == "model" and cursor.block == ("student",):
        for config in sorted(known.settings.students.glob("*/config.json")):
            text = f"builtin:{config.parent.name.replace('_', '-')}"
            yield Item(text, "name", quote + text + quote, cursor.word, "built in")
        for path in known.files(written) if written.startswith(".") else ():
            yield _file(path, path, quote, cursor.word)


def _file(label: str, text: str, quote: str, span: Span) -> Item:
    return Item(label, "file", quote + text + quote, span)
