"""Where a changed parameter of a step stands in the spec.

Plans name no source, so that the twins compile to one plan. The place is found again by the name of
the parameter and its value; where that is not certain, none is given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dagent.compiler.diff import Change, Difference, Reason
from dagent.compiler.plan import Plan
from dagent.compiler.spec import place
from dagent.dsl import document
from dagent.dsl.source import Span

Leaf = tuple[str, Any, Span]
# What a digest in a step's parameters is the digest of.
_FILES = ("program", "path", "model")
_GOAL = re.compile(r"requirements\[(\d+)\]\.")


def located(difference: Difference, new: Plan, root: document.Mapping, folder: Path) -> Difference:
    """The difference with a place at every reason that has a certain one in ``root``, the document
    of the spec in ``folder``; files are named from there."""
    leaves: dict[str, list[Leaf]] = {}
    for leaf in _leaves(root):
        leaves.setdefault(leaf[0], []).append(leaf)
    params = {step.id: step.params for step in new.steps}

    def placed(reason: Reason, step: str | None) -> Reason:
        if reason.by is not None or reason.after is None:
            return reason
        return replace(reason, place=_place(reason, params.get(step or "", {}), leaves, folder))

    def change(found: Change) -> Change:
        return replace(found, reasons=tuple(placed(r, found.step) for r in found.reasons))

    return replace(
        difference,
        plan=tuple(placed(r, None) for r in difference.plan),
        steps=tuple(change(c) for c in difference.steps),
    )


def _place(
    reason: Reason,
    params: Mapping[str, Any],
    leaves: Mapping[str, list[Leaf]],
    folder: Path,
) -> str | None:
    name = reason.what.rpartition(".")[2]
    wanted = reason.after
    if name == "sha256":
        near = _inside(params, reason.what.rpartition(".")[0])
        name = next((key for key in _FILES if key in near), name)
        wanted = near.get(name)
    if goal := _GOAL.match(reason.what):
        name, wanted = f"require[{goal[1]}]", None
    found = leaves.get(name, [])
    same = [leaf for leaf in found if leaf[1] == wanted]
    spans = {(leaf[2].source.name, leaf[2].start): leaf[2] for leaf in same or found}
    if len(spans) != 1:
        return None
    (span,) = spans.values()
    return f"{Path(os.path.relpath(span.source.name, folder)).as_posix()}:{span.line}"


def _inside(params: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    value: Any = params
    for part in filter(None, path.split(".")):
        value = value.get(part, {}) if isinstance(value, Mapping) else {}
    return value if isinstance(value, Mapping) else {}


def _leaves(node: document.Node, key: str = "") -> Iterator[Leaf]:
    if isinstance(node, document.Mapping):
        for entry in node:
            yield from _leaves(entry.value, entry.key)
    elif isinstance(node, document.Sequence) and any(
        isinstance(item, document.Mapping) for item in node.items
    ):
        for item in node.items:
            yield from _leaves(item, key)
    else:
        given = node.given if isinstance(node, document.Scalar) else None
        yield key, document.plain(node), given or node.span
        if isinstance(node, document.Sequence):
            for index, item in enumerate(node.items):
                yield f"{key}[{index}]", document.plain(item), item.span


def argument_place(
    root: document.Mapping | None, block: str, at: int, name: str | None, value: Any
) -> Span | None:
    """Where an argument of ``block`` stands, which is ``lora``, ``generation`` or the stage number
    ``at``: there in the spec, or in the one arm that says so. Without a ``name`` the block."""
    if root is None:
        return None
    way: document.Path = ("student", block) if block in ("lora", "generation") else ("train", at)
    if name is None:
        return place(root, way if way[0] == "student" else (*way, "stage"))
    if document.plain(document.locate(root, (*way, name))) == value:
        return place(root, (*way, name))
    # An arm says it by its path: `train.sft.tf32 = true`.
    alike = (leaf for leaf in _leaves(root) if leaf[0].rpartition(".")[2] == name)
    spans = {leaf[2] for leaf in alike if leaf[1] == value}
    return spans.pop() if len(spans) == 1 else None
