"""Plan -> mermaid. Rounds are boxes; what every round takes from outside is drawn once, to the box.

    data --> split --> r0 --> r1 --> … --> test --> result

Arrows that follow from others are left out, so that five rounds stay readable. ``only`` draws one
round with all its inputs.
"""

from __future__ import annotations

from collections.abc import Iterator

from dagent.compiler.plan import Plan, Step, input_step


def mermaid(plan: Plan, only: int | None = None) -> str:
    """A flowchart in mermaid's syntax, ending in a line break."""
    lines = ["flowchart TD"]
    steps = [s for s in plan.steps if only is None or s.round == only]
    outside = [s for s in steps if s.round is None]
    lines += [f"  {_node(step)}" for step in outside]
    for number in sorted({s.round for s in steps if s.round is not None}):
        title = "round 0: the base" if number == 0 else f"round {number}"
        lines.append(f"  subgraph R{number}[{title}]")
        lines += [f"    {_node(s)}" for s in steps if s.round == number]
        lines.append("  end")
    lines += [f"  {_called(a)} --> {_called(b)}" for a, b in joined(plan, only)]
    return "\n".join(lines) + "\n"


def joined(plan: Plan, only: int | None = None) -> list[tuple[str, str]]:
    """The edges to draw: ids of steps, and ``R3`` for the box of round 3."""
    edges = _edges(plan) if only is None else _edges_of(plan, only)
    return needed(list(dict.fromkeys(edges)))


def needed(edges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges that no longer way implies. They come in the order of the steps they lead to."""
    ahead: dict[str, list[str]] = {}
    reach: dict[str, set[str]] = {}
    for a, b in reversed(edges):  # so that what can be reached from b is known in full
        ahead.setdefault(a, []).append(b)
        reach.setdefault(a, set()).update({b}, reach.get(b, ()))
    return [(a, b) for a, b in edges if not any(b in reach.get(c, ()) for c in ahead[a] if c != b)]


def _edges(plan: Plan) -> Iterator[tuple[str, str]]:
    """Edges within a round join steps; edges between rounds join boxes, each once."""
    by_id = {step.id: step for step in plan.steps}
    for step in plan.steps:
        for id in dict.fromkeys([*map(input_step, step.inputs.values()), *step.after]):
            source = by_id[id]
            if source.round == step.round:
                yield source.id, step.id
            else:
                yield _box(source), _box(step)


def _edges_of(plan: Plan, only: int) -> Iterator[tuple[str, str]]:
    for step in plan.steps:
        if step.round == only:
            for id in dict.fromkeys(map(input_step, step.inputs.values())):
                yield id, step.id


def _box(step: Step) -> str:
    return step.id if step.round is None else f"R{step.round}"


def _called(end: str) -> str:
    """A box by its own name; a step by one that mermaid takes. No step is called like a box."""
    return end if end[0] == "R" and end[1:].isdigit() else _name(end)


def _node(step: Step) -> str:
    label = step.id.split(".", 1)[1] if step.round is not None else step.id
    shape = {"data": ("[(", ")]"), "gate": ("{{", "}}"), "student": ("[(", ")]")}
    left, right = shape.get(step.kind, ("[", "]"))
    return f'{_name(step.id)}{left}"{label}"{right}'


def _name(id: str) -> str:
    """Mermaid's names take no dots, and ``end`` is a keyword: a prefix keeps clear of those."""
    return "s_" + "".join(c if c.isalnum() else "_" for c in id)
