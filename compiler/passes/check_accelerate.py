"""The accelerate config of the student: there, and one that a training can be launched by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.digests import content_digest
from dagent.compiler.facts import inside
from dagent.compiler.spec import Spec
from dagent.dsl.diagnostics import Diagnostics

# What transformers' trainer works with, by accelerate's names.
TRAINED = ("NO", "FSDP", "DEEPSPEED", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU")
SHARDED = ("FSDP", "DEEPSPEED")


def check_accelerate(
    spec: Spec, project: Path, diagnostics: Diagnostics
) -> tuple[Mapping[str, str], int | None]:
    """The digests of the config and of the DeepSpeed config that it names, by their paths, and how
    many accelerators it holds."""
    if spec.student.accelerate is None:
        return {}, None
    span = spec.at("student", "accelerate")
    found: dict[str, str] = {}

    def read(path: str) -> str | None:
        file = inside(path, project, span, diagnostics)
        if file is None:
            return None
        if not file.is_file():
            diagnostics.error("E609", f"there is no file `{path}`", span, "run `accelerate config`")
            return None
        found[path] = content_digest(file)
        return file.read_text(encoding="utf-8", errors="replace")

    text = read(spec.student.accelerate)
    if text is None:
        return {}, None
    import yaml  # takes a while, and few specs come here

    try:
        says = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        says = None
    if not isinstance(says, dict) or "distributed_type" not in says:
        what = f"`{spec.student.accelerate}` is no config of accelerate: no `distributed_type`"
        diagnostics.error("E609", what, span, "write one with `accelerate config`")
        return {}, None
    problems = list(_problems(says, spec.student.adapter))
    for what, remedy in problems:
        diagnostics.error("E609", f"`{spec.student.accelerate}`: {what}", span, remedy)
    deepspeed = (says.get("deepspeed_config") or {}).get("deepspeed_config_file")
    if isinstance(deepspeed, str):
        read(deepspeed)
    return found, None if problems else accelerators(says)


def accelerators(says: Mapping[str, Any]) -> int:
    """How many a training by this config holds; none on a CPU."""
    on_cpu = says.get("use_cpu") or says.get("distributed_type") == "MULTI_CPU"
    return 0 if on_cpu else int(says.get("num_processes") or 1)


def _problems(says: Mapping[str, Any], adapter: str) -> Iterator[tuple[str, str]]:
    kind, machines = str(says["distributed_type"]), says.get("num_machines", 1)
    processes = says.get("num_processes", 1)
    if says.get("compute_environment", "LOCAL_MACHINE") != "LOCAL_MACHINE":
        yield "it launches on a cloud service", "choose `This machine` in `accelerate config`"
    if kind not in TRAINED:
        yield f"training does not work with `{kind}`", "choose one of " + ", ".join(TRAINED)
    if adapter == "qlora" and kind in SHARDED:
        yield f"weights in four bits cannot be sharded with {kind}", "write `adapter = lora`"
    counts = [n for n in (processes, machines) if not isinstance(n, int) or n < 1]
    if counts:
        yield "`num_processes` and `num_machines` are counts", "write 1 or more"
    elif processes % machines:
        yield f"{processes} processes do not share out over {machines} machines", "correct it"
    elif machines > 1 and not (says.get("main_process_ip") and says.get("main_process_port")):
        remedy = "add them, the same on every machine"
        yield "several machines need `main_process_ip` and `main_process_port`", remedy
