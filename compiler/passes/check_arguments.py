"""Arguments of other libraries' configs: they exist, fit, and are not dagent's own to set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dagent.compiler import arguments
from dagent.compiler.spec import Spec
from dagent.compiler.tables import Argument, Table, table
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Span

SHOWN = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "object": "a block",
    "array": "a list",
    "null": "null",
}
_MANY = {"integer": "whole numbers", "number": "numbers", "string": "texts"}
_TYPES = {"boolean": bool, "string": str, "object": dict, "array": list, "null": type(None)}


def check_arguments(spec: Spec, diagnostics: Diagnostics) -> None:
    for index, stage in enumerate(spec.train):
        _check(spec, stage.args, table(stage.stage), arguments.TRL, ("train", index), diagnostics)
    lora, generation = ("student", "lora"), ("student", "generation")
    _check(spec, spec.student.lora, table("lora"), arguments.LORA, lora, diagnostics)
    given = spec.student.generation
    if not given:
        return
    clean = _check(spec, given, table("generation"), arguments.GENERATION, generation, diagnostics)
    if clean:
        _check_sampling(spec, diagnostics)


def _check(
    spec: Spec,
    given: Mapping[str, Any],
    of: Table,
    owned: Mapping[str, str],
    path: tuple[str | int, ...],
    diagnostics: Diagnostics,
) -> bool:
    """Whether nothing is wrong with the arguments that stand at ``path``."""
    before = len(tuple(diagnostics))
    for name, value in given.items():
        key = spec.key(*path, name)
        argument = of.arguments.get(name)
        if argument is None:
            version = ", ".join(f"{package} {v}" for package, v in of.versions.items())
            remedy = did_you_mean(name, [a for a in of.arguments if a not in owned])
            diagnostics.error(
                "E602", f"{of.config} has no argument `{name}` ({version})", key, remedy
            )
        elif name in owned:
            message = f"`{name}` is not yours to set: {owned[name]}"
            diagnostics.error("E605", message, key, "remove it")
        else:
            _check_value(name, value, argument, spec.at(*path, name), diagnostics)
    return len(tuple(diagnostics)) == before


def _check_value(
    name: str, value: Any, argument: Argument, place: Span, diagnostics: Diagnostics
) -> None:
    types, choices, default = argument.types, argument.choices, argument.default
    if isinstance(value, float) and not math.isfinite(value):
        diagnostics.error("E603", f"`{name}` is not finite", place, "write a number")
    elif types and not any(_is(value, kind) for kind in types):
        wanted = [shown(kind) for kind in types if kind != "null" and shown(kind)]
        python = [kind for kind in types if not shown(kind)]
        if not wanted and python:
            message = f"`{name}` takes a Python `{python[0]}`, which a spec cannot hold"
            diagnostics.error("E610", message, place, "remove it")
            return
        words = " or ".join(wanted) or "null"
        remedy = (
            f"the default is `{_written(default)}`" if default is not None else f"write {words}"
        )
        diagnostics.error("E603", f"`{name}` takes {words}", place, remedy)
    elif isinstance(value, str) and choices and not _chosen(value, choices):
        nearest = did_you_mean(value, choices, "one of: " + ", ".join(choices))
        diagnostics.error("E611", f"`{name}` takes no `{value}`", place, nearest)


def _check_sampling(spec: Spec, diagnostics: Diagnostics) -> None:
    given = spec.student.generation
    for name, (least, included, most) in arguments.SAMPLING.items():
        value = given.get(name)
        if value is None:
            continue
        place = spec.at("student", "generation", name)
        if not (least < value <= most or (included and value == least)):
            bounds = f"{'at least' if included else 'above'} {least:g}"
            bounds += f" and at most {most:g}" if math.isfinite(most) else ""
            remedy = "for greedy answers leave it out" if name == "temperature" else None
            diagnostics.error("E612", f"`{name}` is {bounds}", place, remedy)
        elif given.get("do_sample") is False:
            diagnostics.error(
                "E613",
                f"`{name}` steers sampling, and `do_sample` is false",
                spec.key("student", "generation", name),
                "remove one of the two",
            )


def shown(kind: str) -> str:
    """A type of the tables in words; empty for a Python class.

    >>> shown("string[]"), shown("integer[][]"), shown("CompileConfig")
    ('a list of texts', 'a list of lists of whole numbers', '')
    """
    depth = kind.count("[]")
    if not depth:
        return SHOWN.get(kind, "")
    return "a list of " + "lists of " * (depth - 1) + _MANY[kind.removesuffix("[]" * depth)]


def _is(value: Any, kind: str) -> bool:
    if kind.endswith("[]"):
        return isinstance(value, list) and all(_is(v, kind.removesuffix("[]")) for v in value)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return kind in _TYPES and isinstance(value, _TYPES[kind])


def _chosen(value: str, choices: tuple[str, ...]) -> bool:
    """A choice such as ``pissa_niter_[number of iters]`` stands for all that begin so."""
    return any(value.startswith(c.partition("[")[0]) if "[" in c else value == c for c in choices)


def _written(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)
