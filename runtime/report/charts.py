"""Figures as inline SVG. Colours are the page's CSS variables, so that they follow its theme.

Widths are in units of the drawing, which the page scales. Each figure has a title and a text that
says what it shows; the tables beside them hold the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dagent.runtime.projection import RoundPoint
from dagent.runtime.report.facts import Flow
from dagent.runtime.report.markup import Markup, Part, el

WIDTH = 760
LABEL = 48  # a score beside its point
# Segments of a round's rows, in the order in which rows leave: name, CSS class, attribute.
PARTS = (
    ("added", "s-added", "added"),
    ("right, but not chosen", "s-unchosen", "unchosen"),
    ("leaks", "s-leaks", "leaks"),
    ("duplicates", "s-duplicates", "duplicates"),
    ("rejected", "s-rejected", "rejected"),
)


@dataclass(frozen=True, slots=True)
class Score:
    """A score with its interval, all in 0..1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ArmPoint:
    """An arm's gain over the base in points; ``low`` is ``None`` where all seeds have the same."""

    name: str
    gain: float
    low: float | None
    high: float | None
    by_seed: tuple[float, ...]


def learning_curve(
    points: Sequence[RoundPoint], base: Score | None, champion: Score | None, metric: str
) -> Markup:
    """Rounds on the select set, then, apart from them, base and champion on test."""
    ends = [(says, s) for says, s in (("base", base), ("champion", champion)) if s is not None]
    bottom, top = _range([p.low for p in points] + [s.low for _, s in ends],
                         [p.high for p in points] + [s.high for _, s in ends])  # fmt: skip
    left, right, upper, lower = 52, WIDTH - 12, 34, 300
    split = right - 96 * len(ends) - 16 if ends else right
    # The last label stands to the right of its point and must end before the panel.
    gap = (split - LABEL - left) / max(1, len(points))

    def y(value: float) -> float:
        return lower - (value - bottom) / (top - bottom) * (lower - upper)

    xs = [left + gap * (i + 0.5) for i in range(len(points))]
    drawn: list[Part] = []
    if ends:
        drawn.append(el("rect", x=split, y=upper - 8, width=right - split, height=lower - upper + 8,
                        class_="c-panel"))  # fmt: skip
        drawn.append(el("text", "on test, once", x=split + 10, y=16, class_="c-label"))
    drawn.append(_grid(bottom, top, y, left, right))
    drawn.append(el("text", f"{metric} on select, by round", x=left, y=16, class_="c-label"))
    line = " ".join(f"{x:.1f},{y(p.select):.1f}" for x, p in zip(xs, points, strict=True))
    drawn.append(el("polyline", points=line, class_="c-line"))
    for x, p in zip(xs, points, strict=True):
        labelled = gap >= LABEL or p is points[-1]
        drawn += _point(
            x, y, Score(p.select, p.low, p.high), "on" if p.accepted else "off", labelled
        )
        drawn.append(
            el("text", "base" if p.round == 0 else p.round, x=x, y=lower + 20, class_="c-tick")
        )
    for i, (says, score) in enumerate(ends):
        x = split + 96 * i + 50
        drawn += _point(x, y, score, "end" if says == "champion" else "base")
        drawn.append(el("text", says, x=x, y=lower + 20, class_="c-tick"))
    said = ", ".join(
        f"{'base' if p.round == 0 else f'round {p.round}'} {p.select:.1%}" for p in points
    )
    test = ", ".join(f"{says} {s.value:.1%}" for says, s in ends)
    return _svg(lower + 30, "Learning curve", f"{metric} on select: {said}. "
                + (f"On test: {test}." if test else ""), *drawn)  # fmt: skip


def rows_by_round(flows: Sequence[Flow]) -> Markup:
    """A bar for each round's candidates, cut by where they went."""
    left, right, height = 74, WIDTH - 64, 30
    most = max(f.candidates for f in flows) or 1
    drawn: list[Part] = []
    for i, flow in enumerate(flows):
        top = 8 + i * (height + 14)
        drawn.append(
            el("text", f"round {flow.round}", x=left - 10, y=top + 20, class_="c-tick c-end")
        )
        x = float(left)
        for name, css, attribute in PARTS:
            count = getattr(flow, attribute)
            width = count / most * (right - left)
            if not count:
                continue
            tip = el("title", f"round {flow.round}: {count:,} {name}")
            drawn.append(el("rect", tip, x=x, y=top, width=width, height=height, class_=css))
            if width > 44:
                drawn.append(el("text", f"{count:,}", x=x + width / 2, y=top + 20,
                                class_=f"c-in {css}-text"))  # fmt: skip
            x += width
        drawn.append(
            el("text", f"{flow.candidates:,}", x=x + 8, y=top + 20, class_="c-tick c-start")
        )
    said = "; ".join(
        f"round {f.round}: {f.candidates} made, {f.rejected} rejected, {f.duplicates} duplicates, "
        f"{f.leaks} leaks, {f.unchosen} not chosen, {f.added} added"
        for f in flows
    )
    return _svg(8 + len(flows) * (height + 14), "Where each round's rows went", said, *drawn)


def arms(points: Sequence[ArmPoint]) -> Markup:
    """Gain over the base of each arm: its mean with interval, and each seed as a small ring."""
    left, right, step = 170, WIDTH - 24, 34
    ends = [0.0]
    for p in points:
        ends += [p.gain, *p.by_seed, *(v for v in (p.low, p.high) if v is not None)]
    unit = _unit(max(ends) - min(ends))
    low, high = math.floor(min(ends) / unit) * unit, math.ceil(max(ends) / unit) * unit
    high = high if high > low else low + unit
    lower = 22 + step * len(points)

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    drawn: list[Part] = []
    for i in range(round((high - low) / unit) + 1):
        value = low + i * unit
        css = "c-zero" if abs(value) < 1e-9 else "c-grid"
        drawn.append(el("line", x1=x(value), x2=x(value), y1=14, y2=lower, class_=css))
        drawn.append(el("text", f"{value:+g}" if value else "base", x=x(value), y=lower + 18,
                        class_="c-tick"))  # fmt: skip
    for i, p in enumerate(points):
        y = 14 + step * (i + 0.5)
        css = "c-dot-end" if i == 0 else "c-dot-on"
        drawn.append(el("text", p.name, x=left - 14, y=y + 4, class_="c-tick c-end"))
        drawn += [el("circle", cx=x(v), cy=y, r=3.5, class_="c-seed") for v in p.by_seed]
        if p.low is not None and p.high is not None:
            drawn.append(el("line", x1=x(p.low), x2=x(p.high), y1=y, y2=y, class_="c-whisker"))
        drawn.append(el("circle", cx=x(p.gain), cy=y, r=5.5, class_=css))
    said = "; ".join(f"{p.name} {p.gain:+.1f}" for p in points)
    return _svg(lower + 28, "Gain of each arm over the base on test, in points", said, *drawn)


def _point(
    x: float, y: Callable[[float], float], score: Score, kind: str, labelled: bool = True
) -> list[Part]:
    low, at, high = y(score.low), y(score.value), y(score.high)
    return [
        el("line", x1=x, x2=x, y1=low, y2=high, class_=f"c-whisker c-{kind}"),
        el("line", x1=x - 5, x2=x + 5, y1=low, y2=low, class_=f"c-whisker c-{kind}"),
        el("line", x1=x - 5, x2=x + 5, y1=high, y2=high, class_=f"c-whisker c-{kind}"),
        el("circle", cx=x, cy=at, r=5.5, class_=f"c-dot-{kind}"),
        el("text", f"{score.value:.1%}", x=x + 10, y=at + 4, class_="c-value")
        if labelled
        else None,
    ]


def _grid(
    bottom: float, top: float, y: Callable[[float], float], left: float, right: float
) -> list[Part]:
    drawn: list[Part] = []
    unit = _unit(100 * (top - bottom)) / 100
    for i in range(round((top - bottom) / unit) + 1):
        value = bottom + i * unit
        at = y(value)
        drawn.append(el("line", x1=left, x2=right, y1=at, y2=at, class_="c-grid"))
        drawn.append(el("text", f"{value:.0%}", x=left - 8, y=at + 4, class_="c-tick c-end"))
    return drawn


def _range(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """From the lowest to the highest end of any interval, to whole tenths."""
    bottom = math.floor(10 * min(lows, default=0.0)) / 10
    top = math.ceil(10 * max(highs, default=1.0)) / 10
    return max(0.0, bottom), min(1.0, max(top, bottom + 0.1))


def _unit(span: float) -> float:
    """A round distance between grid lines that gives some four to ten of them."""
    return next((u for u in (1, 2, 5, 10) if span <= 8 * u), 20)


def _svg(height: float, title: str, says: str, *parts: Part) -> Markup:
    return el(
        "svg",
        el("title", title),
        el("desc", says),
        *parts,
        viewBox=f"0 0 {WIDTH} {height:.0f}",
        role="img",
        aria_label=f"{title}. {says}",
    )
