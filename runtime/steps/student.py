"""``student``: the untouched student as a plain Hugging Face folder in the store."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.locked import unchanged
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "student"
version = 1
# The weights of other frameworks and pickles stay behind: the student is loaded from safetensors.
LEFT_BEHIND = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "__pycache__", ".git*")
CODE = "*.py"


def source(model: str, project: Path) -> Path | None:
    """The folder of a built-in or local student; ``None`` for a name on the hub."""
    scheme, _, name = model.partition(":")
    if scheme == "builtin":
        return Path(__file__).parent.parent / "students" / name.replace("-", "_")
    if model.startswith((".", "/")):
        return project / model
    return None


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    folder = source(step.params["model"], project)
    if folder is None:
        return ()
    return unchanged(f"the student `{step.params['model']}`", folder, step.params["sha256"])


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    out = context.scratch / "model"
    trust = step.params.get("trust_remote_code", False)
    folder = source(step.params["model"], context.project)
    if folder is None:
        context.worker.call(
            "fetch",
            model=step.params["model"],
            revision=step.params["revision"],
            out=str(out),
            trust_remote_code=trust,
        )
    else:
        left = LEFT_BEHIND if trust else (*LEFT_BEHIND, CODE)
        shutil.copytree(folder, out, ignore=shutil.ignore_patterns(*left))
    return StepOutput({"model": out}, note=step.params["model"])
