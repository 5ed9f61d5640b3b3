"""The reference is what the code says, and its examples are right."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import plain
from dagent.dsl.fmt import format_source
from dagent.dsl.parse import parse
from dagent.dsl.schema import Schema, load
from dagent.dsl.source import Source
from dagent.dsl.structure import check_structure
from dagent.reference import pages

PAGE = Path(__file__).resolve().parents[2] / "docs" / "language.md"
EXAMPLE = re.compile(r"```(dagent|yaml)\n(.*?)```", re.DOTALL)


def test_pages_are_fresh() -> None:
    for path, text in pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m dagent.reference`"


def test_examples_are_right_and_canonical() -> None:
    examples = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    assert len(examples) >= 20
    for syntax, text in examples:
        diagnostics = Diagnostics()
        source = Source(f"example.{syntax}", text)
        root = parse(source, diagnostics)
        assert root is not None
        assert format_source(source, diagnostics) == text
        without_references = re.sub(r"\$\w+", "1", text)
        root = parse(Source(source.name, without_references), diagnostics)
        assert root is not None
        check_structure(root, diagnostics)
        wrong = [d for d in diagnostics if d.code not in ("E103", "E104")]
        assert not wrong, text


def test_twins_are_twins() -> None:
    examples = EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))
    pairs = itertools.pairwise(examples)
    twins = [(a[1], b[1]) for a, b in pairs if (a[0], b[0]) == ("dagent", "yaml")]
    assert len(twins) >= 10
    for dagent, yaml in twins:
        roots = [
            parse(Source("a.dagent", dagent), Diagnostics()),
            parse(Source("a.yaml", yaml), Diagnostics()),
        ]
        assert plain(roots[0]) == plain(roots[1])  # type: ignore[arg-type]


def test_every_key_is_in_a_table() -> None:
    text = PAGE.read_text(encoding="utf-8")

    def visit(schema: Schema) -> None:
        for name, inner in schema.get("properties", {}).items():
            assert re.search(rf"^\| `{name}[ `]", text, re.MULTILINE), name
            visit(inner)
        for inner in (schema.get("additionalProperties"), schema.get("items")):
            if isinstance(inner, dict):
                visit(inner)

    visit(load())


@pytest.mark.parametrize("block", ["domain", "data", "student", "engineer", "budget", "criteria"])
def test_every_block_has_a_section(block: str) -> None:
    assert f"\n## {block}\n" in PAGE.read_text(encoding="utf-8")
