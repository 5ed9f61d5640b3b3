"""What the sections are made of: tables, figures, and numbers in words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagent.runtime.report.markup import Markup, Part, el
from dagent.runtime.wording import beyond_noise


def table(
    head: Sequence[str],
    body: Sequence[Sequence[Part]],
    caption: str,
    numbers: Sequence[int] | range = (),
    spare: Sequence[int] = (),
) -> Markup:
    """A table; columns in ``numbers`` stand right, a phone leaves out those in ``spare``. The first
    column heads its row."""

    def css(i: int) -> str | None:
        return " ".join((*["n"] * (i in numbers), *["spare"] * (i in spare))) or None

    def cells(row: Sequence[Part]) -> Iterator[Markup]:
        for i, part in enumerate(row):
            yield el("td", part, class_=css(i)) if i else el("th", part, scope="row", class_=css(i))

    heads = [el("th", h, scope="col", class_=css(i)) for i, h in enumerate(head)]
    whole = el(
        "table",
        el("caption", caption),
        el("thead", el("tr", heads)),
        el("tbody", [el("tr", list(cells(row))) for row in body]),
    )
    return wide(whole, caption)


def figure(drawing: Markup, caption: str) -> Markup:
    return el("figure", wide(drawing, caption), el("figcaption", caption))


def wide(content: Markup, label: str) -> Markup:
    """What may be wider than a small screen scrolls by itself, also by keyboard."""
    return el("div", content, class_="wide", tabindex=0, role="group", aria_label=label)


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def p_value(p: float) -> str:
    """Two-sided, as all are but the gate's: said beside it or at the head of its table."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def coded(text: str) -> list[Part]:
    """A message, what stands between its backticks as code."""
    return [el("code", p) if i % 2 else p for i, p in enumerate(re.split(r"`([^`]*)`", text))]


def cut(text: object, most: int) -> str:
    shown = str(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def looked(times: int) -> str:
    """How often select was looked at, and what that does to its figures."""
    if times < 2:
        return "Select was looked at once, for the base."
    return (
        f"Select was looked at {times} times, the base included, and the best of several looks "
        "owes something to chance."
    )


def verdict(gain: Mapping[str, Any]) -> tuple[str, str]:
    """What the test of a gain says, in words and as a CSS class."""
    says = beyond_noise(gain["test_pp"], gain["p"])
    return says, {"better": "gain", "worse": "loss"}.get(says.split()[0], "even")


def how_tested(gain: Mapping[str, Any]) -> str:
    """The p of a gain on test; journals of earlier versions do not name the test."""
    return f"two-sided {p_value(gain['p'])} ({gain.get('by', 'paired test')})"
