"""The budget: parts that exist, caps that bind, and enough for what the rounds need at least."""

from __future__ import annotations

import math

from dagent.compiler.blocks import PARTS, PARTS_OF
from dagent.compiler.cost import Cost
from dagent.compiler.engineering import ROWS_PER_CALL, Engineering, Use, total
from dagent.compiler.facts import Facts
from dagent.compiler.quantity import capped, shown
from dagent.compiler.spec import Caps, Spec
from dagent.compiler.totals import span
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean


def check_budget(spec: Spec, facts: Facts, diagnostics: Diagnostics) -> None:
    _check_parts(spec, diagnostics)
    _check_rows(spec, diagnostics)
    _check_calls(spec, diagnostics)
    # What a run takes is known only of data that could be read.
    if all(data.name in facts.data for data in spec.data) and not diagnostics.has_errors:
        cost = Cost(spec, facts)
        _check_time(spec, cost, diagnostics)
        _check_use(spec, cost.engineering, diagnostics)


def _check_parts(spec: Spec, diagnostics: Diagnostics) -> None:
    budget = spec.budget
    whole = budget.run.given()
    others = {p for s, names in PARTS_OF.items() if s != spec.engineer.strategy for p in names}
    known = [name for name in PARTS if name not in others]
    for name, part in budget.per.items():
        if name not in known:
            diagnostics.error(
                "E403",
                f"`{name}` is no part of a run that can be capped",
                spec.key("budget", "per", name),
                did_you_mean(name, known, "use " + " or ".join(f"`per {p}`" for p in known)),
            )
            continue
        for kind, cap in part.given().items():
            if kind in whole and cap > whole[kind]:
                diagnostics.error(
                    "E402",
                    f"{capped(cap, kind)} per {name} is more than {capped(whole[kind], kind)} "
                    "in all",
                    spec.at("budget", "per", name, kind),
                    "lower it below the whole, or remove it",
                    [Note("the cap of the whole run", spec.at("budget", kind))],
                )


def _check_rows(spec: Spec, diagnostics: Diagnostics) -> None:
    budget = spec.budget
    per_round = budget.rows_per_round
    if budget.run.rows is None and per_round == 0:
        diagnostics.error(
            "E404",
            "the budget does not say how many rows to make",
            spec.key("budget"),
            "add `per round { rows <= 2k rows }`, or `rows <= 10k rows` for the whole run",
        )
    elif per_round == 0:
        diagnostics.error(
            "E401",
            f"{shown(budget.run.rows or 0, 'rows')} in all are less than one a round for "
            f"{shown(budget.rounds, 'rounds')}",
            spec.at("budget", "rows"),
            f"allow at least {budget.rounds} rows, or fewer rounds",
        )
    elif budget.run.rows is not None and budget.run.rows >= per_round:
        needed = per_round * budget.rounds
        if needed > budget.run.rows:
            diagnostics.error(
                "E401",
                f"{shown(budget.rounds, 'rounds')} of {shown(per_round, 'rows')} are "
                f"{shown(needed, 'rows')}, and the budget allows {shown(budget.run.rows, 'rows')}",
                spec.at("budget", "rows"),
                f"allow {shown(needed, 'rows')}, or fewer rounds or rows per round",
            )


def _check_calls(spec: Spec, diagnostics: Diagnostics) -> None:
    """A program is charged one call a candidate row, and every round makes rows × candidates; a
    language model makes several rows a call."""
    if spec.engineer.writes_programs:
        _check_calls_of_programs(spec, diagnostics)
        return
    budget, candidates = spec.budget, spec.engineer.candidates
    rows = budget.rows_per_round
    per_round = math.ceil(rows * candidates)
    each = f"{shown(rows, 'rows')} × {candidates:g} candidates"
    if spec.engineer.generator.lm:
        per_round = math.ceil(per_round / ROWS_PER_CALL)
        each += f", {ROWS_PER_CALL} a call,"
    total = per_round * budget.rounds
    sums = {
        ("calls",): (total, f"{budget.rounds} rounds × {each}"),
        ("per", "generator", "calls"): (total, f"{budget.rounds} rounds × {each}"),
        ("per", "round", "calls"): (per_round, each),
    }
    for path, (needed, words) in sums.items():
        caps = budget.run if len(path) == 1 else budget.per.get(path[1])
        if caps is not None and caps.calls is not None and caps.calls < needed:
            diagnostics.error(
                "E401",
                f"{words} take {shown(needed, 'calls')}, and the cap is "
                f"{shown(caps.calls, 'calls')}",
                spec.at("budget", *path),
                f"allow {shown(needed, 'calls')}, or lower the rounds, rows or `candidates`",
            )


def _check_calls_of_programs(spec: Spec, diagnostics: Diagnostics) -> None:
    """How many rows a program makes of an answer is its own affair, but it needs one."""
    budget = spec.budget
    for path, each in (
        (("calls",), 2),
        (("per", "author", "calls"), 1),
        (("per", "teacher", "calls"), 1),
    ):
        caps = budget.run if len(path) == 1 else budget.per.get(path[1])
        needed = each * budget.rounds
        if caps is not None and caps.calls is not None and caps.calls < needed:
            words = "one of the author and one of the teacher" if each == 2 else "at least one"
            diagnostics.error(
                "E401",
                f"{shown(budget.rounds, 'rounds')} take {shown(needed, 'calls')}, {words} each, "
                f"and the cap is {shown(caps.calls, 'calls')}",
                spec.at("budget", *path),
                f"allow {shown(needed, 'calls')}, or fewer rounds",
            )


def _check_time(spec: Spec, cost: Cost, diagnostics: Diagnostics) -> None:
    """Warnings only: how fast the machine is, nobody knows here."""
    budget = spec.budget
    last, held = cost.round(budget.rounds)[0], cost.held(budget.rounds)[0]
    part = budget.per.get("round", Caps())
    sums = (
        (("wall",), budget.run.wall, cost.run()[0], "the run is"),
        (("gpu",), budget.run.gpu, cost.held_by_run()[0], "training and answering are"),
        (("per", "round", "wall"), part.wall, last, "the last round is"),
        (("per", "round", "gpu"), part.gpu, held, "training and answering of the last round are"),
    )
    for path, cap, low, what in sums:
        if cap is not None and low > cap:
            diagnostics.warn(
                "E405",
                f"{what} estimated at {shown(low, 'time')} or more, and `{path[-1]}` allows "
                f"{shown(cap, 'time')}",
                spec.at("budget", *path),
                "allow more time, or lower the rounds or rows; the run would end early",
            )


def _check_use(spec: Spec, engineering: Engineering, diagnostics: Diagnostics) -> None:
    """Tokens and money of language models: a cap below the low estimate ends the run too early for
    certain, one below the high estimate perhaps."""
    budget = spec.budget
    uses = {"round": total(engineering.by_role().values()), **engineering.of_run()}
    _check_caps(spec, budget.run, (), engineering.run(), diagnostics)
    for name, caps in budget.per.items():
        if name in uses:
            _check_caps(spec, caps, ("per", name), uses[name], diagnostics)


def _check_caps(
    spec: Spec, caps: Caps, path: tuple[str, ...], use: Use, diagnostics: Diagnostics
) -> None:
    what = f"a {path[1]}" if path == ("per", "round") else f"the {path[1] if path else 'run'}"
    sums = {"tokens": (caps.tokens, use.tokens), "money": (caps.money, use.money)}
    for unit, (cap, needed) in sums.items():
        if cap is None or needed is None or needed[1] <= cap:
            continue
        low, high = (float(f"{x:.2g}") for x in needed)
        where, allowed = spec.at("budget", *path, unit), span((cap, cap), unit)
        if needed[0] > cap:
            diagnostics.error(
                "E401",
                f"{what} takes {span((low, low), unit)} or more, by the low estimate, and the cap "
                f"is {allowed}",
                where,
                f"allow up to {span((high, high), unit)}, lower the rounds, rows or `candidates`, "
                "or name a cheaper model",
            )
        else:
            diagnostics.warn(
                "E412",
                f"{what} may take {span((low, high), unit)}, and the cap is {allowed}",
                where,
                "allow more, or expect the run to end at the cap",
            )
