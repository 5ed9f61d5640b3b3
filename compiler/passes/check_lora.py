"""LoRA's `target_modules`: modules that the student has."""

from __future__ import annotations

import re

from dagent.compiler.facts import StudentFacts
from dagent.compiler.spec import Spec
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.nearest import did_you_mean

ALL = "all-linear"  # PEFT's word for every linear layer
_NO_LAYERS = re.compile(r"embed|wte|wpe|norm|^ln_")
_UNSTORED = ("lm_head", "embed_out")  # of tied weights only the embedding is in the files


def check_lora(spec: Spec, student: StudentFacts, diagnostics: Diagnostics) -> None:
    """A name that fits no module trains nothing there; PEFT stops only where none fits."""
    targets = spec.student.lora.get("target_modules")
    if isinstance(targets, str):
        _check_pattern(spec, targets, diagnostics)
        return
    if not isinstance(targets, list) or not student.modules:
        return
    missing = [t for t in targets if t not in _UNSTORED and not _fits(t, student)]
    layers = sorted(
        {name.rpartition(".")[2] for name, rank in student.modules.items() if rank == 2}
    )
    layers = [name for name in layers if not _NO_LAYERS.search(name) and name not in _UNSTORED]
    report = diagnostics.error if len(missing) == len(targets) else diagnostics.warn
    for target in missing:
        report(
            "E617",
            f"`{spec.student.model}` has no module `{target}`",
            spec.at("student", "lora", "target_modules", targets.index(target)),
            did_you_mean(target, layers, f"its linear layers: {', '.join(layers)}"),
        )


def _fits(target: str, student: StudentFacts) -> bool:
    return any(name == target or name.endswith(f".{target}") for name in student.modules)


def _check_pattern(spec: Spec, targets: str, diagnostics: Diagnostics) -> None:
    """A text is a pattern for whole names such as `model.layers.0.self_attn.q_proj`."""
    if targets == ALL or targets in _UNSTORED or not re.fullmatch(r"[\w-]+", targets):
        return
    near = did_you_mean(targets, [ALL])
    diagnostics.error(
        "E617",
        f"as a text, `{targets}` is a pattern that no module's whole name fits",
        spec.at("student", "lora", "target_modules"),
        near or f"write a list: `[{targets}]`",
    )
