"""Whatever the text: no exception, and every place lies inside the text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import plain
from dagent.dsl.fmt import format_source
from dagent.dsl.parse import parse
from dagent.dsl.render import render
from dagent.dsl.source import Source
from dagent.dsl.structure import check_structure

HERE = Path(__file__).parent
TEXTS = [
    (path.suffix, path.read_bytes().decode("utf-8"))
    for folder in ("fixtures", "formatted")
    for path in sorted((HERE / folder).iterdir())
]
PIECES = [
    "{", "}", "[", "]", "=", "<=", ">=", '"', '"""', "'", "#", "\n", "\t", " ", ",", ":", "- ", "|",
    "&a ", "*a", "!!str ", "---\n", "? ", "\\", "\0", "\r\n", "\ufeff", "日", "4k rows", "$x",
    "data ", "train sft {", "require ", "import ", "%", "1e999", "9" * 500, "<<: ", ">", "\ud800",
]  # fmt: skip


def mutate(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.randrange(12))
        match rng.randrange(4):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[to:]
            case 2:
                text = text[:at] + text[at:to] * 2 + text[to:]
            case _:
                other = rng.choice(TEXTS)[1]
                start = rng.randrange(len(other) + 1)
                text = text[:at] + other[start : start + rng.randrange(40)] + text[to:]
    return text


def unchanged_in_meaning(source: Source, tree: object) -> None:
    once = format_source(source, Diagnostics())
    assert once is not None
    again = Source(source.name, once)
    root = parse(again, Diagnostics())
    assert root is not None
    assert plain(root) == tree
    assert format_source(again, Diagnostics()) == once


def survive(suffix: str, text: str) -> None:
    source = Source(f"spec{suffix}", text)
    diagnostics = Diagnostics()
    root = parse(source, diagnostics)
    assert root is not None or diagnostics.has_errors
    if root is not None:
        if not diagnostics.has_errors:
            unchanged_in_meaning(source, plain(root))
        check_structure(root, diagnostics)
    for d in diagnostics:
        for span in [d.span, *(note.span for note in d.notes)]:
            assert span is None or (
                span.source is source and 0 <= span.start <= span.end <= len(text)
            )
    for kind in ("full", "concise", "json"):
        render(diagnostics, kind)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_mutated(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400 if seed == 1 else 20_000):
        suffix, text = rng.choice(TEXTS)
        text = mutate(text, rng)
        try:
            survive(suffix, text)
        except Exception as error:
            raise AssertionError(f"{suffix}: {text!r}") from error


@pytest.mark.parametrize("suffix", [".dagent", ".yaml"])
@pytest.mark.parametrize("piece", ["{", "[", "a: {", "- ", "a = [", '"', "x {", "data dev {", "? "])
def test_deep(suffix: str, piece: str) -> None:
    survive(suffix, piece * 3000)
