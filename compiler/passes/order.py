"""Puts steps behind everything they wait for, and otherwise leaves them where they were."""

from __future__ import annotations

import heapq

from dagent.compiler.plan import Step, input_step


def order(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """A topological order; among steps that are ready, the one that came first goes first.

    Raises:
        ValueError: when steps wait for each other in a circle, which no spec can cause.
    """
    place = {step.id: index for index, step in enumerate(steps)}
    waits: dict[str, set[str]] = {}
    waiting: dict[str, list[str]] = {step.id: [] for step in steps}
    for step in steps:
        waits[step.id] = {input_step(ref) for ref in step.inputs.values()} | set(step.after)
        for id in waits[step.id]:
            waiting[id].append(step.id)
    ready = [place[id] for id, needs in waits.items() if not needs]
    heapq.heapify(ready)
    ordered: list[Step] = []
    while ready:
        step = steps[heapq.heappop(ready)]
        ordered.append(step)
        for id in waiting[step.id]:
            waits[id].discard(step.id)
            if not waits[id]:
                heapq.heappush(ready, place[id])
    if len(ordered) != len(steps):
        raise ValueError("steps wait for each other in a circle")
    return tuple(ordered)
