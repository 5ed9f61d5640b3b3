"""Plan -> Graphviz. Rounds are clusters, as in the mermaid chart."""

from __future__ import annotations

from dagent.compiler.graph import joined
from dagent.compiler.plan import Plan, Step

SHAPES = {"data": "cylinder", "student": "cylinder", "gate": "hexagon"}


def dot(plan: Plan, only: int | None = None) -> str:
    """A digraph in Graphviz's language, ending in a line break."""
    lines = [
        f"digraph {_quoted(plan.name)} {{",
        "  compound=true; rankdir=TB;",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ]
    steps = [s for s in plan.steps if only is None or s.round == only]
    lines += [f"  {_node(step)}" for step in steps if step.round is None]
    boxes: dict[str, list[Step]] = {}
    for step in steps:
        if step.round is not None:
            boxes.setdefault(f"R{step.round}", []).append(step)
    for box, members in boxes.items():
        lines.append(f"  subgraph cluster_{box} {{")
        lines.append(f"    label={_quoted(f'round {box[1:]}')};")
        lines += [f"    {_node(step)}" for step in members]
        lines.append("  }")
    for source, target in joined(plan, only):
        # Graphviz draws edges between nodes only; an edge of a box is cut off at its border.
        marks = [f"ltail=cluster_{source}"] if source in boxes else []
        marks += [f"lhead=cluster_{target}"] if target in boxes else []
        tail = boxes[source][-1].id if source in boxes else source
        head = boxes[target][0].id if target in boxes else target
        cut = f" [{', '.join(marks)}]" if marks else ""
        lines.append(f"  {_quoted(tail)} -> {_quoted(head)}{cut};")
    return "\n".join([*lines, "}"]) + "\n"


def _node(step: Step) -> str:
    label = step.id.split(".", 1)[1] if step.round is not None else step.id
    shape = f", shape={SHAPES[step.kind]}, style=solid" if step.kind in SHAPES else ""
    return f"{_quoted(step.id)} [label={_quoted(label)}{shape}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
