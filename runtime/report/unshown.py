"""What a report does not show: said of the execution at hand, so that nobody reads it into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dagent.compiler.detectable import missed
from dagent.compiler.plan import Plan, Step
from dagent.runtime.projection import Event, rounds
from dagent.runtime.report import parts
from dagent.runtime.report.facts import changes, opened_elsewhere
from dagent.runtime.report.markup import Part, el

FEW = 5  # seeds


def unshown(past: Sequence[Event], plan: Plan | None, project: Path) -> Part:
    if plan is None:
        return None
    told = (*_said(past, plan, project), *_opened(past, plan, project))
    return el(
        "section",
        el("h2", "What this does not show"),
        el("ul", [el("li", parts.coded(said)) for said in told]),
    )


def _said(past: Sequence[Event], plan: Plan, project: Path) -> Iterator[str]:
    yield "How the student does on questions that are not drawn as those of test were."
    seeds = len({v.seed for v in plan.variants})
    if 1 < seeds < FEW:
        yield f"Small differences between arms: over {seeds} seeds only large ones leave the noise."
    if seeds > 1:
        yield (
            "How other rows of test would end: intervals over seeds speak of other seeds, and all "
            "seeds answer the same rows."
        )
    if seeds < 2:
        yield (
            "How another seed would end. The interval speaks of the rows of test; that trainings "
            "differ by their seed is not in it."
        )
    if not plan.variants:
        yield (
            "That the loop is worth its cost: simpler data of the same budget were not tried. Add "
            "`arms { … }` to compare."
        )
    gates = [s for s in plan.steps if s.kind == "gate" and s.round]
    if not gates:
        return
    gate = next((g for g in gates if g.params["rule"] == "paired"), gates[0])
    asked = [e for number, e in rounds(past).items() if number]
    if len(asked) > 1 and any(e["accepted"] for e in asked):
        yield (
            f"That no accepted round was luck: the gate tests each of {len(asked)} at "
            f"{gate.params['alpha']:.0%} by itself. Test was opened once, and owes nothing to that."
        )
    if not gate.params["guards"]:
        yield "That the student kept what it could do besides: no guard was watched."
    splits = (e for e in past if e["event"] == "step_finished" and e["kind"] == "split")
    split = next(splits, None)
    if split and gate.params["rule"] == "paired":
        rows = round(split["metrics"]["select"])
        macro = gate.params["metrics"][0]["average"] == "macro"
        counted = split["metrics"].get("select_by_skill", rows) if macro else rows
        seen = _share_changed(past, project, rows)
        yield f"Small gains of a round: {missed(rows, counted, gate.params['alpha'], seen)}."
    yield from _of_leaks(past)
    yield from _of_metrics(gate)


def _share_changed(past: Sequence[Event], project: Path, rows: int) -> str:
    """How many answers differ from those of the champion that a round challenged."""
    found = sorted(round(100 * (c.fixed + c.broken) / rows) for c in changes(past, project))
    if not found:
        return ""
    between = f"{found[0]}" if found[0] == found[-1] else f"{found[0]} to {found[-1]}"
    return f"; in these rounds {between} % did"


def _opened(past: Sequence[Event], plan: Plan, project: Path) -> Iterator[str]:
    """Test was opened once by this execution; others may have shown what it says before."""
    others = opened_elsewhere(past, plan, project)
    if others:
        many = f"{len(others)} other executions" if len(others) > 1 else "another execution"
        yield (
            f"That the rows of test were fresh: {many} of this folder tested a champion on them "
            f"({', '.join(others)}). A spec that was changed after such a figure was seen may owe "
            "its own to chance: confirm it on new rows."
        )


def _of_leaks(past: Sequence[Event]) -> Iterator[str]:
    """Rows of which a copy in disguise would not have been found."""
    done = (e for e in past if e["event"] == "step_finished" and e["kind"] == "decontaminate")
    reach = next((e["metrics"] for e in done if "reach_rows" in e["metrics"]), None)
    if reach is None:
        return
    rows = round(reach["reach_rows"])
    constants, passage = (rows - round(reach[f"reach_{rule}"]) for rule in ("template", "ngram"))
    if constants or passage:
        yield (
            "That no disguised copy of dev, test or guard rows was trained on. Too short to tell, "
            f"or worded like others, are {constants:,} of these {rows:,} rows for copies with "
            f"other constants, {passage:,} for copies within other words. Copies of whole "
            "questions were looked for in all."
        )


def _of_metrics(gate: Step) -> Iterator[str]:
    for metric in gate.params["metrics"]:
        if metric["grader"] == "judge":
            yield (
                f"That a person would grade as `{metric['name']}` does: its judge is "
                f"`{metric['lm']['model']}`, calibrated on right answers in one wording."
            )
