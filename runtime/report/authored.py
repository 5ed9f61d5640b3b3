"""Of the strategy ``program``: what the programs of each round took, and how their students did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dagent.runtime import projection as show
from dagent.runtime.projection import Event
from dagent.runtime.report import parts
from dagent.runtime.report.markup import Part, el


def programs(past: Sequence[Event]) -> Part:
    """A row for each round; nothing where no author writes programs."""
    found = show.authored(past)
    if not found:
        return None
    metric = show.started(past)["metric"]
    attempts, valid = (
        sum(r.get(f"author/{k}", 0) for r in found.values()) for k in ("attempts", "valid")
    )
    each = f"{attempts / valid:.1f} for each valid submission" if valid else "none of them valid"
    return el(
        "section",
        el("h2", "Programs", id="programs"),
        el("p", f"The author wrote {attempts:.0f} programs, {each}."),
        parts.table(
            [
                "round",
                f"{metric}, public",
                f"{metric}, private",
                "programs",
                "calls",
                "new rows wrong",
                "distinct prompts",
                "distinct answers",
                "echoed",
                "what went wrong",
            ],
            [_row(number, values, past, metric) for number, values in found.items()],
            "Public is the diagnose half, whose rows and score the author sees; private the select "
            "half, which only the gate reads. Distinct: word pairs that are no repeats. Echoed: "
            "rows whose answer the teacher had been told.",
            range(9),
        ),
    )


def _row(
    number: int, values: Mapping[str, float], past: Sequence[Event], metric: str
) -> list[Part]:
    ended = show.rounds(past).get(number)
    errors = {k.removeprefix("author/error_"): n for k, n in values.items() if "/error_" in k}
    return [
        str(number),
        _share(values.get(f"diagnose/{metric}")),
        _share(ended["select"] if ended else None),
        _count(values.get("author/attempts")),
        _count(values.get("author/calls")),
        _share(values.get("submit/difficulty")),
        _share(values.get("author/distinct_prompt")),
        _share(values.get("author/distinct_answer")),
        _count(values.get("author/echoed")),
        ", ".join(f"{n:.0f} {name.replace('_', ' ')}" for name, n in sorted(errors.items())),
    ]


def _share(value: float | None) -> str:
    return "" if value is None else parts.percent(value)


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
