"""Specs with mistakes, and the errors that they must give as comments at their end.

`# error: E101 3:5` means an error of that code at line 3, column 5; `# warning: …` likewise. A case
is a file in `fixtures/`; `UPDATE_EXPECT=1` writes what is found, for review in the diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dagent.dsl.diagnostics import Diagnostic, Diagnostics
from dagent.dsl.parse import parse
from dagent.dsl.render import render
from dagent.dsl.source import Source
from dagent.dsl.structure import check_structure

FIXTURES = sorted((Path(__file__).parent / "fixtures").iterdir())
EXPECTED = re.compile(r"^# (?:error|warning|note): .*\n?", re.MULTILINE)


def findings(name: str, text: str) -> list[Diagnostic]:
    diagnostics = Diagnostics()
    root = parse(Source(name, text), diagnostics)
    if root is not None:
        check_structure(root, diagnostics)
    return list(diagnostics)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.name)
def test_fixture(path: Path) -> None:
    whole = path.read_bytes().decode("utf-8")
    first = EXPECTED.search(whole)
    text = whole[: first.start()] if first else whole
    found = findings(path.name, text)
    said = "".join(
        f"# {d.severity}: {d.code} {d.span.line}:{d.span.column}\n" for d in found if d.span
    )
    assert len(said.splitlines()) == len(found), "a finding without a place"
    if os.environ.get("UPDATE_EXPECT"):
        path.write_bytes((text + said).encode("utf-8"))
        return
    assert whole[len(text) :] == said, render(found)


def test_enough() -> None:
    assert len(FIXTURES) >= 25
    assert {p.suffix for p in FIXTURES} == {".dagent", ".yaml"}
