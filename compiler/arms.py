"""Arms: the spec and its variants, compared under one budget and repeated over seeds.

The spec itself is the arm ``loop``. A control is a name for overrides, and an override is a value
put in place of the spec's before anything is checked, so that an arm is checked like any spec and
a finding points at the override.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict

from msgspec import Struct

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Entry, Mapping, Node, Plain, Scalar, Sequence
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Span

LOOP = "loop"

# Each takes from the loop what its name says, and nothing else: rows, calls and trainings stay.
_BLIND = {"engineer.feedback": False}
_UNGUIDED = {"engineer.prefer_wrong": 0}
_ALONE = {"engineer.accumulate": False}
CONTROLS: Dict[str, Dict[str, Plain]] = {
    "one_shot": {**_BLIND, **_UNGUIDED},
    "uniform": {"engineer.planner.policy": "uniform", **_UNGUIDED},
    "random": {"engineer.planner.policy": "random", **_UNGUIDED},
    "best_of_k": {"engineer.planner.policy": "random", **_UNGUIDED, **_ALONE},
    "matched": {"engineer.planner.policy": "matched", **_UNGUIDED},
    "best_of_k_matched": {"engineer.planner.policy": "matched", **_UNGUIDED, **_ALONE},
    "unverified": {"engineer.verifier": None, "engineer.verify": None},
    "blind": dict(_BLIND),
    "ungated": {"criteria.gate.rule": "always"},
}

# What makes arms comparable is the same for all of them.
SHARED = ("arms", "language", "import", "let", "param", "seed", "domain", "data", "budget")
JUDGED = ("metric", "require", "guard")


class Arm(Struct, frozen=True):
    """``root`` is the document of this arm, without the block ``arms``."""

    name: str
    control: str | None
    root: Mapping


def arms(root: Mapping, diagnostics: Diagnostics) -> tuple[Arm, ...]:
    """The loop, then the arms in the order of their names; a spec without ``arms`` has the loop
    alone. ``root`` must have the structure of the schema."""
    bare = Mapping(tuple(e for e in root if e.key != "arms"), root.span)
    return (Arm(LOOP, None, bare), *_variants(root, bare, diagnostics))


def seeds(root: Mapping) -> tuple[int, ...]:
    """The seeds that every arm is repeated over, in the order given; none if the spec's counts."""
    block = root.get("arms")
    node = block.get("seeds") if isinstance(block, Mapping) else None
    items = node.items if isinstance(node, Sequence) else ()
    return tuple(int(i.value) for i in items if isinstance(i, Scalar) and i.value is not None)


def _variants(root: Mapping, bare: Mapping, diagnostics: Diagnostics) -> Iterator[Arm]:
    block = root.get("arms")
    named = block.get("arm") if isinstance(block, Mapping) else None
    if not isinstance(named, Mapping):
        return
    for entry in sorted(named, key=lambda e: e.key):
        if entry.key == LOOP:
            diagnostics.error(
                "E520",
                f"`{LOOP}` is the spec itself",
                entry.key_span,
                "give the arm another name",
            )
            continue
        assert isinstance(entry.value, Mapping)
        control = entry.value.get("control")
        name = str(control.value) if isinstance(control, Scalar) else None
        changed = bare
        if isinstance(control, Scalar):
            for dotted, value in CONTROLS[str(control.value)].items():
                given_by = Scalar(value, control.span)
                changed = _put(changed, dotted.split("."), given_by, control.span)
        given = entry.value.get("set")
        for path, override in _overrides(given):
            if _allowed(path, override.key_span, diagnostics):
                changed = _override(changed, path, override, diagnostics)
        yield Arm(entry.key, name, changed)


def _overrides(node: Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Entry]]:
    """``engineer.cap = 10%`` and ``engineer { cap = 10% }`` say the same."""
    for entry in node if isinstance(node, Mapping) else ():
        here = (*path, *entry.key.split("."))
        if isinstance(entry.value, Mapping) and entry.value.entries:
            yield from _overrides(entry.value, here)
        else:
            yield list(here), entry


def _allowed(path: list[str], span: Span, diagnostics: Diagnostics) -> bool:
    where = path[0] if path[0] in SHARED else None
    if path[0] == "criteria" and len(path) > 1 and path[1] in JUDGED:
        where = f"criteria.{path[1]}"
    if where is not None:
        remedy = "use `seeds`" if where == "seed" else "compile a spec of its own for that"
        diagnostics.error("E522", f"`{where}` is the same for all arms", span, remedy)
    return where is None


def _override(root: Mapping, path: list[str], override: Entry, diagnostics: Diagnostics) -> Mapping:
    if len(path) == 1:
        diagnostics.error(
            "E521",
            f"`{path[0]}` is a block, not a value",
            override.key_span,
            f"write what in it to change: `{path[0]}.KEY`",
        )
        return root
    if path[0] == "train":
        return _override_stage(root, path, override, diagnostics)
    return _put(root, path, override.value, override.key_span)


def _override_stage(
    root: Mapping, path: list[str], override: Entry, diagnostics: Diagnostics
) -> Mapping:
    """``train.sft.learning_rate``: the stages are a list, each with its name in it."""
    chain = root.get("train")
    assert isinstance(chain, Sequence)
    items = [i for i in chain.items if isinstance(i, Mapping)]
    names = [str(s.value) for i in items if isinstance(s := i.get("stage"), Scalar)]
    if path[1] not in names or len(path) != 3:
        remedy = did_you_mean(path[1], names, f"write `train.{names[0]}.ARGUMENT`" if names else "")
        diagnostics.error(
            "E521", f"there is no stage `{path[1]}` to change", override.key_span, remedy
        )
        return root
    index = names.index(path[1])
    items[index] = _put(items[index], path[2:], override.value, override.key_span)
    train = Sequence(tuple(items), chain.span)
    entries = (Entry(e.key, e.key_span, train) if e.key == "train" else e for e in root)
    return Mapping(tuple(entries), root.span)


def _put(block: Mapping, path: list[str] | tuple[str, ...], value: Node, span: Span) -> Mapping:
    """The block with ``value`` at ``path``; ``null`` takes the key away. A planner that was a
    program and becomes a policy is no longer a program."""
    key, rest = path[0], path[1:]
    old = block.get(key)
    if rest:
        below = old if isinstance(old, Mapping) else Mapping((), span)
        if tuple(path) == ("planner", "policy"):
            below = Mapping((), span)
        value = _put(below, rest, value, span)
    kept = [e for e in block if e.key != key]
    if isinstance(value, Scalar) and value.value is None:
        return Mapping(tuple(kept), block.span)
    at = next((i for i, e in enumerate(block) if e.key == key), len(kept))
    kept.insert(at, Entry(key, span if old is None else block.entries[at].key_span, value))
    return Mapping(tuple(kept), block.span)
