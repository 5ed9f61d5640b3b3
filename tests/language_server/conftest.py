"""A project on disk, its spec open, and a bar `|` in a text for where the cursor stands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dagent.dsl.source import Source
from dagent.language_server.desk import Desk
from dagent.language_server.known import Known

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
SPEC = (QUICKSTART / "quickstart.dagent").read_text()
TWIN = (ROOT / "docs" / "quickstart.yaml").read_text()


@dataclass(frozen=True)
class At:
    source: Source
    offset: int
    known: Known


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The quickstart's data and programs, without its spec."""
    copy = tmp_path / "project"
    shutil.copytree(QUICKSTART, copy, ignore=shutil.ignore_patterns(".dagent", "*.dagent"))
    return copy


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def at(folder: Path, desk: Desk) -> Callable[[str, str], At]:
    """Open a text under a name; the cursor is at its only `|`."""

    def open_at(name: str, text: str) -> At:
        assert text.count("|") == 1, "one cursor"
        offset = text.index("|")
        path = folder / name
        desk.texts[path] = text.replace("|", "")
        return At(desk.source(path), offset, desk.known(path, offset))

    return open_at
