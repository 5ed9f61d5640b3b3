"""Which commit of a data set on the Hugging Face hub a plan pins; no network is asked.

A name or a branch says what the rows are only today. So a commit must be known when compiling:
written in the spec, in the lock of the plan before, or in the local cache, in this order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_COMMIT = re.compile(r"[0-9a-f]{40}")

Pins = Mapping[str, str]


def pinned(hub: str, revision: str | None, pins: Pins, env: Mapping[str, str]) -> str | None:
    """The commit, 40 hex digits, or None where nothing says it."""
    if revision and _COMMIT.fullmatch(revision):
        return revision
    return pins.get(_pin(hub, revision)) or _cached(hub, revision or "main", env)


def pins_of(lock: Mapping[str, Any]) -> Pins:
    """What a lock pins, by what was asked for."""
    return {
        _pin(data["hub"], data.get("revision")): data["commit"]
        for data in lock.get("data", {}).values()
        if data.get("commit")
    }


def read_pins(lock: Path) -> Pins:
    """What the lock at a path pins; nothing if there is none that can be read."""
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError):
        return pins_of(json.loads(lock.read_text(encoding="utf-8")))
    return {}


def _pin(hub: str, revision: str | None) -> str:
    return f"{hub}@{revision or ''}"


def _cached(hub: str, revision: str, env: Mapping[str, str]) -> str | None:
    """The commit that ``huggingface_hub`` last saw a branch or tag at, from its cache."""
    if "HF_HUB_CACHE" in env:
        cache = Path(env["HF_HUB_CACHE"])
    elif "HF_HOME" in env:
        cache = Path(env["HF_HOME"]) / "hub"
    elif "HOME" in env:
        home = Path(env.get("XDG_CACHE_HOME") or Path(env["HOME"]) / ".cache")
        cache = home / "huggingface" / "hub"
    else:
        return None
    with suppress(OSError, ValueError):
        reference = cache / f"datasets--{hub.replace('/', '--')}" / "refs" / revision
        commit = reference.read_text(encoding="utf-8").strip()
        return commit if _COMMIT.fullmatch(commit) else None
    return None
