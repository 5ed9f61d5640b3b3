"""What can be said of a document before it is read: its structure, its amounts and its goals.

All three together, so that a misspelt key does not hide a wrong unit.
"""

from __future__ import annotations

from collections.abc import Collection

from dagent.compiler import quantity
from dagent.compiler.read import within
from dagent.compiler.requirement import read_requirement
from dagent.dsl.diagnostics import Diagnostics, Edit
from dagent.dsl.document import Mapping, Node, Scalar, Sequence
from dagent.dsl.schema import Schema, child, load
from dagent.dsl.source import Span
from dagent.dsl.structure import check_structure, told


def check_document(
    root: Mapping,
    diagnostics: Diagnostics,
    unknown: Collection[Span] = (),
    *,
    complete: bool = True,
) -> None:
    """Report what is wrong with a document without references.

    ``unknown`` are the places of values that nobody knows, such as `$no_such`: nothing is said of
    them. Of a document that is not ``complete`` nobody is told what it lacks.
    """
    before = tuple(diagnostics)
    check_structure(root, diagnostics, unknown, complete=complete)
    found = Diagnostics(origins=diagnostics.origins)
    _visit(root, load(), (), found)
    for d in found:
        if not told(d, before, unknown):
            diagnostics.add(d)


def _visit(
    node: Node, schema: Schema | None, path: tuple[str, ...], diagnostics: Diagnostics
) -> None:
    if schema is None:
        return
    if isinstance(node, Mapping):
        for entry in node:
            _visit(entry.value, child(schema, entry.key), (*path, entry.key), diagnostics)
    elif isinstance(node, Sequence):
        for item in node.items:
            _visit(item, child(schema, 0), path, diagnostics)
    elif schema.get("x-requirement") and isinstance(node.value, str):
        read_requirement(node, diagnostics)
    elif "x-quantity" in schema:
        _amount(node, schema["x-quantity"], path, diagnostics)


def _amount(node: Scalar, kind: str, path: tuple[str, ...], diagnostics: Diagnostics) -> None:
    if node.value is None or isinstance(node.value, bool):
        return  # of the wrong type, which the structure says
    found = quantity.parse(node.value, kind)
    if isinstance(found, quantity.Problem):
        place = within(node.span, found.part)
        diagnostics.error(
            found.code,
            f"`{'.'.join(path)}`: {found.message}",
            place,
            found.suggestion,
            fix=[Edit(place, found.instead)] if found.instead and place.text == found.part else [],
        )
