"""Gives every step its key and merges steps with equal keys: equal work is done once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from dagent.compiler.plan import Step, input_step, step_key


def share(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps with keys, equal ones merged and references turned to the one that is left.

    Steps must come after their inputs. A merged step waits for whatever any of its copies waited
    for only where this cannot make a circle: ``after`` of the first one is what counts. It is named
    after what its copies have in common: what all seeds of an arm need loses the seed, what all
    arms need loses the arm.
    """
    keys: dict[str, str] = {}
    kept: dict[str, Step] = {}
    copies: dict[str, list[str]] = {}
    same: dict[str, str] = {}
    for step in steps:
        inputs = {name: _turned(ref, same) for name, ref in step.inputs.items()}
        after = tuple(sorted({same[id] for id in step.after}))
        step = replace(step, inputs=inputs, after=after)
        step = replace(step, key=step_key(step, keys))
        keys[step.id] = step.key
        first = kept.setdefault(step.key, step)
        same[step.id] = first.id
        copies.setdefault(first.id, []).append(step.id)
    names = _names(copies)
    return tuple(
        replace(
            step,
            id=names[step.id],
            inputs={name: _turned(ref, names) for name, ref in step.inputs.items()},
            after=tuple(sorted(names[id] for id in step.after)),
        )
        for step in kept.values()
    )


def _turned(reference: str, names: Mapping[str, str]) -> str:
    return f"{names[input_step(reference)]}/{reference.rsplit('/', 1)[1]}"


def _names(copies: Mapping[str, list[str]]) -> dict[str, str]:
    """A name for each kept step, by its id. Where two would get one name, both keep their own."""
    common = {id: _common(ids) for id, ids in copies.items()}
    counts = Counter(common.values())
    return {id: name if counts[name] == 1 else id for id, name in common.items()}


def _common(ids: list[str]) -> str:
    """``s1/split`` of ``loop/s1/split`` and ``blind/s1/split``; ids without a slash stay."""
    *shared, name = ids[0].split("/")
    for id in ids[1:]:
        *prefix, _ = id.split("/")
        shared = [part for part in shared if part in prefix]
    return "/".join((*shared, name))
