"""What an execution shows: a line of progress, a table of rounds that grows, a summary.

Everything goes to standard error but the summary, which is the result. Without a terminal there
are no bars, only finished steps and rounds, a line each, and what a long step has spent so far.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dagent.compiler.plan import Plan, Step
from dagent.compiler.quantity import how_many, shown
from dagent.runtime.journal import Event
from dagent.runtime.lanes import Lanes
from dagent.runtime.shortfall import shortfall_words
from dagent.runtime.status import SOMETIMES, sometimes_words
from dagent.runtime.store import Action
from dagent.runtime.wording import adjusted_p, between, beyond_noise, no_spread, two_sided

FIRST_WORD = 60.0  # seconds into a step, without a terminal; the next word comes twice as late


class Screen:
    """The terminal during an execution; leaves the table of rounds behind."""

    def __init__(self, plan: Plan, lanes: Lanes) -> None:
        self._plan = plan
        self._lanes = lanes
        self._console = Console(stderr=True, highlight=False)
        self._rounds: list[Event] = []
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
            console=self._console,
        )
        self._steps = self._bar.add_task("plan", total=len(plan.steps), shown="")
        self._work: Any = None
        self._bill: list[str] = []  # at the last step's end; calls in flight hold their worst case
        self._left = threading.Event()
        self._at: tuple[str, float] | None = None  # the step at work, and since when
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            auto_refresh=self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            threading.Thread(target=self._say_that_it_goes_on, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if self._console.is_terminal:
            self._live.stop()
            if self._rounds:
                self._console.print(self._table())

    def step(self, step: Step, reused: bool) -> None:
        if self._work is not None:
            self._bar.remove_task(self._work)
        self._work = self._bar.add_task(step.id, total=None, shown="")
        self._at = step.id, monotonic()

    def progress(self, done: int, total: int, **shown: object) -> None:
        told = "  ".join(f"{name} {value}" for name, value in shown.items())
        self._bar.update(self._work, completed=done, total=total, shown=told)

    def step_done(self, step: Step, action: Action, seconds: float, reused: bool) -> None:
        self._at = None
        self._bill = sometimes_words({unit: self._lanes.spent(unit) for unit in SOMETIMES})
        self._bar.update(self._steps, advance=1)
        if not self._console.is_terminal:
            how = "reused" if reused else f"{seconds:.1f} s"
            self._console.print(f"{step.id}: {action.note or 'done'} ({how})", soft_wrap=True)

    def round_done(self, event: Event) -> None:
        self._rounds.append(event)
        if not self._console.is_terminal:
            low, high = 100 * event["select_low"], 100 * event["select_high"]
            verdict = "accepted" if event["accepted"] else "refused"
            self._console.print(
                f"{_whose(event)}round {event['round']}: {100 * event['select']:.1f} % "
                f"({low:.1f} to {high:.1f}) {verdict}: {event['reason']}",
                soft_wrap=True,
            )

    def _say_that_it_goes_on(self) -> None:
        told, word = None, FIRST_WORD
        while not self._left.wait(FIRST_WORD / 60):
            at = self._at
            if at != told:
                told, word = at, FIRST_WORD
            if at is not None and (took := monotonic() - at[1]) >= word:
                word *= 2
                self._console.print(
                    f"{at[0]}: at work for {took:.0f} s; so far {self._spend()}", soft_wrap=True
                )

    def _spend(self) -> str:
        parts = [
            how_many(self._lanes.spent("rows"), "rows"),
            how_many(self._lanes.spent("calls"), "calls"),
        ]
        parts += self._bill
        left = self._lanes.wall_left
        if left is not None:
            parts.append(f"{max(0.0, left):.0f} s of budget left")
        return ", ".join(parts)

    def _render(self) -> Table:
        self._bar.update(self._steps, shown=self._spend())
        grid = Table.grid()
        if self._rounds:
            grid.add_row(self._table())
        grid.add_row(self._bar)
        return grid

    def _table(self) -> Table:
        table = Table(title=None, pad_edge=False)
        if self._plan.variants:
            table.add_column("arm and seed")
        table.add_column("round", justify="right")
        table.add_column(f"{self._plan.metric} on select", justify="right")
        table.add_column("95 % interval")
        table.add_column("rows", justify="right")
        table.add_column("seconds", justify="right")
        table.add_column("gate")
        for event in self._rounds:
            verdict = "base" if not event["round"] else ("✓" if event["accepted"] else "✗")
            table.add_row(
                *([_whose(event)] if self._plan.variants else []),
                str(event["round"]),
                f"{100 * event['select']:.1f} %",
                f"{100 * event['select_low']:.1f} to {100 * event['select_high']:.1f}",
                f"{event['rows_total']:,}",
                f"{event['seconds']:.0f}",
                f"{verdict} {event['reason']}" if event["round"] else verdict,
            )
        return table


def summary(event: Event, plan: Plan) -> str:
    """The result in words: better, by how much, beyond noise, at what cost, where, what next."""
    if "comparison" in event:
        return comparison(event, plan)
    base, champion, gain = event["base"], event["champion"], event["gain"]
    low, high = gain["ci"]
    sure = beyond_noise(gain["test_pp"], gain["p"])
    taken = ", the last that the gate took" if champion["round"] else ""
    lines = [
        f"{plan.name}: {plan.metric} on test {100 * base['test']:.1f} % → "
        f"{100 * champion['test']:.1f} %",
        f"  gain      {gain['test_pp']:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}, "
        f"{two_sided(gain['p'])}"
        + ("" if gain["relative"] is None else f" ({100 * gain['relative']:+.0f} % relative)")
        + (f"; {sure}" if sure.startswith("not") else "")
        if champion["round"]
        else "  gain      none: the gate took no round's student",
        f"  champion  {_of_round(champion['round'])}{taken} (select "
        f"{100 * champion['select']:.1f} %); test was opened once, at the end",
        f"  spent     {shown(event['spent']['rounds'], 'rounds')}, "
        f"{how_many(event['spent']['rows'], 'rows')}, "
        + ", ".join(
            (
                how_many(event["spent"]["calls"], "calls"),
                *sometimes_words(event["spent"]),
                f"{event['spent']['wall']:.0f} s",
            )
        ),
    ]
    lines += [f"  also      {_moved(metric)}" for metric in event.get("metrics", ())[1:]]
    for one in event.get("watched", ()):
        lose = one["max_drop_pp"]
        lines.append(
            f"  also      {_moved(one)}"
            if lose is None
            else f"  guard     {_moved(one)}; may lose {lose:.1f}"
        )
    if "programs" in event:
        lines.append(f"  programs  {_programs(event['programs'])}")
    if event["stop"]:
        lines.append(f"  stopped   {event['stop']}")
    if "short" in event:
        lines.append(f"  short     {shortfall_words(event['short'])}")
    return "\n".join((*lines, *_goals_and_model(event)))


def _goals_and_model(event: Event) -> list[str]:
    """What of the goals the champion met, where it is, how to look closer."""
    return [
        *(f"  {'met' if r['met'] else 'NOT MET':<9} {r['says']}" for r in event["requirements"]),
        f"  model     {event['champion_model']}",
        "  look      dagent report, dagent try, dagent ui",
    ]


def _moved(found: Mapping[str, Any]) -> str:
    low, high = found["ci"]
    return (
        f"{found['name']} {100 * found['base']:.1f} % → {100 * found['champion']:.1f} %, "
        f"{found['gain_pp']:+.1f} points ({low:+.1f} to {high:+.1f}), "
        f"{two_sided(found['p_holm'])} adjusted (Holm)"
    )


def _programs(found: Mapping[str, Any]) -> str:
    valid = found["valid"]
    each = f"{found['mats']:.1f} for each valid submission" if valid else "no valid submission"
    errors = ", ".join(f"{n} {name}" for name, n in found["errors"].items())
    return f"{found['attempts']} written, {each}" + (f"; failed: {errors}" if errors else "")


def comparison(event: Event, plan: Plan) -> str:
    """The arms over their seeds, and how far the loop is ahead of each."""
    found = event["comparison"]
    ahead = {c["arm"]: c for c in found["loop_minus"]}
    seeds = len(found["seeds"])
    over = f"{seeds} seeds" if seeds > 1 else f"the rows of test, seed {found['seeds'][0]} alone"
    width = max(len(a["arm"]) for a in found["arms"])
    lines = [
        f"{plan.name}: {found['metric']} on test, base {100 * found['base']:.1f} %, over {over}",
        f"  {'arm':<{width}}  {'test':>6}  {'gain, 95 % interval':<26}  "
        "the loop is ahead by; p two-sided (Holm)",
    ]
    for arm in found["arms"]:
        gain = _interval(arm["gain"])
        other = ahead.get(arm["arm"])
        lead = "" if other is None else f"{_interval(other)}, {adjusted_p(other)}"
        lines.append(
            f"  {arm['arm']:<{width}}  {100 * arm['test']:5.1f}%  {gain:<26}  {lead}".rstrip()
        )
    for one in found["beside"]:
        lines += _beside(one, width)
    if note := no_spread(found):
        lines.append(f"  {note}")
    lines += [
        f"  champion  {event['best']}, {_of_round(event['champion']['round'])}, chosen on select",
        f"  spent     {how_many(event['spent']['rows'], 'rows')}, "
        + ", ".join((how_many(event["spent"]["calls"], "calls"), *sometimes_words(event["spent"]))),
    ]
    lines += [
        f"  short     {id}: {shortfall_words(end['short'])}"
        for id, end in event["by_variant"].items()
        if "short" in end
    ]
    return "\n".join((*lines, *_goals_and_model(event)))


def _beside(one: Mapping[str, Any], width: int) -> Iterator[str]:
    """A guard, or a further metric: what the champions of each arm changed there."""
    lose = one["max_drop_pp"]
    of = f"also {one['name']}" if lose is None else f"guard {one['name']}, may lose {lose:.1f}"
    yield f"  {of}; p two-sided (Holm)"
    for arm in one["arms"]:
        yield (
            f"    {arm['arm']:<{width}}  "
            f"{100 * arm['base']:.1f} % → {100 * arm['champion']:.1f} %, "
            f"{_interval(arm)}, {adjusted_p(arm)}"
        )


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['pp']:+.1f} points ({between(found)})"


def _whose(event: Event) -> str:
    """The variants of an event: one by its name, several by what they have in common."""
    variants = event.get("variants", ())
    if not variants:
        return ""
    seeds = sorted({id.rsplit("/", 1)[1] for id in variants})
    return f"{variants[0] if len(variants) == 1 else 'all arms of ' + ', '.join(seeds)} "


def _of_round(number: int) -> str:
    return "the untouched student" if number == 0 else f"round {number}"
