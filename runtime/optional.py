"""Packages that options of TRL ask for and ``dagent[train]`` does not bring: said before anything
runs, and without importing any."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagent.dsl.diagnostics import Diagnostic

# Option -> the package that it is imported from, and what pip calls it.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "use_liger_kernel": ("liger_kernel", "liger-kernel"),
    "use_vllm": ("vllm", "vllm"),
    "deepspeed": ("deepspeed", "deepspeed"),
}
# The beginning of an optimizer's name -> the same; the first that fits counts.
OPTIMIZERS: Mapping[str, tuple[str, str]] = {
    "adamw_torch_4bit": ("torchao", "torchao"),
    "adamw_torch_8bit": ("torchao", "torchao"),
    "adamw_8bit": ("bitsandbytes", "bitsandbytes"),
    "adamw_bnb": ("bitsandbytes", "bitsandbytes"),
    "ademamix": ("bitsandbytes", "bitsandbytes"),
    "lion": ("bitsandbytes", "bitsandbytes"),
    "paged": ("bitsandbytes", "bitsandbytes"),
    "rmsprop_bnb": ("bitsandbytes", "bitsandbytes"),
    "galore": ("galore_torch", "galore-torch"),
    "apollo": ("apollo_torch", "apollo-torch"),
    "lomo": ("lomo_optim", "lomo-optim"),
    "adalomo": ("lomo_optim", "lomo-optim"),
    "grokadamw": ("grokadamw", "grokadamw"),
    "schedule_free": ("schedulefree", "schedulefree"),
    "stable_adamw": ("optimi", "torch-optimi"),
    "adamw_anyprecision": ("torchdistx", "torchdistx"),
    "adamw_torch_npu": ("torch_npu", "torch-npu"),
    "adamw_torch_xla": ("torch_xla", "torch-xla"),
}


def missing(stages: Sequence[Mapping[str, Any]]) -> Iterator[Diagnostic]:
    """A finding for each option of the stages whose package is not installed."""
    for said, (package, pip) in dict(_asked(stages)).items():
        if importlib.util.find_spec(package) is None:
            yield Diagnostic(
                "E818",
                f"`{said}` needs the package `{pip}`, which is not installed",
                suggestion=f"pip install {pip}; or remove it and compile again",
            )


def _asked(stages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, str]]]:
    for stage in stages:
        args = stage["args"]
        yield from ((f"{k} = {_word(args[k])}", OPTIONS[k]) for k in OPTIONS if args.get(k))
        optimizer = str(args.get("optim", ""))
        for begins, package in OPTIMIZERS.items():
            if optimizer.startswith(begins):
                yield f"optim = {optimizer}", package
                break


def _word(value: Any) -> str:
    return "true" if value is True else str(value)
