"""What is told of one execution, or of one variant: sections, each under its heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.quantity import how_many
from dagent.runtime import projection as show
from dagent.runtime.projection import Event
from dagent.runtime.report import charts, facts, parts
from dagent.runtime.report.authored import programs
from dagent.runtime.report.funnel import rows
from dagent.runtime.report.learned import prepared
from dagent.runtime.report.markup import Markup, Part, el
from dagent.runtime.rows import named_skills

SHOWN = 1200  # characters of a text
DEEP = 0.775  # from here the colour of a cell asks for white on it: see page.css


def of_one(past: Sequence[Event], project: Path) -> list[Part]:
    """All that is said of one execution, or of one variant."""
    found = facts.result(past, project)
    end = past[-1] if past[-1]["event"] == "execution_finished" else None
    return [
        answer(past, end, project),
        rounds(past, found),
        prepared(past),
        programs(past),
        skills(past, found, project),
        rows(past, project),
        examples(past, project),
    ]


def answer(past: Sequence[Event], end: Event | None, project: Path) -> Part:
    """What improved, by how much, and how sure that is."""
    metric = show.started(past)["metric"]
    if end is None:
        return el(
            "p",
            "Not finished: test is opened once, at the end. What follows is how it stands.",
            class_="note",
        )
    gain, champion = end["gain"], end["champion"]
    _, css = parts.verdict(gain)
    return el(
        "section",
        el(
            "div",
            el(
                "p",
                f"{gain['test_pp']:+.1f}",
                el("small", f"points of {metric} on test"),
                class_=f"big {css}",
            ),
            el(
                "div",
                _gained(end, facts.test_rows(past, project))
                if champion["round"]
                else _unchanged(champion, facts.test_rows(past, project)),
                el(
                    "p",
                    f"{parts.looked(facts.looks(past))} Test was opened once, at the end.",
                    class_="note",
                ),
            ),
            class_="answer",
        ),
        further(end.get("metrics") or ()),
        watched(end.get("watched") or ()),
        goals(end.get("requirements") or ()),
    )


def _gained(end: Event, n: int) -> Part:
    """The champion against the base on ``n`` rows of test."""
    base, champion, gain = end["base"]["test"], end["champion"], end["gain"]
    low, high = gain["ci"]
    relative = "" if gain["relative"] is None else f", {100 * gain['relative']:+.0f} % relative"
    return [
        el(
            "p",
            el("strong", f"{parts.percent(base)} → {parts.percent(champion['test'])}"),
            f" on {how_many(n, 'test rows')}{relative}." if n else f"{relative}.",
            class_="lead",
        ),
        el(
            "p",
            f"95 % interval {low:+.1f} to {high:+.1f} points, "
            f"{parts.how_tested(gain)}: {parts.verdict(gain)[0]}.",
        ),
        el(
            "p",
            f"The champion is round {champion['round']}, the last that the gate took "
            f"({parts.percent(champion['select'])} on select).",
            class_="note",
        ),
    ]


def _unchanged(champion: Mapping[str, Any], n: int) -> Part:
    """A student that is compared with itself: an interval and a p-value would say nothing."""
    return [
        el(
            "p",
            el("strong", "Nothing was gained"),
            f": {parts.percent(champion['test'])}"
            + (f" on {how_many(n, 'test rows')}" if n else "")
            + ", before and after.",
            class_="lead",
        ),
        el(
            "p",
            "The gate took no round's student, so the champion is the untouched one "
            f"({parts.percent(champion['select'])} on select). Its reasons stand below.",
        ),
    ]


def further(metrics: Sequence[Mapping[str, Any]]) -> Part:
    """What the metrics after the first say, where there are several."""
    return (
        el(
            "ul",
            [
                el(
                    "li",
                    f"{m['name']}: {parts.percent(m['base'])} → {parts.percent(m['champion'])}, "
                    f"{m['gain_pp']:+.1f} points ({m['ci'][0]:+.1f} to {m['ci'][1]:+.1f}), "
                    f"two-sided {parts.p_value(m['p_holm'])} adjusted by Holm's method for "
                    f"{len(metrics)} metrics",
                )
                for m in metrics[1:]
            ],
        )
        if metrics
        else None
    )


def watched(found: Sequence[Mapping[str, Any]]) -> Part:
    """Base and champion on guards, and on tasks that are metrics."""
    return (
        parts.table(
            (
                "set or task",
                "rows",
                "base",
                "champion",
                "difference",
                "95 % interval",
                "p",
                "may lose",
            ),
            [
                (
                    g["name"] if g["metric"] == g["name"] else f"{g['name']} ({g['metric']})",
                    f"{g['rows']:,}",
                    parts.percent(g["base"]),
                    parts.percent(g["champion"]),
                    f"{g['gain_pp']:+.1f}",
                    f"{g['ci'][0]:+.1f} to {g['ci'][1]:+.1f}",
                    parts.p_value(g["p_holm"]),
                    "" if g["max_drop_pp"] is None else f"{g['max_drop_pp']:.1f}",
                )
                for g in found
            ],
            "Guards and tasks, in points; p paired, two-sided, adjusted by Holm's method",
            numbers=range(1, 8),
        )
        if found
        else None
    )


def goals(requirements: Sequence[Mapping[str, Any]]) -> Part:
    return (
        el(
            "ul",
            [
                el(
                    "li",
                    el(
                        "span",
                        "met" if r["met"] else "NOT MET",
                        class_="met" if r["met"] else "missed",
                    ),
                    " ",
                    r["says"],
                )
                for r in requirements
            ],
            class_="goals",
        )
        if requirements
        else None
    )


def rounds(past: Sequence[Event], found: Mapping[str, Any] | None) -> Part:
    points = show.points(past)
    if not points:
        return None
    metric = show.started(past)["metric"]
    base, champion = (_score(found, end) for end in show.ENDS)
    return el(
        "section",
        el("h2", "Round by round"),
        parts.figure(
            charts.learning_curve(points, base, champion, metric),
            "Filled: accepted by the gate. Hollow: refused, so the champion before stays. "
            "Whiskers are 95 % intervals.",
        ),
        parts.table(
            ("round", "select", "95 % interval", "rows added", "rows kept", "seconds", "gate"),
            [
                (
                    "base" if n == 0 else n,
                    parts.percent(e["select"]),
                    f"{100 * e['select_low']:.1f} to {100 * e['select_high']:.1f}",
                    f"{e['rows']:,}" if n else "",
                    f"{e['rows_total']:,}" if n else "",
                    f"{e['seconds']:,.0f}",
                    _gate(e) if n else "the untouched student",
                )
                for n, e in show.rounds(past).items()
            ],
            "What the gate decided, and why",
            numbers=(1, 2, 3, 4, 5),
            spare=(3, 4, 5),
        ),
    )


def _gate(event: Event) -> Part:
    css, says = ("met", "accepted") if event["accepted"] else ("missed", "refused")
    return [el("span", says, class_=css), f": {event['reason']}"]


def skills(past: Sequence[Event], found: Mapping[str, Any] | None, project: Path) -> Part:
    """Skill by round on select, with base and champion on test beside it."""
    heat = show.skill_table(past)
    if not heat.rows:
        return None
    ends = [named_skills(found[end]["by_skill"]) for end in show.ENDS] if found else []
    names = [n.removeprefix("round ").replace("0 (base)", "base") for n in heat.columns[1:]]
    head = [el("th", "skill", scope="col"), *(el("th", n, scope="col") for n in names)]
    head += [
        el("th", f"test, {end}", scope="col", class_="apart" if i == 0 else None)
        for i, end in enumerate(show.ENDS)
        if ends
    ]
    counts = [facts.rows_by_skill(past, step, project) for step in ("r0.evaluate", "test.base")]
    counts = [by_skill for by_skill in counts if by_skill]
    body = [
        el(
            "tr",
            el(
                "th",
                el("bdi", row[0]),
                " ",
                el("span", ", ".join(str(c[row[0]]) for c in counts), class_="count"),
                scope="row",
            ),
            [_cell(v) for v in row[1:]],
            [_cell(e.get(row[0]), "apart" if i == 0 else "") for i, e in enumerate(ends)],
        )
        for row in heat.rows
    ]
    whole = el(
        "table",
        el(
            "caption",
            "Share of each skill's rows that is right, in %; weakest at the top. "
            + (
                "Beside a skill: its rows in " + " and in ".join(("select", "test")[: len(counts)])
                if counts
                else ""
            ),
        ),
        el("thead", el("tr", head)),
        el("tbody", body),
        class_="heat",
        style=f"--n:{len(head) - 1}",
    )
    return el("section", el("h2", "Skill by skill"), parts.wide(whole, "Skill by round"))


def _cell(value: float | None, css: str = "") -> Markup:
    if value is None:
        return el("td", "–", class_=css or None, style="--v:0")
    classes = " ".join(filter(None, (css, "deep" if value >= DEEP else "")))
    return el("td", f"{100 * value:.0f}", class_=classes or None, style=f"--v:{100 * value:.0f}")


def examples(past: Sequence[Event], project: Path) -> Part:
    changes = facts.changes(past, project)
    if not changes:
        return None
    return el(
        "section",
        el("h2", "What each round fixed and broke"),
        el(
            "p",
            "Rows of the select set, each round's student against the champion that it "
            "challenged. Whoever changes the spec after reading them should select on fresh rows.",
        ),
        [
            el(
                "details",
                el(
                    "summary",
                    f"Round {c.round} ",
                    el("span", f"{c.fixed} fixed, {c.broken} broken"),
                ),
                [_change("fixed", change) for change in c.examples_fixed],
                [_change("broken", change) for change in c.examples_broken],
                None if c.fixed or c.broken else el("p", "No row changed.", class_="note"),
            )
            for c in changes
        ],
    )


def _change(says: str, change: facts.Change) -> Markup:
    row = change.row
    where = [
        part for k in ("skill", "difficulty") if k in row for part in (", ", el("bdi", row[k]))
    ]
    return el(
        "div",
        el(
            "p",
            el("strong", says, class_="met" if says == "fixed" else "missed"),
            [" ", *where[1:]],
            class_="says",
        ),
        el("pre", parts.cut(row["prompt"], SHOWN)),
        el(
            "dl",
            el("dt", "right"),
            el("dd", el("code", parts.cut(row["answer"], SHOWN))),
            el("dt", "before"),
            el("dd", el("code", parts.cut(change.before, SHOWN) or "(nothing)")),
            el("dt", "after"),
            el("dd", el("code", parts.cut(change.after, SHOWN) or "(nothing)")),
            class_="outcome",
        ),
        class_="example",
    )


def _score(found: Mapping[str, Any] | None, end: str) -> charts.Score | None:
    return charts.Score(found[end]["test"], *found[end]["interval"]) if found else None
