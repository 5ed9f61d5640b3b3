"""The VS Code extension keeps up with the language; `make vscode` tokenises with its engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dagent import __version__
from dagent.compiler.quantity import MEMORY, TIME
from dagent.dsl.schema import load
from dagent.language_server.completion import units

EXTENSION = Path(__file__).parents[1] / "editors" / "vscode"


def read(name: str) -> Any:
    return json.loads((EXTENSION / name).read_text(encoding="utf-8"))


def named(schema: dict[str, Any]) -> set[str]:
    """Kinds of block that take a name, at any depth."""
    inner = schema.get("properties", {})
    found = {k for k, v in inner.items() if v.get("x-named") or v.get("x-chain")}
    below = [*inner.values(), schema.get("items"), schema.get("additionalProperties")]
    return found.union(*(named(b) for b in below if isinstance(b, dict)))


def test_the_grammar_knows_every_block_with_a_name() -> None:
    rule = read("syntaxes/dagent.tmLanguage.json")["repository"]["named"]["match"]
    kinds = re.search(r"\(([\w|]+)\)", rule)
    assert kinds is not None
    assert set(kinds[1].split("|")) == named(load())


def test_the_grammar_knows_every_unit() -> None:
    number = re.compile(read("syntaxes/dagent.tmLanguage.json")["repository"]["number"]["match"])
    kinds = ("rows", "rounds", "calls", "tokens", "money", "fraction", "points")
    for unit in (*TIME, *MEMORY, *(unit for kind in kinds for unit in units(kind))):
        assert number.fullmatch(f"3 {unit}"), unit


def test_the_manifest_names_what_is_there() -> None:
    manifest = read("package.json")
    assert manifest["version"] == __version__
    (grammar,) = manifest["contributes"]["grammars"]
    assert read(grammar["path"])["scopeName"] == grammar["scopeName"]
    (language,) = manifest["contributes"]["languages"]
    assert read(language["configuration"])["comments"]["lineComment"] == "#"
    command = manifest["contributes"]["configuration"]["properties"]["dagent.command"]
    assert command["default"] == ["dagent", "lsp"]
