"""``author``: a language model writes a program, and the program makes the round's candidates.

The program runs in the sandbox and nowhere else. Every row that comes out names the call of the
teacher that made it; what was refused, every call and every attempt are kept beside the candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.locked import unchanged
from dagent.runtime.rows import row_id, with_reason, write_json, write_rows
from dagent.runtime.sandbox import Sandbox
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "author"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    for path, sha256 in step.params["documents"].items():
        yield from unchanged(f"the document `{path}`", project / path, sha256)
    if step.round != 1:
        return
    try:
        Sandbox().close()
    except Refused as refused:
        yield from refused.diagnostics


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    from dagent.runtime.authoring.measures import diversity
    from dagent.runtime.authoring.round import Programs, effort, mats
    from dagent.runtime.authoring.states import VALID

    params = step.params
    programs = Programs(step, inputs, context)
    ended, teacher = programs.run()
    accepted = ended.outcome == VALID
    last = programs.log["attempts"][-1]
    rows = ended.checked.valid if accepted and ended.checked else []
    refused = ended.checked.refused if ended.checked else []
    rejects = [
        ({"id": row_id(repr(raw)), "prompt": str(_of(raw, "prompt")), "submitted": raw}, reason)
        for raw, reason in refused
    ]
    taken = effort(programs.log, params["round"])
    item = {
        "id": last["id"],
        "skill": "",
        "difficulty": "",
        "count": params["rows"],
        "share": 1.0,
        "method": last["state"],
        "rationale": last["plan"],
    }
    curriculum = {
        "round": params["round"],
        "planner": params["author"]["lm"]["model"],
        "families": [],
        "items": [item],
        "refused": [],
        "effort": taken,
    }
    metrics = {
        "attempts": taken["attempts"],
        "valid": taken["valid"],
        "calls": taken["calls"],
        "candidates": len(rows),
        "refused": len(refused),
        **({"echoed": ended.checked.echoed} if accepted and ended.checked else {}),
        **{f"error_{name.replace(' ', '_')}": n for name, n in taken["errors"].items()},
        **(diversity(rows, params["seed"]) if rows else {}),
    }
    ratio = mats(programs.log)
    if ratio is not None:
        metrics["mats"] = ratio
    out = context.scratch
    calls = [call.line() for call in teacher.calls.values()] if teacher else []
    return StepOutput(
        {
            "candidates": write_rows(out / "candidates.jsonl", rows),
            "rejects": write_rows(out / "rejects.jsonl", with_reason(rejects)),
            "calls": write_rows(out / "calls.jsonl", sorted(calls, key=_number)),
            "curriculum": write_json(out / "curriculum.json", curriculum),
            "log": write_json(out / "log.json", programs.log),
        },
        metrics,
        f"{how_many(len(rows), 'rows')} from {how_many(taken['calls'], 'calls')} of "
        f"{how_many(taken['attempts'], 'programs')}"
        if accepted
        else f"no valid submission in {taken['attempts']} programs; the last: {last['error']}",
    )


def _of(raw: object, key: str) -> object:
    return raw.get(key, "") if isinstance(raw, dict) else raw


def _number(call: Mapping[str, str]) -> tuple[str, int]:
    attempt, _, number = call["id"].partition("#")
    return attempt, int(number)
