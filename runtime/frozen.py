"""What a plan pinned by digest stays as it is while the plan runs.

A grader, a set or a base that changes between two rounds makes their scores incomparable, and
nobody would see it. So files are compared with the plan at the start of every round, before test is
opened, and around every step that reads them: what a changed file gave is not kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.digests import content_digest
from dagent.compiler.imported import program_digest
from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.steps.student import source

FILES = ("databases", "documents", "sources")  # parameters that map paths to digests
LOCAL = (".", "/")
PROGRAM = "the program"


def check_frozen(steps: Iterable[Step], project: Path, when: str) -> None:
    """
    Raises:
        Refused: E804, what changed, with the digests that the plan names and that were found.
    """
    pins = dict(pin for step in steps for pin in pinned(step.params, project))
    found = [f for (what, path), sha256 in pins.items() for f in _moved(what, path, sha256, when)]
    if found:
        raise Refused(found)


def pinned(params: Any, project: Path) -> Iterator[tuple[tuple[str, Path], str]]:
    """(what it is, where) and its digest, for every file and folder of the project that the
    parameters of a step pin."""
    if isinstance(params, list):
        for part in params:
            yield from pinned(part, project)
    if not isinstance(params, Mapping):
        return
    sha256 = params.get("sha256")
    if isinstance(sha256, str):
        for what, path in _named(params, project):
            yield (what, path), sha256
    for key, value in params.items():
        if key in FILES and isinstance(value, Mapping):
            yield from ((("the file", project / name), digest) for name, digest in value.items())
        else:
            yield from pinned(value, project)


def _named(params: Mapping[str, Any], project: Path) -> Iterator[tuple[str, Path]]:
    if "program" in params:
        yield PROGRAM, project / params["program"].rpartition(":")[0]
    elif params.get("tasks"):
        yield "the tasks", project / params["tasks"]
    elif "path" in params:
        yield "the data set", project / params["path"]
    elif str(params.get("hub", "")).startswith(LOCAL):
        yield "the data set", project / params["hub"]
    elif "model" in params and (folder := source(params["model"], project)):
        yield "the model", folder


def _moved(what: str, path: Path, sha256: str, when: str) -> Iterator[Diagnostic]:
    content = program_digest if what == PROGRAM else content_digest
    now = content(path) if path.exists() else None
    if now != sha256:
        became = f"from {sha256[:12]} to {now[:12]}" if now else "and is gone"
        yield Diagnostic(
            "E804",
            f"{what} `{path.name}` changed while the plan ran, {became}: noticed {when}",
            suggestion="put it back and execute again to go on, or compile anew for what it is now",
            file=str(path),
        )
