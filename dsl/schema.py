"""The published schema of the language, and walks over it. Read when first asked for."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import dagent.specs
from dagent.dsl.document import Path as Route

Schema = dict[str, Any]


@cache
def load() -> Schema:
    """The schema as published; callers must not change it."""
    path = Path(dagent.specs.__path__[0]) / "spec.schema.json"
    loaded: Schema = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def child(schema: Schema | None, key: str | int) -> Schema | None:
    """The schema of what stands at ``key``, or ``None`` where the schema has no say."""
    if schema is None:
        return None
    if isinstance(key, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def schema_at(path: Route) -> Schema | None:
    """The schema of what stands at a path from the top, or ``None`` where it has no say."""
    schema: Schema | None = load()
    for part in path:
        schema = child(schema, part)
    return schema


@cache
def plain_blocks() -> frozenset[str]:
    """Names of the blocks, at any depth, that take no label."""
    names: set[str] = set()

    def visit(schema: Schema) -> None:
        for name, inner in schema.get("properties", {}).items():
            if inner.get("type") == "object" and not inner.get("x-named"):
                names.add(name)
            visit(inner)
        for inner in (schema.get("additionalProperties"), schema.get("items")):
            if isinstance(inner, dict):
                visit(inner)

    visit(load())
    return frozenset(names)
