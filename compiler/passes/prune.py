"""Drops steps whose outputs nothing needs."""

from __future__ import annotations

from collections.abc import Iterable

from dagent.compiler.plan import Step, input_step

NEEDED = ("result", "compare")


def prune(steps: tuple[Step, ...], needed: Iterable[str] = NEEDED) -> tuple[Step, ...]:
    """The steps from which a needed one can be reached, in their order."""
    by_id = {step.id: step for step in steps}
    kept: set[str] = set()
    waiting = [id for id in needed if id in by_id]
    while waiting:
        id = waiting.pop()
        if id not in kept:
            kept.add(id)
            step = by_id[id]
            waiting += [input_step(ref) for ref in step.inputs.values()]
            waiting += step.after
    return tuple(step for step in steps if step.id in kept)
