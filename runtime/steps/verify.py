"""``verify``: a row may be trained on only if nothing speaks against it. Rejects are kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.dsl.texts import characters
from dagent.runtime.grade import Grade, graded
from dagent.runtime.graders import TRUSTING, grader, ready
from dagent.runtime.locked import loads
from dagent.runtime.programs import load_function
from dagent.runtime.roles import Verifier
from dagent.runtime.rows import Row, read_json, read_rows, with_reason, write_rows
from dagent.runtime.shortfall import UNVERIFIED
from dagent.runtime.step import Artifact, Context, StepOutput
from dagent.runtime.telling import Telling, telling

kind = "verify"
version = 1

_AT_ONCE = 500  # rows between two signs of progress
_NAMED = re.compile(r" of row \w+$")  # whichever row it repeats, the cause is one

Screen = Callable[[Row], str | None]


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    yield from loads(lambda: program_verifier(step.params["verifier"], project))
    if step.round == 1:  # the checks are the same in every round
        for check in step.params.get("checks", ()):
            yield from ready(check, project)


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    candidates = read_rows(inputs["candidates"].path)
    checked = check_rows(step, candidates, inputs, context)
    verified = [row for row, reason in checked if reason is None]
    rejects = [(row, reason) for row, reason in checked if reason is not None]
    n = sum(reason == UNVERIFIED for _, reason in rejects)
    causes = Counter(_NAMED.sub("", r).split(":")[0] for _, r in rejects).most_common(2)
    told = "; rejected: " + ", ".join(f"{cause} ×{n}" for cause, n in causes) if causes else ""
    return StepOutput(
        {
            "verified": write_rows(context.scratch / "verified.jsonl", verified),
            "rejects": write_rows(context.scratch / "rejects.jsonl", with_reason(rejects)),
        },
        {"verified": len(verified), "rejected": len(rejects)},
        f"{len(verified)} of {len(candidates)} rows right{told}"
        + (f"; {n} {UNVERIFIED}" if n else ""),
    )


def check_rows(
    step: Step, candidates: Sequence[Row], inputs: Mapping[str, Artifact], context: Context
) -> list[tuple[Row, str | None]]:
    """Every row with its verdicts, and the reason to reject it or None. What costs nothing comes
    first: form, grader, the user's program; then the model, on the rest."""
    role = step.params["verifier"]
    screened = screen_many(step.params, context.project)
    # Whose word let a row pass, as its lineage shows it.
    said = [{"by": role["program"]}] if role and "program" in role else []
    said += [{"by": check["name"]} for check in step.params.get("checks", ())]
    rows: list[tuple[Row, str | None]] = []
    for start in range(0, len(candidates), _AT_ONCE):
        part = candidates[start : start + _AT_ONCE]
        for row, reason in zip(part, screened(part), strict=True):
            rows.append(({**row, "verdicts": list(said)} if said and not reason else row, reason))
        context.progress(len(rows), len(candidates))
    if not role or "lm" not in role:
        return rows
    from dagent.runtime.agents.checking import ask_model

    sound = [i for i, (_, reason) in enumerate(rows) if reason is None]
    program = inputs["program"].path if "program" in inputs else None
    threshold = None
    if "calibration" in inputs:
        threshold = read_json(inputs["calibration"].path)["threshold"]
    grade = grader(step.params["metric"], context.project)
    said_of = ask_model(step, [rows[i][0] for i in sound], grade, threshold, program, context)
    for i, (judged, reason) in zip(sound, said_of, strict=True):
        row = rows[i][0]
        rows[i] = ({**row, "verdicts": [*row.get("verdicts", ()), *judged]}, reason)
    return rows


def screen(params: Mapping[str, Any], project: Path) -> Screen:
    """``screen_many`` of one row."""
    many = screen_many(params, project)
    return lambda row: many([row])[0]


def screen_many(
    params: Mapping[str, Any], project: Path
) -> Callable[[Sequence[Row]], list[str | None]]:
    """Why each row may not be trained on, as far as no model is asked; ``None`` if it may.

    ``params`` name the metric, the verifier and the further checks; their programs are loaded now.
    """
    verifier = program_verifier(params["verifier"], project)
    graders = {"": grader(params["metric"], project)}
    graders |= {check["name"]: grader(check, project) for check in params.get("checks", ())}
    tells = _tells(params, project)

    def screened(rows: Sequence[Row]) -> list[str | None]:
        reasons = [_form(row) for row in rows]
        for name, grade in graders.items():
            sound = [i for i, reason in enumerate(reasons) if reason is None]
            grades = graded(grade, [(rows[i]["answer"], rows[i]) for i in sound])
            for i, own in zip(sound, grades, strict=True):
                reasons[i] = _failing(name, own)
        if tells is not None:
            sound = [i for i, reason in enumerate(reasons) if reason is None]
            for i, found in zip(sound, tells([rows[i] for i in sound]), strict=True):
                reasons[i] = found
        if verifier is None:
            return reasons
        return [r or _refused(verifier(row)) for row, r in zip(rows, reasons, strict=True)]

    return screened


def _tells(params: Mapping[str, Any], project: Path) -> Telling | None:
    """Where a model brought what rows are judged by."""
    brought = params.get("brought")
    judges = [params["metric"], *params.get("checks", ())]
    options = next((judge for judge in judges if judge["grader"] == brought), None)
    if brought is None or options is None or options.get(TRUSTING):
        return None
    return telling(brought, options, project)


def _form(row: Row) -> str | None:
    if row.get("fault"):
        return str(row["fault"])
    if row.get("malformed"):
        return "no row: a prompt and an answer are needed, both texts"
    if not row["prompt"].strip() or not row["answer"].strip():
        return "empty prompt or answer"
    return None


def _failing(check: str, own: Grade) -> str | None:
    """What the grader of a check, or of the metric, says of a row's own answer."""
    if own.score == 1:
        return None
    if check:
        return f"{check}: {own.reason or f'its answer scores {own.score:g}'}"
    said = "its own answer fails the metric's grader"
    return f"{said}: {own.reason}" if own.reason else said


def _refused(verdict: str | bool | None) -> str | None:
    if verdict is None or verdict is True:
        return None
    if not isinstance(verdict, str):
        return "rejected"
    return characters(verdict) or "rejected by the verifier"


def program_verifier(role: Mapping[str, Any] | None, project: Path) -> Verifier | None:
    """The user's program, where there is one."""
    if role is None or "program" not in role:
        return None
    function = load_function(role["program"], project)
    return lambda row: function(row, **role["options"])
