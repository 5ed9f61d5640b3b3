"""Plan -> SVG, drawn here, so that no program has to be installed.

Columns from left to right: what comes before the rounds, each round, what comes after. A column is
a box whose steps stand in layers, each behind everything it takes; arrows between boxes follow from
those between steps, and what other arrows imply is left out.

    +- before -+    +- round 0 -+    +- round 1 -+    +- after -+
    | data.dev | -> | evaluate  | -> | diagnose  | -> | result  |
    +----------+    +-----------+    +-----------+    +---------+
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from msgspec import Struct

from dagent.compiler.graph import needed
from dagent.compiler.kinds import KINDS
from dagent.compiler.plan import Plan, Step, input_step
from dagent.compiler.totals import cells

CHARACTER, PADDING, HEIGHT = 7.2, 12, 28  # of a step's box, at 12 px of a sans-serif type
GAP, LAYER, MARGIN, TITLE, BETWEEN = 10, 24, 14, 26, 44
COLOURS = {
    "data": "#dbeafe", "split": "#dbeafe", "student": "#dbeafe",
    "train": "#fde68a", "evaluate": "#dcfce7", "result": "#dcfce7", "gate": "#fecaca",
}  # fmt: skip
STYLE = """
  text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #1f2937 }
  .title { font-weight: 600 } .note { fill: #6b7280 }
  .box { fill: #f9fafb; stroke: #d1d5db } .step { stroke: #6b7280; stroke-width: .8 }
  .edge { fill: none; stroke: #6b7280; stroke-width: 1.2; marker-end: url(#tip) }
"""


class Box(Struct, frozen=True):
    """A column: its title, its steps in layers, and its size with the margins."""

    name: str
    title: str
    layers: tuple[tuple[Step, ...], ...]
    round: int | None

    @property
    def width(self) -> float:
        rows = [
            sum(_width(s, self) for s in layer) + GAP * (len(layer) - 1) for layer in self.layers
        ]
        return 2 * MARGIN + max([*rows, CHARACTER * len(self.title)])

    @property
    def height(self) -> float:
        return TITLE + MARGIN + len(self.layers) * (HEIGHT + LAYER) - LAYER


def svg(plan: Plan, only: int | None = None) -> str:
    """The picture; ``only`` draws one round, and what it takes from outside as its first column."""
    boxes = _boxes(plan) if only is None else _boxes_of(plan, only)
    columns = _columns(boxes, _between(boxes))
    places: dict[str, tuple[float, float, float]] = {}  # step -> left, top, width
    corners: dict[str, tuple[float, float]] = {}
    parts: list[str] = []
    between = BETWEEN if only is None else 3 * BETWEEN  # room for arrows of their own
    x = float(MARGIN)
    for column in columns:
        y = float(TITLE + MARGIN)
        for box in column:
            corners[box.name] = (x, y)
            parts += _draw(box, x, y, places)
            y += box.height + BETWEEN
        x += max(box.width for box in column) + between
    width = x - between + MARGIN
    height = (
        max(sum(b.height + BETWEEN for b in column) - BETWEEN for column in columns)
        + TITLE
        + 2 * MARGIN
    )
    edges = _edges(boxes, places, corners, joined=only is not None)
    name = f"{plan.name}: {len(plan.steps)} steps, plan {plan.id[:12]}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img">',
            f"<title>{escape(name)}</title><style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#6b7280"/>',
            "</marker></defs>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{MARGIN}" y="{TITLE - 4}" class="note">{escape(name)}</text>',
            *parts,
            *edges,
            "</svg>\n",
        ]
    )


# --- what stands where -----------------------------------------------------------------------


def _boxes(plan: Plan) -> list[Box]:
    """Steps outside of the rounds come before them, unless they take something from one."""
    by_id = {step.id: step for step in plan.steps}
    names: dict[str, str] = {}
    members: dict[str, list[Step]] = {}
    for step in plan.steps:
        if step.round is not None:
            names[step.id] = f"R{step.round}"
        else:
            first = all(names[id] == "before" for id in _sources(step))
            names[step.id] = "before" if first else "after"
        members.setdefault(names[step.id], []).append(by_id[step.id])
    return [_box(name, steps) for name, steps in members.items()]


def _boxes_of(plan: Plan, only: int) -> list[Box]:
    by_id = {step.id: step for step in plan.steps}
    inside = [step for step in plan.steps if step.round == only]
    taken = dict.fromkeys(id for step in inside for id in _sources(step))
    outside = [by_id[id] for id in taken if by_id[id].round != only]
    before = Box("before", "taken from outside", tuple((s,) for s in outside), None)
    return [*([before] if outside else []), _box(f"R{only}", inside)]


def _box(name: str, steps: Sequence[Step]) -> Box:
    depth: dict[str, int] = {}
    layers: list[list[Step]] = []
    for step in steps:
        depth[step.id] = 1 + max((depth.get(id, -1) for id in _sources(step)), default=-1)
        if depth[step.id] == len(layers):
            layers.append([])
        layers[depth[step.id]].append(step)
    round = steps[0].round
    title = {"before": "before the rounds", "after": "after the rounds", "R0": "round 0: the base"}
    return Box(name, title.get(name, f"round {round}"), tuple(map(tuple, layers)), round)


def _between(boxes: Sequence[Box]) -> list[tuple[str, str]]:
    """Which box takes something from which, without what a longer way implies."""
    home = {step.id: box.name for box in boxes for layer in box.layers for step in layer}
    edges = dict.fromkeys(
        (home[id], box.name)
        for box in boxes
        for layer in box.layers
        for step in layer
        for id in _sources(step)
        if id in home and home[id] != box.name
    )
    return needed(list(edges))


def _columns(boxes: Sequence[Box], edges: Sequence[tuple[str, str]]) -> list[list[Box]]:
    """Boxes by the longest way to them, so that every arrow points to the right."""
    column = {box.name: 0 for box in boxes}
    for box in boxes:  # they come behind everything that they take
        column[box.name] = max((column[a] + 1 for a, b in edges if b == box.name), default=0)
    return [
        [box for box in boxes if column[box.name] == number]
        for number in range(max(column.values()) + 1)
    ]


def _sources(step: Step) -> list[str]:
    return [*map(input_step, step.inputs.values()), *step.after]


def _label(step: Step, box: Box) -> str:
    return step.id.split(".", 1)[1] if box.round is not None else step.id


def _width(step: Step, box: Box) -> float:
    return CHARACTER * len(_label(step, box)) + 2 * PADDING


# --- drawing ---------------------------------------------------------------------------------


def _draw(box: Box, x: float, y: float, places: dict[str, tuple[float, float, float]]) -> list[str]:
    out = [
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="8"/>',
        f'<text class="title" x="{x + MARGIN:.1f}" y="{y + 17:.1f}">{escape(box.title)}</text>',
    ]
    top = y + TITLE
    for layer in box.layers:
        used = sum(_width(s, box) for s in layer) + GAP * (len(layer) - 1)
        left = x + (box.width - used) / 2
        for step in layer:
            width = _width(step, box)
            places[step.id] = (left, top, width)
            out.append(_step(step, _label(step, box), left, top, width))
            left += width + GAP
        top += HEIGHT + LAYER
    return out


def _step(step: Step, label: str, x: float, y: float, width: float) -> str:
    says = [f"{step.id}: {KINDS[step.kind].says}"]
    says += [f"{name}: {text}" for name, text in cells(step.estimate).items()]
    fill = COLOURS.get(step.kind, "#fff")
    return (
        f'<g><title>{escape(chr(10).join(says))}</title><rect class="step" x="{x:.1f}" '
        f'y="{y:.1f}" width="{width:.1f}" height="{HEIGHT}" rx="5" fill="{fill}"/>'
        f'<text x="{x + width / 2:.1f}" y="{y + 18:.1f}" text-anchor="middle">'
        f"{escape(label)}</text></g>"
    )


def _edges(
    boxes: Sequence[Box],
    places: Mapping[str, tuple[float, float, float]],
    corners: Mapping[str, tuple[float, float]],
    *,
    joined: bool,
) -> list[str]:
    """Arrows within boxes; between boxes from box to box or, if ``joined``, from step to step."""
    out = []
    home = {step.id: (box, step) for box in boxes for layer in box.layers for step in layer}
    inner: dict[tuple[str, str], None] = {}
    outer: dict[tuple[str, str], None] = {}
    for box, step in home.values():
        for id in _sources(step):
            if id in home:
                (inner if home[id][0] is box else outer)[id, step.id] = None
    for a, b in needed(list(inner)):
        if not joined or home[b][0].round is not None:  # how the inputs hang together is not asked
            (ax, ay, aw), (bx, by, bw) = places[a], places[b]
            out.append(_down(ax + aw / 2, ay + HEIGHT, bx + bw / 2, by))
    if joined:
        for a, b in outer:
            (ax, ay, aw), (bx, by, _) = places[a], places[b]
            out.append(_across(ax + aw, ay + HEIGHT / 2, bx, by + HEIGHT / 2))
        return out
    sizes = {box.name: box for box in boxes}
    for a, b in _between(boxes):
        x, y = corners[a]
        out.append(
            _across(x + sizes[a].width, y + TITLE / 2, corners[b][0], corners[b][1] + TITLE / 2)
        )
    return out


def _down(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (to_y - y) / 2
    return (
        f'<path class="edge" d="M{x:.1f} {y:.1f}C{x:.1f} {y + half:.1f} '
        f'{to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y:.1f}"/>'
    )


def _across(x: float, y: float, to_x: float, to_y: float) -> str:
    half = (to_x - x) / 2
    return (
        f'<path class="edge" d="M{x:.1f} {y:.1f}C{x + half:.1f} {y:.1f} '
        f'{to_x - half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"/>'
    )
