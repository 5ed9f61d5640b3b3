"""Gives every step its key and merges steps with equal keys: equal work is done once."""

from __future__ import annotations

from dataclasses import replace

from dagent.compiler.plan import Step, input_step, step_key


def share(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Steps with keys, the first of equal ones kept and references turned to it.

    Steps must come after their inputs. A merged step waits for whatever any of its copies waited
    for only where this cannot make a circle: ``after`` of the kept one is what counts.
    """
    keys: dict[str, str] = {}
    kept: dict[str, Step] = {}
    same: dict[str, str] = {}
    for step in steps:
        inputs = {
            name: f"{same[input_step(ref)]}/{ref.rsplit('/', 1)[1]}"
            for name, ref in step.inputs.items()
        }
        after = tuple(sorted({same[id] for id in step.after}))
        step = replace(step, inputs=inputs, after=after)
        step = replace(step, key=step_key(step, keys))
        keys[step.id] = step.key
        first = kept.setdefault(step.key, step)
        same[step.id] = first.id
    return tuple(kept.values())
