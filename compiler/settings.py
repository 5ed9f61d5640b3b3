"""What a compilation takes from outside the spec. Injected, so that compiling stays pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from dagent.compiler.hub import Pins
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.parse import parse, read

# The built-in students stand beside this folder, in a checkout as in a wheel. They are read as
# data: the compiler imports nothing of the runtime.
STUDENTS = Path(__file__).resolve().parent.parent / "runtime" / "students"

Documents = Callable[[Path, Diagnostics], document.Mapping | None]
Recall = Callable[[Path, Hashable, Callable[[], Any]], Any]


def from_disk(path: Path, diagnostics: Diagnostics) -> document.Mapping | None:
    """The document in a file; ``None`` where nothing can be read of its text.

    Raises:
        Refused: if there is no such text file.
    """
    return parse(read(path), diagnostics)


def afresh(path: Path, what: Hashable, make: Callable[[], Any]) -> Any:
    """Reads anew each time."""
    return make()


def remembered(recall: Recall) -> Recall:
    """A recall that asks ``recall`` once for each thing, for as long as it is kept."""
    known: dict[tuple[Path, Hashable], Any] = {}

    def once(path: Path, what: Hashable, make: Callable[[], Any]) -> Any:
        if (path, what) not in known:
            known[path, what] = recall(path, what, make)
        return known[path, what]

    return once


class Settings(Struct, frozen=True):
    """``set`` are the ``NAME=VALUE`` texts of ``--set``; ``env`` the environment to read; ``pins``
    the commits of data sets on the hub, where not those of the lock beside the spec; ``variant``
    the one variant of the arms, as ``ARM/sSEED``, that is compiled alone.

    What checks again and again while somebody types puts other functions in: ``documents`` for the
    text of a spec or an import, which an editor may hold unsaved; ``recall`` for what ``make`` says
    of the file or folder ``path`` and nothing else, which need not be read while they are the same.
    """

    set: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    students: Path = STUDENTS
    documents: Documents = from_disk
    recall: Recall = afresh
    pins: Pins | None = None
    variant: str | None = None

    def __repr__(self) -> str:
        return f"Settings(set={self.set}, variant={self.variant!r})"  # the environment holds keys
