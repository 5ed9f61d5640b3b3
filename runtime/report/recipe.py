"""What a reviewer needs to make a result again: the commands, and what it was made with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dagent.compiler.lock import lock_path
from dagent.compiler.plan import local
from dagent.runtime.history import STORE
from dagent.runtime.projection import Event, started
from dagent.runtime.rows import read_json

UNKNOWN = "unknown"


def lock_of(first: Event, project: Path) -> Mapping[str, Any]:
    """The lock, if it is still that of the plan that was executed."""
    path = lock_path(project / first["plan_path"])
    body: Mapping[str, Any] = read_json(path) if path.is_file() else {}
    return body if body.get("plan") == first["plan_id"] else {}


def commands(first: Event, lock: Mapping[str, Any]) -> str:
    """What to type in the folder of the spec."""
    words = [f"dagent compile {shlex.quote(lock.get('spec', 'SPEC'))}"]
    words += [f"--set {shlex.quote(f'{k}={v}')}" for k, v in sorted(lock.get("set", {}).items())]
    if "variant" in lock:
        words.append(f"--variant {shlex.quote(lock['variant'])}")
    execute = "dagent execute" + (" --allow-unsandboxed" if first.get("unsandboxed") else "")
    commit = first.get("made_on", {}).get("commit", "")
    checkout = [f"git checkout {commit}"] if commit and " " not in commit else []
    return "\n".join((*checkout, " ".join(words), execute, "dagent report"))


def made_with(past: Sequence[Event], lock: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of everything that a result may hang on, beside data and files. Where sessions
    differ, since an execution was resumed elsewhere, each is told."""
    starts = [e for e in past if e["event"] == "execution_started"]
    first = started(past)

    def each(values: Sequence[str]) -> str:
        return "; then ".join(dict.fromkeys(filter(None, values)))

    made = [e.get("made_on", {}) for e in starts]
    packages = [_listed(e.get("packages", {})) for e in starts]
    told = [
        ("plan", first["plan_id"]),
        ("student", str(first["settings"].get("student.model", ""))),
        *_seeds(first),
        ("dagent", each([_version(e) for e in starts])),
        *(
            (name, each([m.get(name, "") for m in made]))
            for name in ("python", "machine", "commit")
        ),
        (
            "code of the model",
            "RUN: trust_remote_code" if first["settings"].get("student.trust_remote_code") else "",
        ),
        ("sandbox", "NONE: --allow-unsandboxed" if first.get("unsandboxed") else ""),
        # Executions of earlier versions did not note them; what compiled them is known.
        ("packages", each(packages) or _listed(lock.get("packages", {}))),
    ]
    return [(name, value) for name, value in told if value != ""]


def files(lock: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What made the result besides the data, with its digest: spec, programs, documents, models."""
    found = [
        (what, name, digest)
        for what, key in (("spec", "sources"), ("program", "programs"), ("document", "documents"))
        for name, digest in sorted(lock.get(key, {}).items())
    ]
    return found + [
        ("model", name, held.get("revision") or held.get("sha256") or "")
        for name, held in sorted(lock.get("models", {}).items())
    ]


def licence_of_base(past: Sequence[Event], project: Path) -> str:
    done = (e for e in past if e["event"] == "step_finished" and local(e["step"]) == "student")
    made = next((e["outputs"]["model"]["path"] for e in done), None)
    return licence(project / STORE / made) if made else UNKNOWN


def licence(model: Path) -> str:
    """As the model's own card says, which a folder from the hub has."""
    card = model / "README.md"
    if not card.is_file():
        return UNKNOWN
    parts = card.read_text(encoding="utf-8").split("---\n")
    try:
        head = yaml.safe_load(parts[1]) if len(parts) > 2 and not parts[0] else None
    except yaml.YAMLError:
        head = None
    return str(head.get("license", UNKNOWN)) if isinstance(head, dict) else UNKNOWN


def _version(start: Event) -> str:
    commit = start.get("made_on", {}).get("dagent")
    return f"{start['version']}, commit {commit}" if commit else str(start["version"])


def _listed(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{k} {v}" for k, v in sorted(packages.items()) if k != "dagent")


def _seeds(first: Event) -> list[tuple[str, str]]:
    if "arm" in first:
        return [("arm", first["arm"]), ("seed", str(first["seed"]))]
    seeds = sorted({own["seed"] for own in first.get("by_variant", {}).values()})
    return [("seeds", ", ".join(map(str, seeds)))] if seeds else [("seed", str(first["seed"]))]
