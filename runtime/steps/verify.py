"""``verify``: a row may be trained on only if nothing speaks against it. Rejects are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.graders import grader
from dagent.runtime.locked import loads
from dagent.runtime.programs import load_function
from dagent.runtime.roles import Verifier
from dagent.runtime.rows import Row, read_rows, with_reason, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "verify"
version = 1


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return loads(lambda: _verifier(step.params["verifier"], project))


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    verifier = _verifier(step.params["verifier"], context.project)
    grade = grader(step.params["metric"], context.project)
    verified: list[Row] = []
    rejects: list[tuple[Row, str]] = []
    candidates = read_rows(inputs["candidates"].path)
    for number, row in enumerate(candidates, 1):
        reason = fault(row, verifier, grade)
        if reason is None:
            verified.append(row)
        else:
            rejects.append((row, reason))
        if number % 500 == 0 or number == len(candidates):
            context.progress(number, len(candidates))
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


def fault(row: Row, verifier: Verifier | None, grade: Any) -> str | None:
    """Why the row may not be trained on; ``None`` if it may."""
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


def _verifier(role: Mapping[str, Any] | None, project: Path) -> Verifier | None:
    if role is None:
        return None
    function = load_function(role["program"], project)
    return lambda row: function(row, **role["options"])
