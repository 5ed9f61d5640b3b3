"""The student: known or there, in a safe format, and asked in one way only."""

from __future__ import annotations

import json
import math
import re
from functools import partial
from os.path import isfile
from pathlib import Path

from dagent.compiler.arguments import VLLM
from dagent.compiler.digests import content_digest
from dagent.compiler.facts import StudentFacts, inside
from dagent.compiler.memory import Shape, shape_of_config
from dagent.compiler.settings import Settings
from dagent.compiler.spec import Spec, Student
from dagent.compiler.weights import fault, tensors
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.nearest import did_you_mean, nearest
from dagent.dsl.source import Span

_HUB = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_SIZE = re.compile(r"(?:^|[-_.])(\d+(?:\.\d+)?)([BbMm])(?=$|[-_.])")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def check_student(
    spec: Spec, project: Path, settings: Settings, diagnostics: Diagnostics
) -> StudentFacts:
    _check_prompting(spec, diagnostics)
    student = spec.student
    if student.revision is not None and student.source != "hub":
        diagnostics.error(
            "E606",
            "`revision` has a meaning only for a model on the hub",
            spec.key("student", "revision"),
            "remove it",
        )
    if student.lora and student.adapter == "full":
        diagnostics.error(
            "E606",
            "`lora` is given, and `adapter` is `full`",
            spec.key("student", "lora"),
            "write `adapter = lora`, or remove it",
        )
    if student.engine == "vllm":
        _check_vllm(spec, diagnostics)
    span = spec.at("student", "model")
    facts = check_model(student, span, project, settings, diagnostics, "revision")
    if student.trust_remote_code:
        _check_trust(spec, project, diagnostics)
    _check_attention(spec, facts, diagnostics)
    return facts


def _check_vllm(spec: Spec, diagnostics: Diagnostics) -> None:
    for name in spec.student.generation:
        if name not in VLLM:
            diagnostics.error(
                "E614",
                f"vLLM takes no `{name}`",
                spec.key("student", "generation", name),
                "remove it, or write `engine = transformers`",
            )


def _check_attention(spec: Spec, facts: StudentFacts, diagnostics: Diagnostics) -> None:
    """Flash attention computes in half precision; four bits are computed with in half."""
    student, attention = spec.student, spec.student.attn_implementation or ""
    if not attention.startswith("flash") or student.adapter == "qlora" or facts.folder is None:
        return
    config = json.loads((facts.folder / "config.json").read_text(encoding="utf-8"))
    if (config.get("dtype") or config.get("torch_dtype")) == "float32":
        diagnostics.error(
            "E622",
            f"`{attention}` computes in half precision, and the weights of `{student.model}` are "
            "float32",
            spec.at("student", "attn_implementation"),
            "write `sdpa`, or save the model in bfloat16 first",
        )


def _check_trust(spec: Spec, project: Path, diagnostics: Diagnostics) -> None:
    """Code that is asked for must be there, must stay the same, and is spoken of aloud."""
    student, key = spec.student, spec.key("student", "trust_remote_code")
    brings = student.source == "hub" or any((project / student.model).glob("*.py"))
    if student.source == "builtin" or not brings:
        diagnostics.error("E606", f"`{student.model}` brings no code to trust", key, "remove it")
    elif student.source == "hub" and student.revision is None:
        diagnostics.error(
            "E616",
            f"`{student.model}` brings code, and no `revision` says which",
            key,
            "add `revision = COMMIT`, of code that you have read",
        )
    else:
        diagnostics.warn(
            "E615",
            f"Python code of `{student.model}` will run here with all your rights",
            key,
            "read it first; the lock holds its digest or its revision",
        )


def check_model(
    student: Student,
    span: Span,
    project: Path,
    settings: Settings,
    diagnostics: Diagnostics,
    pinned_by: str,
) -> StudentFacts:
    """A model that stands at ``span``; ``pinned_by`` is the key that says its revision."""
    if student.source == "builtin":
        return _builtin(student, span, settings, diagnostics)
    if student.source == "local":
        return _local(student, span, project, settings, diagnostics)
    # `os.path`, which says no of a name that is too long for any file.
    if _HUB.fullmatch(student.model) and isfile(project / student.model / "config.json"):
        diagnostics.error(
            "E601",
            f"`{student.model}` is a name on the hub, and a folder of the project too",
            span,
            f"write `./{student.model}` for the folder",
        )
        return StudentFacts(None, None)
    return _hub(student, span, diagnostics, pinned_by)


def _check_prompting(spec: Spec, diagnostics: Diagnostics) -> None:
    student = spec.student
    if student.template is not None and "{prompt}" not in student.template:
        diagnostics.error(
            "E607",
            "the template has no `{prompt}`",
            spec.at("student", "template"),
            "put `{prompt}` where the question goes",
        )
    if student.template is not None and student.system is not None:
        diagnostics.error(
            "E606",
            "`system` is for a chat template, and `template` takes its place",
            spec.key("student", "system"),
            "write the system text into `template`",
        )


def _builtin(
    student: Student, span: Span, settings: Settings, diagnostics: Diagnostics
) -> StudentFacts:
    name = student.model.removeprefix("builtin:")
    folders = settings.students.glob("*/config.json")
    known = {p.parent.name.replace("_", "-"): p.parent for p in folders}
    if name not in known:
        names = [f"builtin:{k}" for k in known]
        diagnostics.error(
            "E601",
            f"there is no built-in student `{name}`",
            span,
            did_you_mean(student.model, names, "built in: " + ", ".join(sorted(names))),
        )
        return StudentFacts(None, None)
    return _facts(known[name], settings)


def _local(
    student: Student, span: Span, project: Path, settings: Settings, diagnostics: Diagnostics
) -> StudentFacts:
    model = student.model
    folder = inside(model, project, span, diagnostics)
    if folder is None:
        return StudentFacts(None, None)
    if not folder.is_dir():
        beside = [p.name for p in folder.parent.iterdir()] if folder.parent.is_dir() else []
        near = nearest(folder.name, beside)
        remedy = (
            f"did you mean `./{folder.with_name(near).relative_to(project)}`?" if near else None
        )
        message = f"there is no folder `{model}`"
        diagnostics.error("E601", message, span, remedy or "correct the path")
    elif (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
        diagnostics.error(
            "E601",
            f"`{model}` is an adapter, and no model that it is added to",
            span,
            "merge it into its base with PEFT's `merge_and_unload`, and save that",
        )
    elif not (folder / "config.json").is_file():
        diagnostics.error(
            "E601", f"`{model}` holds no model: no config.json", span, "name a model's own folder"
        )
    elif not _is_object(folder / "config.json"):
        diagnostics.error(
            "E601", f"`{model}/config.json` is no JSON object", span, "save the model again"
        )
    elif not any(folder.glob("*.safetensors")):
        pickled = any(p for pattern in _PICKLES for p in folder.glob(pattern))
        diagnostics.error(
            "E601",
            f"`{model}` has its weights in a pickle, which can run code when it is read"
            if pickled
            else f"`{model}` holds no weights: no *.safetensors",
            span,
            "save it with `save_pretrained`, which writes safetensors",
        )
    elif (wrong := settings.recall(folder, fault, partial(fault, folder))) is None:
        return _facts(folder, settings)
    else:
        diagnostics.error("E601", f"`{model}`: {wrong[0]}", span, wrong[1])
    return StudentFacts(None, None)


def _is_object(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except ValueError:
        return False


def _facts(folder: Path, settings: Settings) -> StudentFacts:
    def read() -> StudentFacts:
        shapes = tensors(folder)
        parameters = float(sum(math.prod(shape) for shape in shapes.values())) or None
        modules = {n.rpartition(".")[0]: len(s) for n, s in sorted(shapes.items()) if "." in n}
        shape = _shape(folder, parameters)
        return StudentFacts(content_digest(folder), parameters, shape, modules, folder)

    facts: StudentFacts = settings.recall(folder, _facts, read)
    return facts


def _hub(student: Student, span: Span, diagnostics: Diagnostics, pinned_by: str) -> StudentFacts:
    model = student.model
    if not _HUB.fullmatch(model) or "--" in model or ".." in model:
        diagnostics.error(
            "E601",
            f"`{model}` is neither built in, nor a folder, nor a name on the hub",
            span,
            "write `builtin:NAME`, `./FOLDER` or `OWNER/NAME`",
        )
    elif student.revision is None:
        diagnostics.warn(
            "E608",
            f"`{model}` has no `{pinned_by}`: its files on the hub may change under the plan",
            span,
            f"add `{pinned_by} = COMMIT`",
        )
    size = _SIZE.search(model)
    scale = {"b": 1e9, "m": 1e6}
    return StudentFacts(None, float(size[1]) * scale[size[2].lower()] if size else None)


def _shape(folder: Path, parameters: float | None) -> Shape | None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return shape_of_config(config, parameters) if parameters else None
