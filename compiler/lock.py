"""dagent.lock: what the plan was compiled from. JSON, sorted, without absolute paths or secrets.

The plan says what to do and names no source file; the lock says which files said so, so that
``stale`` can tell whether they still do.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagent import __version__
from dagent.compiler.compose import Composed
from dagent.compiler.facts import DataFacts, Facts
from dagent.compiler.plan import Plan
from dagent.compiler.prompts import prompts
from dagent.compiler.spec import DataSet, Spec

LOCK_FORMAT = "dagent.lock/1"
PINNED = ("revision", "sha256", "trust_remote_code")  # of a model
# Packages whose version can change what a step makes.
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "datasketch",
    "scipy",
    "lm_eval",
)


def make_lock(
    path: Path,
    plan: Plan,
    composed: Composed,
    spec: Spec,
    facts: Facts,
    variant: str | None = None,
) -> dict[str, Any]:
    """The lock's content. ``spec`` in it is the file's bare name until ``lock_at`` places it."""
    return {
        "format": LOCK_FORMAT,
        "plan": plan.id,
        "spec": path.name,
        "sources": dict(composed.sources),
        "set": dict(composed.values),
        **({"variant": variant} if variant else {}),
        "data": {d.name: _data(d, facts.data[d.name]) for d in spec.data},
        "programs": dict(sorted(facts.programs.items())),
        "documents": dict(sorted(facts.documents.items())),
        "prompts": prompts(spec),
        **({"prices": dict(facts.price_lists)} if facts.price_lists else {}),
        **({"accelerate": dict(sorted(facts.accelerate.items()))} if facts.accelerate else {}),
        "models": {
            step.params["model"]: {key: step.params[key] for key in PINNED if key in step.params}
            for step in plan.steps
            if step.kind == "student"
        },
        "packages": installed(),
    }


def _data(data: DataSet, facts: DataFacts) -> dict[str, Any]:
    """What says which rows a set has: its file's digest, or the commit of what was asked for. A
    program's digest stands among the programs."""
    key, source = data.source
    if facts.revision is not None:
        return {key: source, "revision": data.revision, "commit": facts.revision}
    return {key: source} | ({"sha256": facts.sha256} if facts.sha256 else {})


def lock_at(lock: Mapping[str, Any], spec: Path, folder: Path) -> dict[str, Any]:
    """The lock with the way from the plan's folder to the spec; usually just the file's name."""
    relative = os.path.relpath(spec.resolve(), folder.resolve())
    return {**lock, "spec": Path(relative).as_posix()}


def dumps(lock: Mapping[str, Any]) -> str:
    return json.dumps(lock, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def lock_path(plan: Path) -> Path:
    """``dagent.plan.json`` -> ``dagent.lock`` beside it; ``x.json`` -> ``x.lock``."""
    stem = plan.name.removesuffix(".json").removesuffix(".plan")
    return plan.with_name(f"{stem or plan.name}.lock")


def installed(names: Collection[str] = PACKAGES) -> dict[str, str]:
    """Versions of dagent and of the packages that count, from the names of their metadata folders.

    ``importlib.metadata`` says the same and takes 60 ms of a compilation's 300.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        with suppress(OSError):
            for entry in os.scandir(folder or "."):
                name, _, version = entry.name.removesuffix(".dist-info").partition("-")
                if entry.name.endswith(".dist-info") and name in names:
                    found.setdefault(name, version)
    return {"dagent": __version__, **dict(sorted(found.items()))}
