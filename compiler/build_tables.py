"""``python -m dagent.compiler.build_tables`` writes ``arguments.json`` from what is installed.

Imports TRL, and torch with it. A test holds the file to what is installed.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import importlib
import json
import re
import types
import typing
from importlib.metadata import version
from typing import Any

from dagent.compiler.tables import FILE

# Table -> module and class.
TRL = {
    "sft": ("trl", "SFTConfig"),
    "dpo": ("trl", "DPOConfig"),
    "kto": ("trl", "KTOConfig"),
    "grpo": ("trl", "GRPOConfig"),
    "rloo": ("trl", "RLOOConfig"),
    "reward": ("trl", "RewardConfig"),
    "distillation": ("trl", "DistillationConfig"),
    "orpo": ("trl.experimental.orpo", "ORPOConfig"),
    "gkd": ("trl.experimental.gkd", "GKDConfig"),
}
LORA = ("peft", "LoraConfig")
GENERATION = ("transformers", "GenerationConfig")

_JSON = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    dict: "object",
    list: "array",
    tuple: "array",
    type(None): "null",
    Any: "any",
}
# `        temperature (`float`, *optional*):` in a docstring.
_DOCUMENTED = re.compile(r"^ {8}(\w+) *:? *\((.*?)(?:, \*optional\*.*)?\)+:?$", re.MULTILINE)


def build() -> dict[str, Any]:
    """The body of ``arguments.json``."""
    trl = {name: _dataclass(*where) for name, where in TRL.items()}
    first, *others = trl.values()
    shared = {k: v for k, v in first.items() if all(o.get(k) == v for o in others)}
    tables = {
        name: {
            "config": ".".join(TRL[name]),
            "packages": ["trl", "transformers"],
            "shared": True,
            "arguments": {k: v for k, v in arguments.items() if k not in shared},
        }
        for name, arguments in trl.items()
    }
    for name, where, arguments in (
        ("lora", LORA, _dataclass(*LORA)),
        ("generation", GENERATION, _documented(*GENERATION)),
    ):
        tables[name] = {
            "config": ".".join(where),
            "packages": [where[0]],
            "shared": False,
            "arguments": arguments,
        }
    return {
        "versions": {package: version(package) for package in ("peft", "transformers", "trl")},
        "shared": shared,
        "tables": tables,
    }


def _dataclass(module: str, name: str) -> dict[str, Any]:
    """The arguments of a config that is a dataclass."""
    cls = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(cls)
    return {
        field.name: _argument(hints[field.name], field.metadata.get("choices"), _default(field))
        for field in dataclasses.fields(cls)
        if field.init
    }


def _documented(module: str, name: str) -> dict[str, Any]:
    """The arguments of a config that takes ``**kwargs``: their types stand in its docstring."""
    cls = getattr(importlib.import_module(module), name)
    space = {**vars(builtins), **vars(typing), **vars(importlib.import_module(cls.__module__))}
    defaults = cls._get_default_generation_params()
    known = vars(cls())
    arguments = {}
    for argument, written in _DOCUMENTED.findall(cls.__doc__):
        hint = re.sub(r"tuple\(([^()]*)\)", r"tuple[\1]", written.replace("`", ""))
        if argument in known:
            hint = eval(hint.replace(" or ", " | "), space)
            arguments[argument] = _argument(hint, None, defaults.get(argument))
    return arguments


def _argument(hint: Any, choices: Any, default: Any) -> dict[str, Any]:
    kinds, listed = _kinds(hint)
    made: dict[str, Any] = {"types": [] if "any" in kinds else sorted(kinds)}
    if words := listed | set(choices or ()):
        made["choices"] = sorted(words, key=str)
    if default is not None:
        made["default"] = default
    return made


def _kinds(hint: Any) -> tuple[set[str], set[str]]:
    """The types that a hint allows, and the texts where it lists them.

    Of ``Scheduler | str`` with an enumeration ``Scheduler`` the listed texts are all that is
    allowed; so are those of ``bool | Literal[…]``.
    """
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_kinds(part) for part in inside]
        return set().union(*(k for k, _ in parts)), set().union(*(c for _, c in parts))
    if origin is typing.Literal:
        return {_JSON[type(v)] for v in inside}, {v for v in inside if isinstance(v, str)}
    if origin in (list, tuple):
        items = set().union(*(_kinds(item)[0] for item in inside if item is not Ellipsis))
        if len(items) == 1:
            return {f"{items.pop()}[]"}, set()
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"string"}, {str(member.value) for member in hint}
    if origin is dict and inside[0] is not str:
        return {str(hint)}, set()  # JSON's keys are texts
    plain = origin or hint
    return {_JSON[plain] if plain in _JSON else getattr(plain, "__name__", str(plain))}, set()


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        value = field.default
    value = value.value if isinstance(value, enum.Enum) else value
    return value if isinstance(value, str | int | float | bool | list | dict) else None


def dumps(value: Any, depth: int = 0) -> str:
    """JSON with an argument a line, so that what a new version changes can be reviewed."""
    if not isinstance(value, dict) or "types" in value:
        return json.dumps(value, sort_keys=True)
    gap = "\n" + " " * depth
    inside = ",".join(
        f"{gap} {json.dumps(k)}: {dumps(v, depth + 1)}" for k, v in sorted(value.items())
    )
    return f"{{{inside}{gap}}}"


def main() -> None:
    FILE.write_text(dumps(build()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
