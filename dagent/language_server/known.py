"""What a spec and the files beside it define: names to complete, to explain and to jump to."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dagent.compiler.dataset import Row, View, rows_of
from dagent.compiler.formats import FORMATS, read_file
from dagent.compiler.settings import Settings
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence, locate
from dagent.dsl.source import Source, Span


@dataclass(frozen=True)
class Known:
    """``root`` is the spec with its imports; an empty map where nothing can be read.

    ``folder`` is the spec's, from which its paths count.
    """

    root: Mapping
    folder: Path
    settings: Settings
    place: Callable[[Span], Span] = lambda span: span
    """Where a place of ``root`` is in the whole text of its file."""

    def entries(self, *path: str) -> tuple[Entry, ...]:
        node: Node | None = self.root
        for part in path:
            node = node.get(part) if isinstance(node, Mapping) else None
        return node.entries if isinstance(node, Mapping) else ()

    def entry(self, *path: str) -> Entry | None:
        return next((e for e in self.entries(*path[:-1]) if e.key == path[-1]), None)

    def text(self, *path: str | int) -> str | None:
        node = locate(self.root, path[:-1])
        value = node.get(str(path[-1])) if isinstance(node, Mapping) else None
        return value.value if isinstance(value, Scalar) and isinstance(value.value, str) else None

    def data_sets(self, *roles: str) -> list[str]:
        """Of these roles, or all."""
        names = [e.key for e in self.entries("data")]
        return [n for n in names if not roles or self.text("data", n, "role") in roles]

    def metrics(self) -> list[str]:
        return [e.key for e in self.entries("criteria", "metric")]

    def references(self) -> list[Entry]:
        return [*self.entries("let"), *self.entries("param")]

    def skills(self) -> list[str]:
        """Those that the domain lists, else those of the dev rows, if they are in a file here."""
        listed = locate(self.root, ("domain", "skills"))
        if isinstance(listed, Sequence):
            return [str(item.value) for item in listed.items if isinstance(item, Scalar)]
        found: set[str] = set()
        for name in self.data_sets("dev"):
            path = self.text("data", name, "path")
            if path and (self.folder / path).is_file():
                ending = PurePosixPath(path).suffix.lower()
                found |= self._skills(self.folder / path, FORMATS.get(ending, "jsonl"))
        return sorted(found)

    def _skills(self, path: Path, format: str) -> frozenset[str]:
        def read() -> frozenset[str]:
            with suppress(OSError):
                rows = rows_of(read_file(path, format), View({}, text=format == "csv"))
                return frozenset(r.skill for r in rows if isinstance(r, Row) and r.skill)
            return frozenset()

        skills: frozenset[str] = self.settings.recall(path, ("skills", format), read)
        return skills

    def files(self, written: str, endings: tuple[str, ...] = ()) -> list[str]:
        """Files and folders that a path begun as ``written`` can go on to, folders with a slash."""
        begun, _, _ = written.rpartition("/")
        found = []
        with suppress(OSError):
            for item in sorted(os.scandir(self.folder / begun), key=lambda i: i.name):
                if item.name.startswith(".") or item.name == "__pycache__":
                    continue
                name = f"{begun}/{item.name}" if begun else item.name
                if item.is_dir():
                    found.append(name + "/")
                elif not endings or item.name.endswith(endings):
                    found.append(name)
        return found

    def functions(self, file: str) -> Iterator[tuple[str, Span]]:
        """The functions of a Python file, each with the place of its name."""
        with suppress(OSError, SyntaxError, ValueError):
            path = self.folder / file
            source = Source(str(path), path.read_text(encoding="utf-8"))
            for node in ast.parse(source.text).body:
                if isinstance(node, ast.FunctionDef):
                    start = sum(len(source.line(n)) + 1 for n in range(1, node.lineno))
                    at = source.text.find(node.name, start + node.col_offset)
                    yield node.name, source.span(at, at + len(node.name))
