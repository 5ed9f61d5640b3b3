"""A plan as a table for people: rounds alike are one block."""

from __future__ import annotations

from collections.abc import Iterator

from dagent.compiler import arms_view
from dagent.compiler.kinds import KINDS
from dagent.compiler.plan import Plan, Step, alone
from dagent.compiler.quantity import capped, shown

Row = tuple[str, str, str, str, str]
HEAD: Row = ("step", "does", "rows", "calls", "time")


def lines(plan: Plan) -> list[str]:
    """The plan's head, then a line per step; a block of rounds shows its first and last."""
    caps = [
        capped(value, kind) + ("" if part == "run" else f" per {part}")
        for part, given in sorted(plan.budget.items(), key=lambda item: item[0] != "run")
        for kind, value in given.items()
    ]
    out = [
        f"{plan.name}: {plan.goal}",
        f"plan {plan.id[:12]}, {len(plan.steps)} steps, judged by {plan.metric}",
        f"budget: {', '.join(caps)}" + (" for each arm and seed" if plan.variants else ""),
        *arms_view.lines(plan),
        "",
    ]
    if plan.variants:
        first = plan.variants[0].id
        out += [f"the steps of {first}; those of the others are alike", ""]
        plan = alone(plan, first)
    rows = [HEAD, *_rows(plan)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        out.append("  ".join(cells).rstrip())
    return out


def _rows(plan: Plan) -> Iterator[Row]:
    """Rounds 1 to the last have the same steps: they are shown once, as a range."""
    rounds: dict[str, list[Step]] = {}
    for step in plan.steps:
        if step.round:
            rounds.setdefault(step.id.split(".", 1)[1], []).append(step)
    done = False
    for step in plan.steps:
        if not step.round:
            yield _row(step.id, [step])
        elif not done:
            done = True
            for name, group in rounds.items():
                first, last = group[0].round, group[-1].round
                yield _row(
                    f"r{first}…r{last}.{name}" if first != last else f"r{first}.{name}", group
                )


def _row(name: str, group: list[Step]) -> Row:
    """Low of the first round to high of the last: later rounds train on more."""
    first, last = group[0].estimate, group[-1].estimate
    return (
        name,
        KINDS[group[0].kind].says,
        _range(first.rows and first.rows[0], last.rows and last.rows[1], "rows"),
        _range(first.calls and first.calls[0], last.calls and last.calls[1], "calls"),
        _range(first.seconds and first.seconds[0], last.seconds and last.seconds[1], "time"),
    )


def _range(low: float | None, high: float | None, kind: str) -> str:
    if low is None or high is None:
        return ""
    ends = [shown(x, kind).removesuffix(f" {kind}") for x in (low, high)]
    return ends[0] if low == high else " to ".join(ends)
