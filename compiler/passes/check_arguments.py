"""Arguments of other libraries' configs: they exist, fit, and are not dagent's own to set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from dagent.compiler import arguments
from dagent.compiler.lock import installed
from dagent.compiler.spec import Spec
from dagent.compiler.tables import Argument, Table, table
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.nearest import did_you_mean

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
    clean = True
    for name, value in given.items():
        found = problem(name, value, of, owned)
        if found is None and (path[0] == "train" or path[-1] == "lora"):
            found = _out_of_bounds(name, value, of)
        if found is not None:
            clean = False
            span = (spec.key if found.of_key else spec.at)(*path, name)
            diagnostics.error(found.code, found.message, span, found.remedy)
    return clean


class Problem(Struct, frozen=True):
    """``of_key``: the name is wrong, not the value."""

    code: str
    message: str
    remedy: str | None
    of_key: bool = False


def problem(name: str, value: Any, of: Table, owned: Mapping[str, str]) -> Problem | None:
    """What is wrong with an argument; ``owned`` are those that dagent sets itself, and why."""
    argument = of.arguments.get(name)
    if argument is None:
        version = versions_of(of)
        remedy = did_you_mean(name, [a for a in of.arguments if a not in owned], "remove it")
        if (successor := arguments.FORMER.get(name)) in of.arguments:
            remedy = f"`{successor}` took its place"
        elif (here := arguments.ELSEWHERE.get(name)) in of.arguments:
            remedy = f"it is called `{here}` here"
        return Problem("E602", f"{of.config} has no argument `{name}` ({version})", remedy, True)
    if name in owned:
        message = f"`{name}` is not yours to set: {owned[name]}"
        return Problem("E605", message, "remove it", True)
    if isinstance(value, float) and not math.isfinite(value):
        return Problem("E603", f"`{name}` is not finite", "write a number")
    if argument.types and not any(_is(value, kind) for kind in argument.types):
        return _wrong_type(name, value, argument)
    if isinstance(value, str) and name.endswith("_kwargs"):  # JSON, from a command line
        return Problem("E603", f"`{name}` takes a block, and `{value}` is a text", "write a block")
    words = argument.choices or arguments.WORDS.get((of.config, name), ())
    for word in value if isinstance(value, list) else [value]:
        if isinstance(word, str) and words and not _chosen(word, words):
            nearest = did_you_mean(word, words, "one of: " + ", ".join(words))
            return Problem("E611", f"`{name}` takes no `{word}`", nearest)
    return None


def versions_of(table: Table) -> str:
    """The versions that a table is of; and those that are installed, where they are others: an
    argument that came since is known to them and not to the table."""
    here = installed(table.versions)
    other = [f"{p} {here[p]}" for p, v in table.versions.items() if here.get(p, v) != v]
    known = ", ".join(f"{package} {v}" for package, v in table.versions.items())
    return known + (f"; installed: {', '.join(other)}" if other else "")


def _out_of_bounds(name: str, value: Any, of: Table) -> Problem | None:
    bounds = arguments.OF_STAGE.get((of.config, name)) or arguments.TRAINING.get(name)
    if bounds is None or not _is(value, "number") or value in bounds:
        return None
    remedy = _default(of.arguments[name]) or "correct the number"
    return Problem("E612", f"`{name}` is {bounds}", remedy)


def _wrong_type(name: str, value: Any, argument: Argument) -> Problem:
    wanted = [shown(kind) for kind in argument.types if kind != "null" and shown(kind)]
    python = [kind for kind in argument.types if not shown(kind)]
    if not wanted and python:
        message = f"`{name}` takes a Python `{python[0]}`, which a spec cannot hold"
        return Problem("E610", message, "remove it")
    words = " or ".join(wanted) or "null"
    message = f"`{name}` takes {words}"
    if isinstance(value, str):
        endless = value.lstrip("+-.").lower() in ("nan", "inf", "infinity")
        message += f", and `{value}` is {'not finite' if endless else 'a text'}"
    return Problem("E603", message, _default(argument) or f"write {words}")


def _default(argument: Argument) -> str | None:
    default = argument.default
    return None if default is None else f"the default is `{_written(default)}`"


def _check_sampling(spec: Spec, diagnostics: Diagnostics) -> None:
    given = spec.student.generation
    for name, bounds in arguments.SAMPLING.items():
        value = given.get(name)
        if value is None:
            continue
        place = spec.at("student", "generation", name)
        if value not in bounds:
            greedy = name == "temperature"
            remedy = "for greedy answers leave it out" if greedy else "correct the number"
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
