"""Content-addressed store: objects by the SHA-256 of their content, and the actions that made them.

```
.dagent/store/objects/ab/abcd…        a file or a folder, read-only
.dagent/store/actions/ab/abcd….json   what an action made, said and was charged
.dagent/store/tmp/                    attempts; what a killed run left is swept at the next start
.dagent/store/unfinished/abcd…/       checkpoints of an action that is not recorded yet
```

An action's key is made of the step's kind, version, parameters and the digests of its inputs. An
object or an action is there whole or not at all: written under ``tmp``, flushed, then renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.compiler.digests import content_digest
from dagent.compiler.plan import Step, digest
from dagent.runtime.step import Artifact


@dataclass(frozen=True, slots=True)
class Action:
    """What a step made when it ran: digests by output name, what it said, what it was charged."""

    outputs: Mapping[str, str]
    metrics: Mapping[str, float]
    note: str
    spent: Mapping[str, float]


def action_key(step: Step, inputs: Mapping[str, Artifact]) -> str:
    """Identity of a piece of work: what is done, and the content that it is done to."""
    return digest(
        [step.kind, step.version, dict(step.params), {n: a.digest for n, a in inputs.items()}]
    )


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("objects", "actions", "tmp"):
            (root / part).mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove what killed attempts left. Only under the project's lock."""
        shutil.rmtree(self.root / "tmp", ignore_errors=True)
        (self.root / "tmp").mkdir()

    def scratch(self) -> Path:
        """A new empty folder on the store's own file system, so that a rename is atomic."""
        folder = self.root / "tmp" / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def unfinished(self, key: str) -> Path:
        """Where an action keeps what a later attempt at it goes on from. Gone once it is recorded;
        not there until the action makes it."""
        return self.root / "unfinished" / key

    def forget_unfinished(self) -> None:
        """Nobody comes back to what was given up. Only when an execution has finished."""
        shutil.rmtree(self.root / "unfinished", ignore_errors=True)

    def put(self, path: Path) -> Artifact:
        """Move a file or folder from a scratch folder into the store."""
        key = content_digest(path)
        target = self._object(key)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            _flush(path)
            try:
                path.rename(target)
            except OSError:
                if not target.exists():  # another process put the same content first
                    raise
            _flush_folder(target.parent)
        return Artifact(key, target)

    def get(self, key: str) -> Artifact | None:
        target = self._object(key)
        return Artifact(key, target) if target.exists() else None

    def record(self, key: str, action: Action) -> None:
        body = {
            "outputs": dict(action.outputs),
            "metrics": dict(action.metrics),
            "note": action.note,
            "spent": dict(action.spent),
        }
        write_atomically(self._action(key), json.dumps(body, sort_keys=True, ensure_ascii=False))
        shutil.rmtree(self.unfinished(key), ignore_errors=True)

    def lookup(self, key: str) -> Action | None:
        """The action, if it is recorded and all that it made is still there."""
        try:
            body: dict[str, Any] = json.loads(self._action(key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        action = Action(body["outputs"], body["metrics"], body["note"], body["spent"])
        return action if all(self.get(d) for d in action.outputs.values()) else None

    def relative(self, artifact: Artifact) -> str:
        return artifact.path.relative_to(self.root).as_posix()

    def _object(self, key: str) -> Path:
        return self.root / "objects" / key[:2] / key

    def _action(self, key: str) -> Path:
        return self.root / "actions" / key[:2] / f"{key}.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old text or the new one, never half.
    Half of a character, which a program may have put into a reason, becomes a question mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with partial.open("w", encoding="utf-8", errors="replace") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush(path: Path) -> None:
    """Make content durable and read-only before it gets its name."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        file.chmod(0o444)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
