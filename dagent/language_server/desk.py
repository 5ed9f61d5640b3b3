"""What an editor has open, and what was learned of the files around it: the state of the server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagent.compiler.compose import imports, merge
from dagent.compiler.pipeline import check, looks_like_spec
from dagent.compiler.settings import Settings
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.parse import read
from dagent.dsl.pieces import Pieces, moved
from dagent.dsl.source import DAGENT, ENDINGS, Source, Span
from dagent.language_server.known import Known

_MODELINE = re.compile(
    r"^#\s*yaml-language-server:.*(?:spec\.schema\.json|/schemas/spec/)", re.MULTILINE
)
_NOTHING = document.Mapping((), Source("", "").span(0, 0))


@dataclass
class Desk:
    """``texts`` are the unsaved texts by absolute path; ``environment`` gives parameters values."""

    environment: Mapping[str, str] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    _pieces: dict[Path, Pieces] = field(default_factory=dict)
    _learned: dict[tuple[Path, Hashable], tuple[Hashable, Any]] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(env=self.environment, documents=self.document, recall=self.recall)

    # --- texts --------------------------------------------------------------------------------

    def source(self, path: Path) -> Source:
        """The text as the editor has it, else as the disk has it.

        Raises:
            Refused: when it is open nowhere and no such file can be read.
        """
        path = absolute(path)
        text = self.texts.get(path)
        return read(path) if text is None else Source(str(path), text)

    def document(self, path: Path, diagnostics: Diagnostics) -> document.Mapping | None:
        pieces = self._pieces.setdefault(absolute(path), Pieces())
        return pieces.parse(self.source(path), diagnostics)

    def place(self, span: Span) -> Span:
        """Where a place is in the whole text of its file: texts are parsed in pieces."""
        pieces = self._pieces.get(Path(span.source.name))
        return pieces.place(span) if pieces else span

    def is_spec(self, path: Path) -> bool:
        """Whether an open file is for this server: editors send every YAML file."""
        if path.suffix.lower() in DAGENT:
            return True
        text = self.texts.get(path, "")
        return bool(_MODELINE.search(text)) or looks_like_spec(text) or self.roots(path) != [path]

    # --- files --------------------------------------------------------------------------------

    def recall(self, path: Path, what: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` says of a file, made anew only when the file changed."""
        path = absolute(path)
        before = _identity(path)
        kept = self._learned.get((path, what))
        if kept is not None and kept[0] == before:
            return kept[1]
        made = make()
        if before is not None and before == _identity(path):
            self._learned[path, what] = before, made
        return made

    # --- specs --------------------------------------------------------------------------------

    def roots(self, path: Path) -> list[Path]:
        """The specs to check for a file: those around it that import it, else the file itself."""
        around = {p for p in self.texts if p.suffix.lower() in ENDINGS}
        for folder in (path.parent, path.parent.parent):
            with suppress(OSError):
                around |= {p for p in folder.iterdir() if p.suffix.lower() in ENDINGS}
        importers = {p: self._imported(p) for p in sorted(around)}
        roots, new = {path}, {path}
        seen: set[Path] = set()
        while new:
            seen |= new
            above = {p for p, below in importers.items() if below & new}
            if above:
                roots = (roots - new) | (above - seen)
            new = above - seen
        return sorted(roots) or [path]

    def _imported(self, path: Path) -> frozenset[Path]:
        def made() -> frozenset[Path]:
            with suppress(Refused):
                source = self.source(path)
                if "import" in source.text and (root := self.document(path, Diagnostics())):
                    return frozenset(absolute(path.parent / name) for name in imports(root))
            return frozenset()

        if path in self.texts:
            return made()
        found: frozenset[Path] = self.recall(path, "imports", made)
        return found

    def check(self, path: Path) -> dict[Path, list[Diagnostic]]:
        """All findings in a spec, by the file that they are about; ``path`` is always there."""
        try:
            found = check(path, self.settings)
        except Refused as refused:
            found = refused.diagnostics
        by_file: dict[Path, list[Diagnostic]] = {path: []}
        in_order = Diagnostics([moved(diagnostic, self.place) for diagnostic in found])
        for diagnostic in in_order:
            name = diagnostic.span.source.name if diagnostic.span else diagnostic.file
            file = absolute(path.parent / name) if name else path
            by_file.setdefault(file if _is_text(file) else path, []).append(diagnostic)
        return by_file

    def known(self, path: Path, offset: int = 0) -> Known:
        """What is defined where the file is open. A line that spoils all the rest of a YAML text
        is left out: it is the one being typed."""
        root = self.roots(path)[0]
        with suppress(Refused):
            merged = merge(root, self.settings)
            if merged is None and path in self.texts:
                without = self._without_line(path, offset)
                merged = merge(root, without.settings)
                if merged is not None:
                    return Known(merged, root.parent, self.settings, without.place)
            if merged is not None:
                return Known(merged, root.parent, self.settings, self.place)
        return Known(_NOTHING, root.parent, self.settings)

    def _without_line(self, path: Path, offset: int) -> Desk:
        text = self.texts[path]
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        rest = text[len(text) if end < 0 else end :]
        texts = self.texts | {path: text[:start] + rest}
        return Desk(self.environment, texts, _learned=self._learned)


def absolute(path: Path) -> Path:
    """Without `..`, and without following links: as editors name it."""
    return Path(os.path.abspath(path))


def _identity(path: Path) -> Hashable:
    """Changes when the file or anything in the folder does; ``None`` where nothing is."""
    try:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        stats = [(str(p), p.stat()) for p in files]
    except OSError:
        return None
    return tuple((name, s.st_mtime_ns, s.st_size, s.st_ino) for name, s in stats)


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in (*ENDINGS, ".py")
