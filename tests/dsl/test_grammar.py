"""The grammar, its tables, and what the two front ends make of the same things."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import lark
import pytest

from dagent.dsl import build_tables, tables
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Mapping, Node, Scalar, Sequence, plain
from dagent.dsl.parse import parse
from dagent.dsl.schema import Schema, load
from dagent.dsl.source import Source
from dagent.dsl.words import _LEADING


def dagent(text: str) -> Any:
    return read("a.dagent", text)


def read(name: str, text: str) -> Any:
    diagnostics = Diagnostics()
    root = parse(Source(name, text), diagnostics)
    assert root is not None
    assert not diagnostics.has_errors, list(diagnostics)
    return plain(root)


def test_grammar_is_unambiguous() -> None:
    text = build_tables.GRAMMAR.read_text(encoding="utf-8")
    lark.Lark(text, strict=True, **build_tables.OPTIONS)  # type: ignore[arg-type]


def test_tables_are_those_of_the_grammar() -> None:
    advice = "run `python -m dagent.dsl.build_tables`"
    assert build_tables.digest() == tables.GRAMMAR, advice
    assert lark.__version__ == tables.LARK, advice


def test_grammar_lists_the_named_blocks_of_the_schema() -> None:
    named: set[str] = set()
    statements: set[str] = set()

    def visit(schema: Schema) -> None:
        for name, inner in schema.get("properties", {}).items():
            if inner.get("x-named") or inner.get("x-chain"):
                named.add(name)
            if inner.get("x-statement"):
                statements.add(name)
            visit(inner)
        for inner in (schema.get("additionalProperties"), schema.get("items")):
            if isinstance(inner, dict):
                visit(inner)

    visit(load())
    text = build_tables.GRAMMAR.read_text(encoding="utf-8")
    rule = re.search(r"NAMED\.2: /\(\?:([\w|]+)\)", text)
    assert rule
    assert set(rule[1].split("|")) == named
    rule = re.search(r"STATEMENT\.2: /\(\?:([\w|]+)\)", text)
    assert rule
    assert set(rule[1].split("|")) == statements
    rule = re.search(r"QUANTITY\.2: .*\(\?!\(\?:([\w|]+)\)", text)
    assert rule
    assert set(rule[1].split("|")) == named | statements == set(_LEADING)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3), ("-0.5", -0.5), ("1e-5", 1e-5), (".5", 0.5), ("0x10", 16), ("true", True),
        ("null", None), ("no", "no"), ("error-driven", "error-driven"), ("dev.jsonl", "dev.jsonl"),
        ("4k rows", "4k rows"), ("10   min", "10 min"), ("10min", "10min"), ("2 %", "2 %"),
        ("0.5pp", "0.5pp"), ("20 USD", "20 USD"), ("$name", "$name"), ("1x24GB", "1x24GB"),
        (r'"a\n\"\u00e9\\"', 'a\n"é\\'), ('"""a"""', "a"), ("[1, a b [2]]", [1, "a", "b", [2]]),
        ("[3 rows, 4]", ["3 rows", 4]),
        ('[a\n "b" { c = 1 }]', ["a", "b", {"c": 1}]),
        ("{ a = 1, b { c = 2 } }", {"a": 1, "b": {"c": 2}}),
        ('"""\n    a\n      b\n\n    c\n    """', "a\n  b\n\nc"), ('""', ""), ("1e999", "1e999"),
    ],
)  # fmt: skip
def test_value(written: str, value: Any) -> None:
    assert dagent(f"x = {written}") == {"x": value}
    assert dagent(f"b {{ x = {written} y = 1 }}") == {"b": {"x": value, "y": 1}}


def test_no_word_is_reserved() -> None:
    words = ["data", "train", "require", "import", "per", "true", "null", "budget", "rows"]
    for word in words:
        assert dagent(f"{word} = 3") == {word: 3}
        assert dagent(f"{word} {{ {word} = 3 }}") == {word: {word: 3}}


def test_a_unit_ends_where_an_entry_begins() -> None:
    text = "b { a <= 3 rows c = 4 per round { d = 5 e = 6 } f = 7 stop { } g = 8 require x > 1 }"
    assert dagent(text) == {
        "b": {"a": "3 rows", "c": 4, "per": {"round": {"d": 5, "e": 6}}, "f": 7, "stop": {}, "g": 8,
              "require": ["x > 1"]}
    }  # fmt: skip


def test_statements_and_chains() -> None:
    text = """
    import "a.dagent" "b.dagent"
    require accuracy   >= 0.6 on test  require loss <= 10 % on select for each skill  stop { }
    train sft { a = 1 } train dpo { }
    """
    assert dagent(text) == {
        "import": ["a.dagent", "b.dagent"],
        "require": ["accuracy >= 0.6 on test", "loss <= 10 % on select for each skill"],
        "stop": {},
        "train": [{"stage": "sft", "a": 1}, {"stage": "dpo"}],
    }


def test_spans_are_exact() -> None:
    text = 'domain {\n  name = demo\n  skills = [a, "b c"]\n  n = 4k  rows\n}\n'
    root = parse(Source("a.dagent", text), Diagnostics())
    twin = "domain:\n  name: demo\n  skills: [a, 'b c']\n  n: 4k  rows # x\n\nseed: 1\n"
    yaml = parse(Source("a.yaml", twin), Diagnostics())
    for tree in (root, yaml):
        assert tree is not None
        domain = tree.get("domain")
        assert isinstance(domain, Mapping)
        assert [e.key_span.text for e in domain] == ["name", "skills", "n"]
        assert spans(domain) == ["demo", "a", domain_quote(domain), "4k  rows"]


def domain_quote(domain: Mapping) -> str:
    return '"b c"' if domain.span.source.name == "a.dagent" else "'b c'"


def spans(node: Node) -> list[str]:
    if isinstance(node, Scalar):
        return [node.span.text]
    inner = node.items if isinstance(node, Sequence) else [e.value for e in node]
    return [text for child in inner for text in spans(child)]


def test_yaml_is_1_2() -> None:
    text = "a: no\nb: 1e-5\nc: 10:30\nd: 0o17\ne: 017\nf: ~\ng: 2001-01-01\nh: '4'\ni: yes\n"
    assert read("a.yml", text) == {
        "a": "no", "b": 1e-5, "c": "10:30", "d": 15, "e": 17, "f": None, "g": "2001-01-01",
        "h": "4", "i": "yes",
    }  # fmt: skip


def test_five_thousand_lines_in_a_moment() -> None:
    import time

    text = "".join(f"data d{i} {{\n  role = dev\n  path = x\n\n}}\n" for i in range(1000))
    start = time.process_time()
    assert len(dagent(text)["data"]) == 1000
    assert time.process_time() - start < 5


def test_light() -> None:
    """Parsing and checking import nothing heavy, and fmt and render nothing but what they use."""
    code = (
        "import sys; from dagent.dsl import parse, structure, render, fmt;"
        "heavy = {'torch', 'rich', 'ruamel', 'mlflow', 'dspy', 'jsonschema', 'yaml', 'lark'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
