"""What to show where the mouse rests: keys, arguments, names, codes. Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from dagent.compiler.quantity import SHOWN
from dagent.compiler.tables import Table
from dagent.dsl.codes import CODES
from dagent.dsl.diagnostics import Diagnostic
from dagent.dsl.document import Entry, Mapping, Path, plain
from dagent.dsl.schema import Schema, child, schema_at
from dagent.dsl.source import Source, Span
from dagent.language_server.arguments import arguments_at
from dagent.language_server.cursor import Cursor, cursor_at
from dagent.language_server.known import Known


def hover(
    source: Source, offset: int, known: Known, found: Iterable[Diagnostic] = ()
) -> str | None:
    """``found`` are the findings in this text; one under the cursor is explained."""
    parts = [_code(d) for d in found if d.span and d.span.start <= offset <= d.span.end]
    cursor = cursor_at(source, offset)
    if cursor is not None:
        said = _value(cursor, known) if cursor.key is not None else _key(cursor, known)
        parts += [said] if said else []
    return "\n\n---\n\n".join(dict.fromkeys(parts)) or None


def _code(diagnostic: Diagnostic) -> str:
    code = CODES[diagnostic.code]
    return f"**{diagnostic.code}: {code.title}**\n\n{code.what} {code.why}\n\n{code.fix}"


def _key(cursor: Cursor, known: Known) -> str | None:
    word = cursor.word.text.rstrip(":")
    if cursor.heading is not None and child(schema_at(cursor.block), cursor.heading):
        above = child(schema_at(cursor.block), cursor.heading) or {}
        if above.get("x-named"):
            return None  # a name of the user's own
    return describe(cursor.block, word, known.root)


def _value(cursor: Cursor, known: Known) -> str | None:
    word = cursor.word.text.strip("\"'")
    if word.startswith("$"):
        entry = known.entry("let", word[1:]) or known.entry("param", word[1:])
        return _reference(word, entry, known.place(entry.key_span)) if entry else None
    return describe(cursor.block, cursor.key or "", known.root)


def _reference(name: str, entry: Entry, span: Span) -> str:
    place = f"{span.source.name.rpartition('/')[2]}, line {span.line}"
    if not isinstance(entry.value, Mapping):
        return f"`{name}` = `{entry.value.span.text}`\n\nConstant, defined in {place}."
    block: dict[str, Any] = plain(entry.value)
    lines = [f"`{name}`: parameter, defined in {place}.", block.get("description")]
    if block.get("secret"):
        lines.append(f"Secret, from the environment variable `{block.get('env')}`.")
    elif block.get("env"):
        lines.append(f"From `--set {name[1:]}=…`, or the environment variable `{block['env']}`.")
    if "default" in block:
        lines.append(f"Default: `{_shown(block['default'])}`.")
    return "\n\n".join(line for line in lines if line)


def describe(block: Path, key: str, root: Mapping | None) -> str | None:
    """A key of a block: what it is for, its type or unit, its default."""
    arguments = arguments_at(block, root)
    if arguments is not None and key in arguments.arguments:
        return _argument(key, arguments)
    schema = child(schema_at(block), key)
    if schema is None or not schema.get("description"):
        return None
    lines = [f"**{key}**: {kind(schema)}", schema["description"]]
    if "enum" in schema:
        lines.append("One of " + ", ".join(f"`{_shown(word)}`" for word in schema["enum"]) + ".")
    if "default" in schema and "Default:" not in schema["description"]:
        lines.append(f"Default: `{_shown(schema['default'])}`.")
    return "\n\n".join(lines)


def kind(schema: Schema) -> str:
    """What a value is, in two or three words."""
    if "x-quantity" in schema:
        says, example = SHOWN[schema["x-quantity"]]
        return f"{says}, such as `{example}`"
    if schema.get("x-chain"):
        return "blocks in order"
    if schema.get("x-named"):
        return "blocks with names"
    names = {"object": "block", "array": "list", "string": "text", "integer": "whole number"}
    types = schema.get("type", "")
    listed = [types] if isinstance(types, str) else types
    return " or ".join(names.get(name, name) for name in listed)


def _argument(name: str, of: Table) -> str:
    argument = of.arguments[name]
    versions = ", ".join(f"{package} {number}" for package, number in of.versions.items())
    names = {"string": "text", "integer": "whole number", "object": "block", "array": "list"}
    types = " or ".join(names.get(t, t) for t in argument.types) or "any"
    lines = [f"**{name}**: {types}", f"Argument of `{of.config}` ({versions})."]
    if argument.choices:
        lines.append("One of " + ", ".join(f"`{word}`" for word in argument.choices) + ".")
    lines.append(f"Default: `{_shown(argument.default)}`.")
    return "\n\n".join(lines)


def _shown(value: object) -> str:
    """As a spec writes it."""
    return json.dumps(value) if not isinstance(value, str) else value
