"""A spec as it was at a git revision, with the files that it names, in a folder for the time being.

Only those files are taken out of git, through ``checkout-index`` on an index of our own: filters
and line ends are as in a checkout, the user's index and work tree are not touched, and a data set
of another spec costs nothing.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.compiler.compose import compose, imports
from dagent.compiler.pipeline import find_spec
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.document import plain
from dagent.dsl.parse import parse, read
from dagent.dsl.source import ENDINGS

Range = tuple[str, str | None]


def revisions(text: str, folder: Path) -> Range | None:
    """``A..B`` -> (A, B), ``A...B`` -> (where B left A, B), ``A`` -> (A, None) as commits; ``None``
    when the text names no revision of the repository around ``folder``."""
    before, dots, after = text.partition("...") if "..." in text else text.partition("..")
    old = _commit(before or "HEAD", folder)
    if not dots:
        return (old, None) if old else None
    new = _commit(after or "HEAD", folder)
    if old is None or new is None:
        return None
    if dots == "...":
        old = _git(folder, "merge-base", old, new).strip()
    return old, new


@contextmanager
def spec_at(commit: str, folder: Path, name: str | None) -> Iterator[Path]:
    """The spec ``name`` of ``folder`` as it was at a commit; its one spec if ``name`` is ``None``
    or was not there.

    Raises:
        Refused: E714 when git cannot, E801 or E802 when there was no spec, or several.
    """
    with tempfile.TemporaryDirectory(prefix="dagent-") as scratch:
        top = _git(folder, "rev-parse", "--show-prefix").strip()
        export = _Export(folder, Path(scratch))
        export.read(commit)
        export.take({p for p in export.files if _is_spec(p, top)})
        project = export.tree / top
        project.mkdir(parents=True, exist_ok=True)
        path = project / name if name and (project / name).exists() else find_spec(project)
        export.take_named(path, top)
        yield path


@dataclass
class _Export:
    """``files`` are the paths of the commit, from the top of the repository."""

    folder: Path
    scratch: Path
    files: Collection[str] = ()

    @property
    def tree(self) -> Path:
        return self.scratch / "tree"

    def read(self, commit: str) -> None:
        self._git("read-tree", commit)
        listed = self._git("ls-files", "-z", "--full-name", ":/")
        self.files = set(filter(None, listed.split("\0")))

    def take(self, wanted: Collection[str]) -> None:
        missing = sorted(p for p in wanted if not (self.tree / p).exists())
        if missing:
            self._git(
                *("checkout-index", "-z", "--stdin", f"--prefix={self.tree}/"),
                text="".join(f"{p}\0" for p in missing),
            )

    def take_named(self, spec: Path, top: str) -> None:
        """The files that the spec imports, then those that it names anywhere as a value."""
        self._take_imports(spec)
        try:
            root = plain(compose(spec, Settings(), Diagnostics()).root)
        except Refused:
            return  # compiling it says what is wrong
        named = {posixpath.normpath(top + text.partition(":")[0]) for text in _texts(root)}
        self.take({p for p in self.files if not named.isdisjoint(_prefixes(p))})

    def _take_imports(self, spec: Path) -> None:
        waiting, seen = [spec], set()
        while waiting:
            path = waiting.pop()
            if path in seen or path.suffix not in ENDINGS:
                continue
            seen.add(path)
            inside = Path(os.path.normpath(path)).relative_to(self.tree).as_posix()
            self.take({inside} & set(self.files))
            if path.exists():
                root = parse(read(path), Diagnostics())
                found = imports(root) if root is not None else ()
                targets = [Path(os.path.normpath(path.parent / name)) for name in found]
                waiting += [t for t in targets if t.is_relative_to(self.tree)]

    def _git(self, *words: str, text: str | None = None) -> str:
        index = {"GIT_INDEX_FILE": str(self.scratch / "index")}
        # From the top: `checkout-index` reads its paths relative to where it is called.
        top = Path(_git(self.folder, "rev-parse", "--show-toplevel").strip())
        return _git(top, *words, text=text, env=index)


def _is_spec(path: str, top: str) -> bool:
    folder, name = posixpath.split(path)
    return folder == top.rstrip("/") and name.endswith(ENDINGS)


def _prefixes(path: str) -> Iterator[str]:
    """The path and every folder above it."""
    while path:
        yield path
        path = posixpath.dirname(path)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _commit(name: str, folder: Path) -> str | None:
    if name.startswith("-"):
        return None
    try:
        return _git(folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
    except Refused:
        return None


def _git(
    folder: Path, *words: str, text: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """What git says.

    Raises:
        Refused: E714 with git's own words.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, **(env or {})},
            check=True,
        )
    except FileNotFoundError:
        raise _refused("git is not installed, or not on the path", "install git") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()
        raise _refused(f"git {words[0]}: {said[-1] if said else 'failed'}", None) from None
    return done.stdout


def _refused(message: str, remedy: str | None) -> Refused:
    return Refused(
        Diagnostic("E714", message, suggestion=remedy or "name a revision that `git log` lists")
    )
