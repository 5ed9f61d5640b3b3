"""``train``: the chain of TRL stages, in the worker, on all rows kept so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.gpu import needs_gpu
from dagent.runtime.locked import unchanged
from dagent.runtime.optional import missing
from dagent.runtime.rows import read_rows, write_json, write_rows
from dagent.runtime.step import Artifact, Context, Params, StepOutput

kind = "train"
version = 2
DIVERGED = "E870"
PEAK = "peak_memory"  # metric: most bytes of tensors on the first GPU at a time
SHORT = ("sft", "gkd", "grpo", "rloo", "distillation")  # these take every row that fits
# Of an attention; without it transformers would take a compiled kernel from the hub.
PACKAGES = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}
CHECKPOINT_SECONDS = 300  # what a killed training loses at most, and one step


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    if step.params["adapter"] == "qlora":
        yield from needs_gpu("E872", "adapter = qlora", "bitsandbytes", "adapter = lora")
    yield from missing(step.params["stages"])
    attention = step.params.get("attn_implementation")
    if attention in PACKAGES:
        said = f"attn_implementation = {attention}"
        yield from needs_gpu("E879", said, PACKAGES[attention], "attn_implementation = sdpa")
    for path, sha256 in _launched(step.params).get("sha256", {}).items():
        yield from unchanged("the accelerate config", project / path, sha256)


def _launched(params: Params) -> Mapping[str, Any]:
    found: Mapping[str, Any] = params.get("accelerate") or {}
    return found


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    """A training that diverged is no fault of the machine, and would diverge again: it leaves the
    student as it was, and ``outcome`` tells the gate, which refuses the round."""
    model, log = context.scratch / "model", context.scratch / "log.jsonl"
    rows = inputs["rows"].path
    if not rows.stat().st_size:  # a program's round without a valid submission
        return _untrained(inputs, context, log, 0, "nothing to train on")
    try:
        done = train(step.params, inputs, rows, model, log, context.checkpoints, context)
    except Refused as refused:
        found = refused.diagnostics[0]
        if found.code != DIVERGED:
            raise
        failed = f"{found.message.removeprefix('`train` failed: ')}: {found.suggestion}"
        return _untrained(inputs, context, log, len(read_rows(rows)), failed, failed)
    metrics = {"rows": done["rows"]}
    if done["loss"] is not None:
        metrics["loss"] = done["loss"]
    if done["memory"]:
        metrics[PEAK] = done["memory"]
    note = f"trained on {how_many(done['rows'], 'rows')}"
    if len(done["stages"]) > 1 or done["stages"][0]["rows"] != done["rows"]:
        for number, stage in enumerate(done["stages"], 1):
            metrics[f"rows/{number}.{stage['stage']}"] = stage["rows"]
        note += ": " + ", then ".join(f"{s['stage']} on {s['rows']}" for s in done["stages"])
        if any(s["stage"] in SHORT and s["rows"] < done["rows"] for s in done["stages"]):
            note += "; the others are too long for `max_length` or the student's context"
    outcome = write_json(context.scratch / "outcome.json", {"failed": None})
    return StepOutput({"model": model, "log": log, "outcome": outcome}, metrics, note)


def _untrained(
    inputs: Mapping[str, Artifact],
    context: Context,
    log: Path,
    rows: int,
    note: str,
    failed: str | None = None,
) -> StepOutput:
    outcome = write_json(context.scratch / "outcome.json", {"failed": failed})
    made = {"log": write_rows(log, []), "outcome": outcome}
    return StepOutput({"model": inputs["model"], **made}, {"rows": rows}, note)


def train(
    params: Params,
    inputs: Mapping[str, Artifact],
    rows: Path,
    out: Path,
    log: Path,
    checkpoints: Path,
    context: Context,
) -> dict[str, Any]:
    """What the worker says of the training: ``rows``, ``loss``, ``stages``, ``memory``.
    ``inputs`` hold the student as ``model`` and the models that a distillation learns from as
    ``teacher.NAME``."""
    project, config = context.project.absolute(), _launched(params).get("config")
    done: dict[str, Any] = context.worker.call(
        "train",
        context.progress,
        model=str(inputs["model"].path),
        rows=str(rows),
        teachers={
            name.removeprefix("teacher."): str(artifact.path)
            for name, artifact in inputs.items()
            if name.startswith("teacher.")
        },
        out=str(out),
        log=str(log),
        checkpoints=str(checkpoints),
        every=CHECKPOINT_SECONDS,
        project=str(project),
        **{**params, **({"accelerate": str(project / config)} if config else {})},
    )
    return done
