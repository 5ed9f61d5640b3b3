"""What moved since a lock was written: spec files, data, programs, local models, packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from dagent.compiler.digests import content_digest
from dagent.compiler.lock import installed
from dagent.compiler.plan import digest
from dagent.dsl.diagnostics import Diagnostics, Refused
from dagent.dsl.document import plain
from dagent.dsl.parse import parse, read


class Moved(Struct, frozen=True):
    """``before`` and ``after`` are digests or versions; ``after`` is None for what is gone."""

    kind: str
    name: str
    before: str
    after: str | None

    def __str__(self) -> str:
        before, after = (None if v is None else v[:12] for v in (self.before, self.after))
        return f"{self.kind} {self.name}: {before} -> {after or 'gone'}"


def moved(lock: Mapping[str, Any], project: Path) -> Iterator[Moved]:
    """Everything in the lock that is another now, in the lock's order.

    Specs are compared as documents, so comments and spaces do not move them. Models on the hub are
    not asked for: a revision that is pinned cannot move.
    """
    for name, before in lock["sources"].items():
        yield from _differs("spec", name, before, _document(project / name))
    for name, data in lock["data"].items():
        yield from _differs("data", name, data["sha256"], _content(project / data["path"]))
    for name, before in lock["programs"].items():
        yield from _differs("program", name, before, _content(project / name))
    for name, model in lock["models"].items():
        if model["sha256"] is not None and not name.startswith("builtin:"):
            yield from _differs("model", name, model["sha256"], _content(project / name))
    now = installed()
    for name, before in lock["packages"].items():
        yield from _differs("package", name, before, now.get(name))


def _differs(kind: str, name: str, before: str, after: str | None) -> Iterator[Moved]:
    if before != after:
        yield Moved(kind, name, before, after)


def _document(path: Path) -> str | None:
    """The digest of the document in a file; of its bytes where it is none any more."""
    try:
        root = parse(read(path), Diagnostics())
    except Refused:
        return _content(path)
    return _content(path) if root is None else digest(plain(root))


def _content(path: Path) -> str | None:
    return content_digest(path) if path.exists() else None
