"""Figures of an execution, drawn off screen: for MLflow, the report and the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagent.runtime.projection import RoundPoint, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREY, GREEN, INK = "#2563eb", "#9ca3af", "#15803d", "#1f2937"


def learning_curve(
    rounds: Sequence[RoundPoint],
    base: float | None,
    champion: float | None,
    path: Path,
    metric: str = "accuracy",
    title: str = "",
) -> Path:
    """Draw each round's score on the select set, and what the test set said at the end.

    ``base`` and ``champion`` are scores on the test set (``None`` before it was opened). Refused
    rounds are hollow: they are models that the gate did not take.
    """
    from matplotlib.patheffects import withStroke

    figure, axes = _figure(7.2, 4.2)
    x = [p.round for p in rounds]
    axes.fill_between(
        x, [p.low for p in rounds], [p.high for p in rounds],
        color=BLUE, alpha=0.13, linewidth=0, label="95 % interval",
    )  # fmt: skip
    axes.plot(x, [p.select for p in rounds], color=BLUE, linewidth=1.6, alpha=0.75, zorder=2)
    _dots(axes, [p for p in rounds if p.accepted], "accepted", BLUE)
    _dots(axes, [p for p in rounds if not p.accepted], "refused", "white")
    # A white rim, since the lines of the test set may run through the labels.
    rim = [withStroke(linewidth=3, foreground="white")]
    for point in rounds:
        axes.annotate(
            f"{point.select:.1%}", (point.round, point.select), textcoords="offset points",
            xytext=(0, 9), ha="center", fontsize=9, color=INK, path_effects=rim, zorder=4,
        )  # fmt: skip
    right = max(x, default=0)
    close = base is not None and champion is not None and abs(champion - base) < 0.05
    for score, says, colour, side in (
        (base, "base", GREY, "top"),
        (champion, "champion", GREEN, "bottom"),
    ):
        if score is not None:
            axes.axhline(score, color=colour, linewidth=1.3, linestyle=(0, (5, 3)), zorder=1)
            axes.annotate(
                f" test, {says}: {score:.1%}", (1, score), xycoords=("axes fraction", "data"),
                va=side if close else "center", fontsize=9,
                color=INK if says == "base" else colour, annotation_clip=False,
            )  # fmt: skip
    axes.set_xlim(-0.3, right + 0.3)
    axes.set_ylim(0, 1.02)
    axes.set_xticks(x, ["base" if n == 0 else str(n) for n in x])
    axes.set_xlabel("round")
    axes.set_ylabel(f"{metric}, select set")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(frameon=False, loc="upper left" if _rising(rounds) else "best", fontsize=9)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    return _save(figure, path)


def skill_heat_map(table: Table, path: Path, title: str = "") -> Path:
    """Draw a table of skill × round; the rows stand as the table has them."""
    skills = [str(row[0]) for row in table.rows]
    values = [[float("nan") if v is None else float(v) for v in row[1:]] for row in table.rows]
    columns = [
        name.removeprefix("round ").replace("0 (base)", "base") for name in table.columns[1:]
    ]
    figure, axes = _figure(2.8 + 0.75 * len(columns), 1.1 + 0.34 * len(skills))
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if value == value:
                axes.text(
                    x, y, f"{value:.0%}", ha="center", va="center", fontsize=8.5,
                    color="white" if value > 0.55 else INK,
                )  # fmt: skip
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(skills)), skills)
    axes.set_xlabel("round")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03, format=lambda v, _: f"{v:.0%}")
    bar.outline.set_visible(False)
    if title:
        axes.set_title(title, loc="left", fontsize=11, color=INK)
    return _save(figure, path)


def _dots(axes: Axes, points: Sequence[RoundPoint], says: str, face: str) -> None:
    if points:
        axes.plot(
            [p.round for p in points], [p.select for p in points], "o", markersize=7,
            markerfacecolor=face, markeredgecolor=BLUE, markeredgewidth=1.6, label=says, zorder=3,
        )  # fmt: skip


def _rising(rounds: Sequence[RoundPoint]) -> bool:
    """A curve that rises leaves the upper left corner free."""
    return bool(rounds) and rounds[-1].select >= rounds[0].select and rounds[0].high < 0.7


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    # The figure is made without pyplot: no global state, and no display is looked for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=144, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None} if path.suffix == ".png" else None)
    return path
