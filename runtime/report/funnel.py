"""Where every row went: from generated to trained, and why rows left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.quantity import how_many
from dagent.runtime import projection as show
from dagent.runtime.projection import Event
from dagent.runtime.report import charts, facts, parts
from dagent.runtime.report.learned import trainings
from dagent.runtime.report.markup import Part, el

REJECTED = "rejected"
KINDS = 20  # of reasons for rejecting that are shown; a program may give each row one of its own


def rows(past: Sequence[Event], project: Path) -> Part:
    flows = facts.flows(past, project)
    if not flows:
        return None
    legend = [el("li", el("i", class_=css), name) for name, css, _ in charts.PARTS]
    return el(
        "section",
        el("h2", "Where every row went"),
        el("p", f"Candidates made in each round, and what became of them. {_taught(past)}"),
        el("ul", legend, class_="legend"),
        parts.figure(
            charts.rows_by_round(flows),
            "Rows by round; the number at the end is all that were made.",
        ),
        parts.table(
            (
                "round",
                "made",
                "rejected",
                "duplicates",
                "leaks",
                "not chosen",
                "added",
                "trained on",
                "set aside",
            ),
            [
                (
                    f.round,
                    *(
                        f"{n:,}"
                        for n in (
                            f.candidates,
                            f.rejected,
                            f.duplicates,
                            f.leaks,
                            f.unchosen,
                            f.added,
                            f.trained,
                            f.aside,
                        )
                    ),
                )
                for f in flows
            ],
            "The same in numbers",
            numbers=range(1, 9),
        ),
        _repeated(flows),
        _reasons(flows),
        trainings(past, project),
    )


def _taught(past: Sequence[Event]) -> str:
    settings = show.started(past)["settings"]
    start = settings.get("engineer.train_from", "base")
    if settings.get("engineer.accumulate", True):
        return (
            "What is added joins the rows of earlier rounds; the student is trained on all of "
            f"them, from the {start}."
        )
    return f"The student is trained on what was added in its round alone, from the {start}."


def _repeated(flows: Sequence[facts.Flow]) -> Part:
    counts = [f"{f.repeated:,} in round {f.round}" for f in flows if f.repeated]
    if not counts:
        return None
    return el(
        "p",
        f"Rows that the generator gave once more, word for word: {', '.join(counts)}. They are not "
        "counted above; it was asked for others in their place.",
        class_="note",
    )


def _reasons(flows: Sequence[facts.Flow]) -> Part:
    """Every kind of reason by round, with one of the rows that left for it."""
    by_kind: dict[str, dict[int, int]] = {}
    example: dict[str, Any] = {}
    for flow in flows:
        for reason in flow.reasons:
            by_kind.setdefault(reason.says, {})[flow.round] = reason.rows
            example.setdefault(reason.says, reason.example)
    if not by_kind:
        return el(
            "p",
            "No row was rejected, none was a duplicate, and none overlapped with dev or test.",
            class_="note",
        )
    ranked = sorted(by_kind.items(), key=lambda pair: -sum(pair[1].values()))
    rare = {says for says, _ in [pair for pair in ranked if pair[0].startswith(REJECTED)][KINDS:]}
    others = [by_kind[says] for says in rare]
    return el(
        "details",
        el("summary", "Why rows left ", el("span", how_many(len(ranked), "reasons"))),
        parts.table(
            ("reason", *(f"round {f.round}" for f in flows), "one of them"),
            [
                (
                    el("bdi", parts.cut(says, 160)),
                    *(f"{counts.get(f.round, 0):,}" for f in flows),
                    _row(example[says]),
                )
                for says, counts in ranked
                if says not in rare
            ]
            + [
                (
                    f"{REJECTED}: {how_many(len(others), 'other reasons')}",
                    *(f"{sum(c.get(f.round, 0) for c in others):,}" for f in flows),
                    "",
                )
            ]
            * bool(others),
            "Rows by reason and round. Of leaks none is shown: it could be a row of test.",
            numbers=range(1, len(flows) + 1),
        ),
    )


def _row(row: Mapping[str, Any] | None) -> Part:
    if row is None:
        return ""
    answer = row.get("answer") or "nothing"
    return [el("code", parts.cut(row["prompt"], 70)), " → ", el("code", parts.cut(answer, 30))]
