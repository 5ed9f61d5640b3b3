"""The arguments of TRL's and PEFT's configs, as tables that a compilation reads in a millisecond.

``python -m dagent.compiler.tables`` writes them anew from the installed versions; importing TRL
takes seconds and torch, which compiling must not. A test holds the tables to what is installed.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
TABLES = {
    "trl_sft": ("trl", "SFTConfig", ("trl", "transformers")),
    "peft_lora": ("peft", "LoraConfig", ("peft",)),
}


@functools.cache
def table(name: str) -> Mapping[str, Any]:
    """``{"versions": {...}, "arguments": {name: {"types", "default", "choices"}}}``."""
    body: Mapping[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return body


def build(name: str) -> dict[str, Any]:
    """The table of the installed version. Imports the library, and torch with it."""
    from importlib.metadata import version  # 25 ms that a compilation does not need

    module, config, packages = TABLES[name]
    cls = getattr(importlib.import_module(module), config)
    hints = typing.get_type_hints(cls)
    arguments = {}
    for field in dataclasses.fields(cls):
        kinds, choices = _kinds(hints[field.name])
        chosen = field.metadata.get("choices")
        arguments[field.name] = {
            "types": sorted(kinds),
            "choices": sorted(set(choices) | set(chosen or ()), key=str) or None,
            "default": _plain(field),
        }
    return {"versions": {p: version(p) for p in packages}, "arguments": arguments}


def _kinds(hint: Any) -> tuple[set[str], set[str]]:
    """JSON's names of the types that a hint allows, and the texts where it lists them."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_kinds(part) for part in typing.get_args(hint)]
        kinds = set().union(*(k for k, _ in parts))
        # `Scheduler | str`: the listed texts are all that is allowed. `bool | Literal[…]` likewise.
        return kinds, set().union(*(c for _, c in parts))
    if origin is typing.Literal:
        values = typing.get_args(hint)
        texts = {v for v in values if isinstance(v, str)}
        kinds = {"string"} if texts else set()
        kinds |= {"boolean"} if any(isinstance(v, bool) for v in values) else set()
        return kinds, texts
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"string"}, {str(member.value) for member in hint}
    names = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        dict: "object",
        list: "array",
        tuple: "array",
        type(None): "null",
    }
    return ({names[origin or hint]} if (origin or hint) in names else set()), set()


def _plain(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        value = field.default
    if isinstance(value, enum.Enum):
        value = value.value
    return value if isinstance(value, str | int | float | bool | list | dict) else None


def main() -> None:
    for name in TABLES:
        text = json.dumps(build(name), sort_keys=True, indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
