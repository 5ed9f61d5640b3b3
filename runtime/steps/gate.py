"""``gate``: the new student becomes champion only if a paired exact test says that it is better.

A refused round loses its model, not its verified rows: early rounds often dip before they pay. Its
rows are set aside only when the round is significantly *worse*, or breaks a guard or a floor, and
come back once a later round clears them. The archive keeps every round and the gate's reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.comparing import Change, on_guard
from dagent.runtime.graders import average, by_skill, weights
from dagent.runtime.judging import scores
from dagent.runtime.requirements import OPERATORS, judge, reached, said
from dagent.runtime.rows import NO_SKILL, Row, read_json, read_rows, write_json, write_rows
from dagent.runtime.statistics import Paired, mean_interval, paired_test
from dagent.runtime.step import Artifact, Context, Params, StepOutput
from dagent.runtime.wording import one_sided

kind = "gate"
version = 8


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    if step.params["round"] == 0:
        return _first(step.params, inputs, context.scratch)
    return _later(step.params, inputs, context.scratch)


def _first(params: Params, inputs: Mapping[str, Artifact], out: Path) -> StepOutput:
    """Round 0: the untouched student is the champion and nothing is kept yet."""
    rows = read_rows(inputs["answers"].path)
    seeds = [
        {**row, "round": 0, "origin": f"data.{name.removeprefix('seed.')}"}
        for name, artifact in sorted(inputs.items())
        if name.startswith("seed.")
        for row in read_rows(artifact.path)
    ]
    decision = {
        **_summary(params, rows),
        "guards": _told(_guards(params, inputs)),
        "accepted": True,
        "harm": None,
        "champion_round": 0,
        "reason": "the untouched student",
        "stop": None,
        "rows": 0,
        "rows_total": len(seeds),
    }
    return _output(
        out,
        decision,
        archive=[],
        champion=inputs["model"],
        current=inputs["model"],
        answers=inputs["answers"],
        kept=write_rows(out / "kept.jsonl", seeds),
        aside=write_rows(out / "aside.jsonl", []),
    )


def _later(params: Params, inputs: Mapping[str, Artifact], out: Path) -> StepOutput:
    metric = params["metrics"][0]
    old = read_rows(inputs["champion_answers"].path)
    failed = read_json(inputs["outcome"].path)["failed"]
    new = old if failed else read_rows(inputs["answers"].path)
    before, after = scores(old, metric["name"]), scores(new, metric["name"])
    test = paired_test(before, after, weights(old, metric))
    guards = {} if failed else _guards(params, inputs)
    broken = [] if failed else [*_broken_floors(params, old, new), *_broken_guards(params, guards)]
    always = params["rule"] == "always" and not failed
    accepted = always or (not failed and accepts(test, broken, params["alpha"]))
    harm = None if always else _harm(test, broken, params["alpha"])

    added, kept = read_rows(inputs["added"].path), read_rows(inputs["kept"].path)
    aside = read_rows(inputs["aside"].path)
    archive = read_json(inputs["archive"].path)
    cleared = _cleared(aside, archive, accepted, harm)
    aside = [row for row in aside if row["round"] not in cleared]
    if harm and not cleared:
        aside = [*aside, *added]
    else:
        kept = [*kept, *added]
    kept = [*kept, *(r for r in read_rows(inputs["aside"].path) if r["round"] in cleared)]

    champion_round = params["round"] if accepted else _champion_round(archive)
    decision = {
        **_summary(params, new),
        "guards": _told(guards),
        "accepted": accepted,
        "champion_round": champion_round,
        "harm": harm,
        "failed": failed,
        "reason": f"no student: {failed}; the champion stays, and so do the round's rows"
        if failed
        else ("" if added else "no rows were added; ")
        + _reason(params, test, broken, accepted, harm, cleared)
        + ("" if accepted else _no_room(before, params["alpha"])),
        "p": test.better,
        "difference": test.difference,
        "fixed": test.fixed,
        "broken": test.broken,
        "rows": len(added),
        "rows_total": len(kept),
    }
    again = bool(failed and archive and archive[-1].get("failed"))
    decision["stop"] = _stop(params, new if accepted else old, champion_round, again)
    curriculum = read_json(inputs["curriculum"].path)
    champion = inputs["model"] if accepted else inputs["champion"]
    return _output(
        out,
        decision,
        archive=[*archive, {**decision, **_tried(curriculum, inputs, added)}],
        champion=champion,
        # What the next round diagnoses: the student that learned from all rows that are kept.
        current=champion if harm or failed else inputs["model"],
        answers=inputs["answers"] if accepted else inputs["champion_answers"],
        kept=write_rows(out / "kept.jsonl", kept),
        aside=write_rows(out / "aside.jsonl", aside),
    )


def accepts(test: Paired, broken: Sequence[str], alpha: float) -> bool:
    """Whether the paired rule makes the new student champion."""
    return test.better <= alpha and not broken


def _cleared(
    aside: Sequence[Row], archive: Sequence[Mapping[str, Any]], accepted: bool, harm: str | None
) -> set[int]:
    """The rounds whose rows come back from aside.

    All do when a student is accepted. When one that was trained without them is significantly worse
    as well, they were not what made theirs worse, most likely too few rows did: early rounds can
    dip before they pay. Rows of a round that broke a guard or a floor stay aside then.
    """
    rounds = {row["round"] for row in aside}
    if accepted:
        return rounds
    broke = {entry["round"] for entry in archive if entry["harm"] == "breaks"}
    return rounds - broke if harm == "worse" else set()


def _tried(
    curriculum: Mapping[str, Any], inputs: Mapping[str, Artifact], added: Sequence[Row]
) -> dict[str, Any]:
    """What the archive remembers of a round's ideas: what each item was to teach and how, what it
    yielded, and what was refused before it was tried."""
    counts = {
        name: Counter(row["item"] for row in rows)
        for name, rows in (
            ("made", read_rows(inputs["candidates"].path)),
            ("verified", read_rows(inputs["verified"].path)),
            ("added", added),
        )
    }
    keys = ("skill", "difficulty", "count", "method", "weakness")
    return {
        "families": curriculum["families"],
        "refused": curriculum["refused"],
        **({"effort": curriculum["effort"]} if "effort" in curriculum else {}),
        "tried": [
            {k: item[k] for k in keys if k in item} | {n: c[item["id"]] for n, c in counts.items()}
            for item in curriculum["items"]
        ],
    }


def _output(
    out: Path,
    decision: Mapping[str, Any],
    *,
    archive: Sequence[Mapping[str, Any]],
    **artifacts: Path | Artifact,
) -> StepOutput:
    verdict = "accepted" if decision["accepted"] else "refused"
    return StepOutput(
        {
            **artifacts,
            "archive": write_json(out / "archive.json", archive),
            "decision": write_json(out / "decision.json", decision),
        },
        {"select": decision["select"], "rows_total": decision["rows_total"]},
        f"{verdict}: {decision['reason']}",
    )


def _summary(params: Params, rows: Sequence[Row]) -> dict[str, Any]:
    metric = params["metrics"][0]
    got = scores(rows, metric["name"])
    low, high = mean_interval(got, weights(rows, metric))
    return {
        "round": params["round"],
        "metric": metric["name"],
        "select": average(got, rows, metric),
        "select_low": low,
        "select_high": high,
        "per_skill": by_skill(got, rows),
    }


def _broken_floors(params: Params, old: Sequence[Row], new: Sequence[Row]) -> list[str]:
    """Floors that the champion held and the new student does not."""
    broken = []
    for floor in params["floors"]:
        metric = _named(params, floor["metric"])
        holds = OPERATORS[floor["op"]]
        rest = NO_SKILL if floor.get("skill") else floor["metric"]
        before, after = reached(floor, old, metric), reached(floor, new, metric)
        broken += [
            f"{said(floor)}: {skill or rest} fell {before[skill]:.3f} to {value:.3f}"
            for skill, value in after.items()
            if not holds(value, floor["value"]) and holds(before.get(skill, 0.0), floor["value"])
        ]
    return broken


def _guards(params: Params, inputs: Mapping[str, Artifact]) -> dict[str, Change]:
    """What the student changed on each guard against the base; of the base itself, nothing."""
    base = params["round"] == 0
    challenger = "base_guard" if base else "guard"
    return {g["set"]: on_guard(g, inputs, challenger, same=base) for g in params["guards"]}


def _broken_guards(params: Params, guards: Mapping[str, Change]) -> list[str]:
    broken = []
    for guard in params["guards"]:
        found, allowed = guards[guard["set"]], guard["max_drop"]
        if found.before - found.after > allowed:
            least, most = (0.0 - 100 * end for end in (found.high, found.low))
            broken.append(
                f"guard {guard['set']} fell by {100 * (found.before - found.after):.1f} points "
                f"(95 % interval {least:.1f} to {most:.1f}), {100 * allowed:.1f} allowed"
            )
    return broken


def _told(guards: Mapping[str, Change]) -> dict[str, Any]:
    return {
        name: {
            "base": found.before,
            "value": found.after,
            "difference_pp": 100 * (found.after - found.before),
            "ci": [100 * found.low, 100 * found.high],
            "p": found.p,
        }
        for name, found in guards.items()
    }


def _harm(test: Paired, broken: Sequence[str], alpha: float) -> str | None:
    """``breaks`` a guard or a floor, is significantly ``worse``, or neither."""
    if broken:
        return "breaks"
    return "worse" if test.worse <= alpha else None


def _reason(
    params: Params,
    test: Paired,
    broken: Sequence[str],
    accepted: bool,
    harm: str | None,
    cleared: Collection[int],
) -> str:
    fixed = f"{how_many(test.fixed, 'rows')} fixed and {test.broken} broken"
    moved = f"{100 * test.difference:+.1f} points, {fixed}"
    if params["rule"] == "always":
        return f"{moved}; accepted by rule ({one_sided(test.better)})"
    if accepted:
        return f"{moved}; {one_sided(test.better)}"
    if broken:
        return f"{moved}; " + "; ".join(broken) + "; its rows are set aside"
    if harm and cleared:
        rounds = ", ".join(str(number) for number in sorted(cleared))
        return (
            f"{moved}; significantly worse ({one_sided(test.worse)}), without the rows of round "
            f"{rounds}: they are not the cause and come back, its own stay"
        )
    if harm:
        return f"{moved}; significantly worse ({one_sided(test.worse)}); its rows are set aside"
    above = f"{one_sided(test.better)} > {params['alpha']:g}"
    return f"{moved}; not beyond noise ({above}); its rows stay"


def _no_room(champion: Sequence[float], alpha: float) -> str:
    """Said where so few rows are left that fixing all of them would not be significant."""
    left = sum(score < 1 for score in champion)
    if 0.5**left <= alpha:
        return ""
    if not left:
        return "; the champion has every row of select right, so no round can be called better"
    rows = how_many(left, "rows")
    return f"; the champion has only {rows} of select not right, too few to be called better on"


def _named(params: Params, name: str) -> Mapping[str, Any]:
    return next(m for m in params["metrics"] if m["name"] == name)


def _champion_round(archive: Sequence[Mapping[str, Any]]) -> int:
    return int(archive[-1]["champion_round"]) if archive else 0


def _stop(
    params: Params, champion: Sequence[Row], champion_round: int, failed_again: bool
) -> str | None:
    """Why to stop now; ``None`` to go on."""
    if failed_again:
        return "the training failed in two rounds, one after the other"
    when, patience = params["stop"]["when"], params["stop"]["patience"]
    if when and (verdict := judge(when, champion, _named(params, when["metric"]))).met:
        return f"goal met: {verdict.says}"
    waited = params["round"] - champion_round
    if patience and waited >= patience:
        return f"no new champion for {how_many(waited, 'rounds')}"
    return None
