"""The sections that close a report: what it cost, on which data, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Plan
from dagent.compiler.quantity import how_many
from dagent.compiler.rates import about, together
from dagent.compiler.totals import Totals, span, totals
from dagent.runtime.history import expected as of_steps
from dagent.runtime.projection import Event, started
from dagent.runtime.report import facts, parts, recipe
from dagent.runtime.report.markup import Part, el
from dagent.runtime.shortfall import shortfall_words
from dagent.runtime.status import spent_by_role

TIMES = {"wall": "time", "gpu": "accelerator time"}


def spend(
    past: Sequence[Event], plan: Plan | None, stands: Mapping[str, Any], project: Path
) -> Part:
    """What was used of the budget, and what steps took against what the compiler expected."""
    run_caps = dict(plan.budget.get("run", {})) if plan else {}
    spent = {**({"gpu": 0} if "gpu" in run_caps else {}), **stands["spent"]}
    expected = totals(plan.steps) if plan else None
    spans = of_steps(plan, project) if plan else {}
    whole = about(together(spans.values())) if spans else ""
    used = [
        (
            TIMES.get(unit, unit),
            whole if unit == "wall" else _expected(expected, unit),
            _amount(amount, unit),
            _amount(run_caps[unit], unit) if unit in run_caps else "none",
        )
        for unit, amount in spent.items()
    ]
    if peak := facts.peak_memory(past):
        used.append(
            ("accelerator memory", _expected(expected, "memory"), span((peak, peak), "memory"), "")
        )
    told: list[Part] = [
        el("h2", "What it cost"),
        parts.table(
            ("unit", "estimated", "spent", "cap"),
            used,
            "What this execution took itself, beside the compiler's estimate for all rounds and "
            "the caps",
            numbers=(1, 2, 3),
        ),
    ]
    if "short" in stands:
        told.append(el("p", f"Short of rows: {shortfall_words(stands['short'])}."))
    told.append(_asked(past))
    took = facts.took(past, plan, spans) if plan else []
    if took:
        shown = [
            (
                t.kind,
                t.steps,
                about(t.estimated) if spans else "",
                span((t.actual, t.actual), "time"),
            )
            for t in took
        ]
        actual = sum(t.actual for t in took)
        steps = how_many(sum(t.steps for t in took), "steps")
        ran = together(t.estimated for t in took)
        guess = f"estimated {about(ran)}" if spans else "no estimate"
        whole = f"{guess} for {steps}, took {span((actual, actual), 'time')}"
        told.append(
            el(
                "details",
                el("summary", "Time, step by step ", el("span", whole)),
                parts.table(
                    ("kind of step", "steps", "estimated", "took"),
                    shown,
                    "Steps that ran in this execution; reused ones took nothing",
                    numbers=(1, 2, 3),
                ),
            )
        )
    return el("section", told)


def _asked(past: Sequence[Event]) -> Part:
    """Which role the calls were for."""
    roles = spent_by_role(past)
    units = [u for u in ("calls", "tokens", "money") if any(own[u] for own in roles.values())]
    if not units:
        return None
    return parts.table(
        ("role", *units),
        [(role, *(_amount(own[unit], unit) for unit in units)) for role, own in roles.items()],
        "Calls by the role that they were for",
        numbers=range(1, 1 + len(units)),
    )


def data(past: Sequence[Event], plan: Plan | None, project: Path) -> Part:
    found = facts.data_sets(past, plan, project)
    if not found:
        return None
    return el(
        "section",
        el("h2", "Data"),
        parts.table(
            ("name", "role", "from", "rows", "SHA-256"),
            [
                (d.name, d.role, el("code", d.source), f"{d.rows:,}", el("code", d.digest))
                for d in found
            ],
            f"The sets as they were locked{_split(past)}",
            numbers=(3,),
        ),
    )


def _split(past: Sequence[Event]) -> str:
    told = [e["note"] for e in past if e["event"] == "step_finished" and e["kind"] == "split"]
    return f"; dev is {told[0]}" if told and told[0] else ""


def reproduce(past: Sequence[Event], project: Path) -> Part:
    first = started(past)
    lock = recipe.lock_of(first, project)
    known = [
        part
        for name, value in (*recipe.made_with(past, lock), ("licence", _licence(past, project)))
        for part in (el("dt", name), el("dd", el("code", value)))
    ]
    settings = sorted(first["settings"].items())
    return el(
        "section",
        el("h2", "How to reproduce it"),
        el("p", "In the folder of the spec, with the data above and the files below:"),
        el("pre", recipe.commands(first, lock)),
        el(
            "p",
            "Compiling prints the plan's id, which must be the one below. On a CPU equal plans "
            "give equal bytes; on a GPU the figures may differ within noise.",
            class_="note",
        ),
        el("dl", known, class_="facts"),
        _locked_files(lock),
        el(
            "details",
            el("summary", "All settings ", el("span", f"{len(settings)}")),
            parts.table(
                ("setting", "value"),
                [(el("code", k), el("code", str(v))) for k, v in settings],
                "As the plan gives them",
            ),
        ),
    )


def _locked_files(lock: Mapping[str, Any]) -> Part:
    files = recipe.files(lock)
    if not files:
        return None
    return parts.table(
        ("what", "name", "SHA-256, or commit on the hub"),
        [(what, el("code", name), el("code", digest)) for what, name, digest in files],
        "The files that it was made with",
    )


def _licence(past: Sequence[Event], project: Path) -> str:
    base = recipe.licence_of_base(past, project)
    said = "not known here" if base == recipe.UNKNOWN else f"{base}, as its card says"
    return f"base: {said}; rows: that of what made them and of what they were made from"


def _expected(expected: Totals | None, unit: str) -> str:
    ends = expected.of(unit) if expected else None
    return span(ends, "time" if unit in TIMES else unit) if ends and ends[1] else ""


def _amount(amount: float, unit: str) -> str:
    if unit in TIMES:
        return span((amount, amount), "time")
    return f"{amount:.2f} USD" if unit == "money" else f"{amount:,.0f}"
