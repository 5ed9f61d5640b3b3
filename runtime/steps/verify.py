"""``verify``: a row may be trained on only if nothing speaks against it. Rejects are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.graders import grader
from dagent.runtime.locked import loads
from dagent.runtime.programs import load_function
from dagent.runtime.roles import Verifier
from dagent.runtime.rows import Row, read_json, read_rows, with_reason, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "verify"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return loads(lambda: program_verifier(step.params["verifier"], project))


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    candidates = read_rows(inputs["candidates"].path)
    checked = check_rows(step, candidates, inputs, context)
    verified = [row for row, reason in checked if reason is None]
    rejects = [(row, reason) for row, reason in checked if reason is not None]
    causes = Counter(reason.split(":")[0] for _, reason in rejects).most_common(2)
    told = "".join(f"; {n} {cause}" for cause, n in causes)
    return StepOutput(
        {
            "verified": write_rows(context.scratch / "verified.jsonl", verified),
            "rejects": write_rows(context.scratch / "rejects.jsonl", with_reason(rejects)),
        },
        {"verified": len(verified), "rejected": len(rejects)},
        f"{len(verified)} of {len(candidates)} rows right{told}",
    )


def check_rows(
    step: Step, candidates: Sequence[Row], inputs: Mapping[str, Artifact], context: Context
) -> list[tuple[Row, str | None]]:
    """Every row with its verdicts, and the reason to reject it or None. What costs nothing comes
    first: form, grader, the user's program; then the model, on the rest."""
    role = step.params["verifier"]
    verifier = program_verifier(role, context.project)
    grade = grader(step.params["metric"], context.project)
    rows: list[tuple[Row, str | None]] = []
    for number, row in enumerate(candidates, 1):
        reason = fault(row, verifier, grade)
        said = [{"by": role["program"]}] if role and verifier and reason is None else []
        rows.append(({**row, "verdicts": said} if said else row, reason))
        if number % 500 == 0 or number == len(candidates):
            context.progress(number, len(candidates))
    if not role or "lm" not in role:
        return rows
    from dagent.runtime.agents.checking import ask_model

    sound = [i for i, (_, reason) in enumerate(rows) if reason is None]
    program = inputs["program"].path if "program" in inputs else None
    threshold = None
    if "calibration" in inputs:
        threshold = read_json(inputs["calibration"].path)["threshold"]
    said_of = ask_model(step, [rows[i][0] for i in sound], grade, threshold, program, context)
    for i, (said, reason) in zip(sound, said_of, strict=True):
        row = rows[i][0]
        rows[i] = ({**row, "verdicts": [*row.get("verdicts", ()), *said]}, reason)
    return rows


def fault(row: Row, verifier: Verifier | None, grade: Any) -> str | None:
    """Why the row may not be trained on; ``None`` if it may."""
    if row.get("fault"):
        return str(row["fault"])
    if row.get("malformed"):
        return "no row: a prompt and an answer are needed, both texts"
    if not row["prompt"].strip() or not row["answer"].strip():
        return "empty prompt or answer"
    if grade(row["answer"], row) < 1:
        return "its own answer fails the metric's grader"
    verdict = verifier(row) if verifier else None
    if verdict is None or verdict is True:
        return None
    return verdict or "rejected by the verifier" if isinstance(verdict, str) else "rejected"


def program_verifier(role: Mapping[str, Any] | None, project: Path) -> Verifier | None:
    """The user's program, where there is one."""
    if role is None or "program" not in role:
        return None
    function = load_function(role["program"], project)
    return lambda row: function(row, **role["options"])
