"""Imports, constants and parameters: many files and ``--set`` -> one document without references.

    files --load--> documents --merge--> one document --substitute--> no `$name` left in it

A key of the importing file wins; where two imports give a key different values, the importing file
must give it too. ``dagent:NAME`` is a part of the shipped library, ``specs/library/NAME.dagent``.
``$NAME`` stands for a whole value and keeps its type, ``${NAME}`` stands inside a text; ``$$`` in
their place is a dollar sign. A replaced value keeps the place of its use, so that an error points
there.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from collections.abc import Mapping as Dict
from pathlib import Path

from msgspec import Struct, field

import dagent.specs
from dagent.compiler.facts import nameable
from dagent.compiler.names import Names
from dagent.compiler.plan import digest
from dagent.compiler.secrets import refuse_literals
from dagent.compiler.settings import Documents, Settings
from dagent.dsl.diagnostics import Diagnostics, Note, Refused
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence, plain
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import ENDINGS, Span


class Composed(Struct, frozen=True):
    """``sources``: for each file, by its path relative to the spec's folder, the digest of the
    document in it; comments and spaces do not change it. ``values``: the parameters that did not
    take their default, secrets excepted. ``unknown`` are the places of names without a value;
    what is not ``complete`` lacks what could not be read."""

    root: Mapping
    sources: Dict[str, str]
    values: Dict[str, str | int | float | bool]
    unknown: Collection[Span] = ()
    complete: bool = True


def compose(path: Path, settings: Settings, diagnostics: Diagnostics) -> Composed:
    """The one document that the spec at ``path`` and its imports say.

    Raises:
        Refused: when a file cannot be read, or anything found so far is an error.
    """
    composed = composed_as_far(path, settings, diagnostics)
    diagnostics.gate()
    return composed


def composed_as_far(path: Path, settings: Settings, diagnostics: Diagnostics) -> Composed:
    """As far as it can be read, for what else is wrong to be found in one go.

    Raises:
        Refused: when nothing can be read, or a secret is written out.
    """
    loader = _Loader(path.parent, settings.documents, diagnostics)
    merged = loader.load(path)
    if merged is None:
        diagnostics.gate()
    assert merged is not None
    # Before anything could quote a value: messages are logged.
    secrets = Diagnostics()
    refuse_literals(merged, settings.set, secrets)
    if secrets.has_errors:
        raise Refused((*diagnostics, *secrets))
    complete = not diagnostics.has_errors
    # What defines a name may stand in what could not be read.
    names = Names(merged, settings, diagnostics if complete else Diagnostics())
    root = names.substitute(merged)
    if complete:
        names.unused()
    sources = dict(sorted(loader.sources.items()))
    return Composed(root, sources, names.given(), names.unknown, complete)


def merge(path: Path, settings: Settings) -> Mapping | None:
    """The spec and its imports as one document, with its `$names`; ``None`` where a file cannot be
    read. Mistakes are for ``compose`` to tell.

    Raises:
        Refused: when there is no such file.
    """
    return _Loader(path.parent, settings.documents, Diagnostics()).load(path)


# --- imports ---------------------------------------------------------------------------------


class _Loader(Struct):
    """Reads a file and, below it, what it imports. A file that is imported twice is read once."""

    project: Path
    documents: Documents
    diagnostics: Diagnostics
    sources: dict[str, str] = field(default_factory=dict)
    _done: dict[Path, Mapping] = field(default_factory=dict)

    def load(self, path: Path, chain: tuple[tuple[Path, Span | None], ...] = ()) -> Mapping | None:
        file = path.resolve()
        if file in self._done:
            return self._done[file]
        own = self.documents(path, self.diagnostics)
        if own is None:
            return None
        self.sources[_relative(path, self.project)] = digest(plain(own))
        chain = (*chain, (file, None))
        imported: Mapping | None = None
        for item in _statements(own):
            below = self._import(item, path, chain)
            if below is not None:
                imported = below if imported is None else self._join(imported, below, own, ())
        root = own if imported is None else overlay(imported, own)
        self._done[file] = root
        return root

    def _import(
        self, item: Scalar, path: Path, chain: tuple[tuple[Path, Span | None], ...]
    ) -> Mapping | None:
        name = str(item.value)
        if not nameable(name, path.parent, item.span, self.diagnostics):
            return None
        if Path(name).is_absolute():
            self.diagnostics.error(
                "E707",
                f"`{name}` is an absolute path",
                item.span,
                "write it relative to this file",
            )
            return None
        target = import_target(name, path)
        here = (*chain[:-1], (chain[-1][0], item.span))
        cycle = [index for index, (file, _) in enumerate(here) if file == target.resolve()]
        if cycle:
            self._refuse_cycle(item, here[cycle[0] :])
            return None
        if not target.is_file():
            here_is = f"correct the path; it is relative to {_relative(path, self.project)}"
            self.diagnostics.error(
                "E701",
                f"there is no `{name}` to import",
                item.span,
                _of_library(name) if name.startswith(_LIBRARY) else here_is,
            )
            return None
        if target.suffix.lower() not in ENDINGS:
            self.diagnostics.error(
                "E006",
                f"`{name}` ends like no spec: only a `.dagent` or a `.yaml` is imported",
                item.span,
                "name such a file",
            )
            return None
        return self.load(target, here)

    def _refuse_cycle(self, item: Scalar, circle: tuple[tuple[Path, Span | None], ...]) -> None:
        files = [_relative(file, self.project) for file, _ in circle]
        notes = [
            Note(f"{file} imports {after}", span)
            for (file, after, (_, span)) in zip(files, (*files[1:], files[0]), circle, strict=True)
            if span is not item.span
        ]
        path = " -> ".join((*files, files[0]))
        self.diagnostics.error(
            "E702", f"imports in a circle: {path}", item.span, "remove one of the imports", notes
        )

    def _join(
        self, first: Mapping, second: Mapping, own: Mapping | None, path: tuple[str, ...]
    ) -> Mapping:
        """Two imports side by side: blocks join, and a key to which both give different values is
        a clash, unless ``own``, the same block of the importing file, gives it too."""
        entries = {e.key: e for e in first}
        for entry in second:
            before = entries.get(entry.key)
            ours = None if own is None else own.get(entry.key)
            if before is None:
                entries[entry.key] = entry
            elif isinstance(before.value, Mapping) and isinstance(entry.value, Mapping):
                below = ours if isinstance(ours, Mapping) else None
                inner = self._join(before.value, entry.value, below, (*path, entry.key))
                entries[entry.key] = Entry(entry.key, before.key_span, inner)
            elif ours is None and entry.key != "import" and _differ(before, entry):
                key = ".".join((*path, entry.key))
                self.diagnostics.error(
                    "E710",
                    f"two imports give `{key}` different values",
                    entry.key_span,
                    f"give `{key}` in the importing file, or in one import only",
                    [Note("the other is here", before.key_span)],
                )
        return Mapping(tuple(entries.values()), first.span)


def _differ(one: Entry, other: Entry) -> bool:
    return one.value is not other.value and plain(one.value) != plain(other.value)


def overlay(below: Mapping, above: Mapping) -> Mapping:
    """``above`` wins and comes first: blocks are joined key by key, lists and values replaced."""
    entries = []
    for entry in above:
        under = below.get(entry.key)
        if isinstance(under, Mapping) and isinstance(entry.value, Mapping):
            entry = Entry(entry.key, entry.key_span, overlay(under, entry.value))
        entries.append(entry)
    entries += [e for e in below if above.entry(e.key) is None]
    return Mapping(tuple(entries), above.span)


_LIBRARY = "dagent:"
_PARTS = Path(dagent.specs.__path__[0]) / "library"


def import_target(name: str, importer: Path) -> Path:
    """The file that ``import "NAME"`` means in the file ``importer``."""
    if name.startswith(_LIBRARY):
        return _PARTS / f"{name.removeprefix(_LIBRARY)}.dagent"
    return importer.parent / name


def _of_library(name: str) -> str | None:
    known = sorted(f"{_LIBRARY}{path.stem}" for path in _PARTS.glob("*.dagent"))
    return did_you_mean(name, known, "the library has " + ", ".join(known))


def imports(root: Mapping) -> tuple[str, ...]:
    """The files that a document imports, relative to its own."""
    names = (str(item.value) for item in _statements(root))
    return tuple(name for name in names if "\0" not in name)


def _statements(root: Mapping) -> tuple[Scalar, ...]:
    node: Node | None = root.get("import")
    items = node.items if isinstance(node, Sequence) else ()
    return tuple(i for i in items if isinstance(i, Scalar) and isinstance(i.value, str))


def _relative(path: Path, project: Path) -> str:
    """The file's name in messages and in the lock: relative to the spec's folder, with slashes; a
    part of the library by the name that imports it, wherever dagent is installed."""
    if path.resolve().parent == _PARTS.resolve():
        return f"{_LIBRARY}{path.stem}"
    return Path(os.path.relpath(path.resolve(), project.resolve())).as_posix()
