"""What the plan pinned must still be so when it runs: checks that several kinds of step share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from dagent.compiler.digests import content_digest
from dagent.dsl.diagnostics import Diagnostic, Refused


def unchanged(what: str, path: Path, sha256: str) -> Iterator[Diagnostic]:
    """E804 when a pinned file or folder is gone, or its content is not what the plan says."""
    if not path.exists():
        yield Diagnostic("E804", f"{what} is gone", file=str(path))
    elif content_digest(path) != sha256:
        yield Diagnostic(
            "E804",
            f"{what} changed since the plan was compiled",
            suggestion="compile again",
            file=str(path),
        )


def loads(load: Callable[[], object]) -> Iterator[Diagnostic]:
    """What makes loading a user's program fail, as findings."""
    try:
        load()
    except Refused as refused:
        yield from refused.diagnostics
