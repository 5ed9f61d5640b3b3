"""``train``: the chain of TRL stages, in the worker, on all rows kept so far."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.step import Artifact, Context, Params, StepOutput

kind = "train"
version = 1
CHECKPOINT_SECONDS = 300  # what a killed training loses at most, and one step


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    if step.params["adapter"] != "qlora":
        return
    lacks = []
    if not _has_gpu():
        lacks.append("a CUDA GPU")
    if importlib.util.find_spec("bitsandbytes") is None:
        lacks.append("the package `bitsandbytes`")
    if lacks:
        yield Diagnostic(
            "E872",
            f"`adapter = qlora` needs {' and '.join(lacks)}, which this machine lacks",
            suggestion="write `adapter = lora` and compile again, or run the plan where they are",
        )


def _has_gpu() -> bool:
    """As CUDA's driver says; to ask torch would cost seconds."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return not driver.cuInit(0) and not driver.cuDeviceGetCount(ctypes.byref(count)) and bool(count)


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    model, log = context.scratch / "model", context.scratch / "log.jsonl"
    if not inputs["rows"].path.stat().st_size:  # a program's round without a valid submission
        log.touch()
        return StepOutput(
            {"model": inputs["model"], "log": log}, {"rows": 0}, "nothing to train on"
        )
    rows = inputs["rows"].path
    done = train(step.params, inputs, rows, model, log, context.checkpoints, context)
    metrics = {"rows": done["rows"]}
    if done["loss"] is not None:
        metrics["loss"] = done["loss"]
    note = f"trained on {done['rows']} rows"
    if len(done["stages"]) > 1 or done["stages"][0]["rows"] != done["rows"]:
        note += ": " + ", then ".join(f"{s['stage']} on {s['rows']}" for s in done["stages"])
    return StepOutput({"model": model, "log": log}, metrics, note)


def train(
    params: Params,
    inputs: Mapping[str, Artifact],
    rows: Path,
    out: Path,
    log: Path,
    checkpoints: Path,
    context: Context,
) -> dict[str, Any]:
    """What the worker says of the training: ``rows``, ``loss``, ``stages``. ``inputs`` hold the
    student as ``model`` and the models that a distillation learns from as ``teacher.NAME``."""
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
        project=str(context.project.absolute()),
        **params,
    )
    return done
