"""The arguments of TRL's, PEFT's and transformers' configs, read in less than a millisecond.

``arguments.json`` is made by ``python -m dagent.compiler.build_tables`` from the installed
versions; importing TRL takes seconds and torch, which compiling must not. What all TRL configs
share stands there once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

FILE = Path(__file__).with_name("arguments.json")


class Argument(Struct, frozen=True):
    """``types`` are JSON's names of types, with ``[]`` behind for a list of it (``string[]``);
    what is none of those is a Python class, whose values no spec can hold. Empty: anything.
    ``choices`` are the texts allowed, where the library lists them."""

    types: tuple[str, ...]
    choices: tuple[str, ...] = ()
    default: Any = None


class Table(Struct, frozen=True):
    """``config`` is the class, such as ``trl.SFTConfig``; ``versions`` of its packages."""

    config: str
    versions: Mapping[str, str]
    arguments: Mapping[str, Argument]


@functools.cache
def table(name: str) -> Table:
    """The arguments of a training stage's config by the stage's name, of ``lora`` or of
    ``generation``."""
    body = _read()
    found = body["tables"][name]
    shared = body["shared"] if found["shared"] else {}
    return Table(
        config=found["config"],
        versions={package: body["versions"][package] for package in found["packages"]},
        arguments={
            argument: Argument(
                tuple(fields["types"]), tuple(fields.get("choices", ())), fields.get("default")
            )
            for argument, fields in sorted({**shared, **found["arguments"]}.items())
        },
    )


@functools.cache
def _read() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return body
