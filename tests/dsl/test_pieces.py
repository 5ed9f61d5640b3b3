"""Parsing in pieces says what parsing the whole says, for texts as they come about in typing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dagent.dsl.diagnostics import Diagnostic, Diagnostics
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence
from dagent.dsl.parse import parse
from dagent.dsl.pieces import Pieces, moved
from dagent.dsl.source import Source, Span

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TEXTS = sorted([*(HERE / "fixtures").iterdir(), *(HERE / "formatted").iterdir()])
TEXTS += [ROOT / "examples/quickstart/quickstart.dagent", ROOT / "docs/quickstart.yaml"]


def placed(node: Node, pieces: Pieces) -> object:
    """Values and places: of keys and scalars all, of blocks and lists what is in them."""

    def at(span: Span) -> tuple[int, int]:
        span = pieces.place(span)
        return span.start, span.end

    if isinstance(node, Scalar):
        return node.value, node.quoted, at(node.span)
    if isinstance(node, Sequence):
        return [placed(item, pieces) for item in node.items]
    return [(e.key, at(e.key_span), placed(e.value, pieces)) for e in node.entries]


def said(found: Diagnostics, pieces: Pieces) -> list[Diagnostic]:
    return list(Diagnostics([moved(d, pieces.place) for d in found]))


def compare(source: Source, pieces: Pieces) -> None:
    whole, parts = Diagnostics(), Diagnostics()
    expected = parse(source, whole)
    root = pieces.parse(source, parts)
    assert said(parts, pieces) == list(whole)
    assert (root is None) == (expected is None)
    if root is not None and expected is not None:
        assert placed(root, pieces) == placed(expected, Pieces())


def typed(text: str, rng: random.Random) -> str:
    """One edit: something deleted, doubled, or put in that could open or close."""
    at = rng.randrange(len(text) + 1)
    to = min(len(text), at + rng.choice((1, 1, 2, 30)))
    new = rng.choice(["", "", text[at:to] * 2, *'{}[]"#=:\n$', '"""', "data x { }\n", "- ", "  "])
    return text[:at] + new + text[to if new not in ("\n",) else at :]


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_as_the_whole(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    pieces, rng = Pieces(), random.Random(path.name)
    compare(Source(path.name, text), pieces)
    for _ in range(2):
        compare(Source(path.name, typed(text, rng)), pieces)


@pytest.mark.slow
@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.name)
def test_as_the_whole_through_many_edits(path: Path) -> None:
    original = path.read_bytes().decode("utf-8")
    pieces, rng = Pieces(), random.Random(path.name)
    for _ in range(20):
        text = original
        for _ in range(10):
            text = typed(text, rng)
            compare(Source(path.name, text), pieces)


@pytest.mark.parametrize("name", ["quickstart.dagent", "quickstart.yaml"])
def test_what_did_not_change_is_not_parsed_again(name: str) -> None:
    text = next(p for p in TEXTS if p.name == name and p.parent.name == "formatted").read_text()
    pieces = Pieces()
    first = pieces.parse(Source(name, text), Diagnostics())
    edited = text.replace("2k rows", "3k rows").replace("curriculum", "program")
    second = pieces.parse(Source(name, edited), Diagnostics())
    assert first is not None
    assert second is not None

    def same(key: str) -> bool:
        return entry(first, key).value is entry(second, key).value

    def entry(root: Mapping, key: str) -> Entry:
        found = root.entry(key)
        assert found is not None
        return found

    assert [key for key in ("domain", "student", "criteria") if not same(key)] == []
    assert not same("budget")
    assert pieces.place(entry(second, "criteria").key_span).start == edited.index("\ncriteria") + 1


def test_a_quote_that_is_not_yet_closed_leaves_the_other_blocks_as_they_were() -> None:
    name = "quickstart.yaml"
    text = next(p for p in TEXTS if p.name == name and p.parent.name == "formatted").read_text()
    pieces, found = Pieces(), Diagnostics()
    first = pieces.parse(Source(name, text), Diagnostics())
    line = next(line for line in text.splitlines() if line.startswith("  model:"))
    opened = pieces.parse(Source(name, text.replace(line, '  model: "tiny')), found)
    assert first is not None
    assert opened is not None
    assert [d.code for d in found] == ["E030"]
    before, after = ({entry.key: entry.value for entry in root} for root in (first, opened))
    assert before.keys() - after.keys() == {"student"}
    assert all(after[key] is before[key] for key in ("domain", "engineer", "budget", "criteria"))
