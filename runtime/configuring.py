"""Runs in the worker: the arguments of stages, of LoRA and of generation, handed to the libraries.

Their configs refuse what no table can tell: `tf32` where the GPU cannot, two arguments that exclude
each other, a batch that so many processes do not share out. It is asked for before anything is paid
for, and in the processes that will train.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, combinations
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import TorchDynamoPlugin, parse_flag_from_env
from transformers import Trainer, get_scheduler
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from dagent.compiler.tables import table

STEPS = 1_000_000  # of the training whose schedule is made: more than any asks for
Make = Callable[[Mapping[str, Any]], Any]


def run(request: Mapping[str, Any], progress: Callable[..., None]) -> list[dict[str, Any]]:
    """``{stages, lora, generation}`` -> what a library refuses: ``{table, at, names, error}``.

    ``table`` and ``at`` say whose arguments they are: of a stage its name and its number from 0.
    ``names`` are one that it refuses and those without which it would not; none where it would
    refuse its own defaults here.
    """
    lora = {"task_type": "CAUSAL_LM"}
    blocks: list[tuple[str, int, Mapping[str, Any], Make]] = [
        (stage["stage"], number, stage["args"], _training(stage["stage"]))
        for number, stage in enumerate(request["stages"])
    ]
    blocks.append(("lora", 0, request["lora"], lambda args: _class("lora")(**lora, **args)))
    generation = request["generation"]
    blocks.append(("generation", 0, generation, lambda args: _class("generation")(**args)))
    with _as_it_was():
        return [
            {"table": name, "at": at, "names": names, "error": error}
            for name, at, args, make in blocks
            if _refusal(make, args)
            for names, error in _faults(make, args)
        ]


def _faults(make: Make, args: Mapping[str, Any]) -> Iterator[tuple[list[str], str]]:
    """Of arguments that are refused together: which, and what the library says of each.

    As many are taken as can be, in any order and two at a time, since one may want another; of what
    is left, each is refused beside those.
    """
    if bare := _refusal(make, {}):
        yield [], bare
        return
    taken: dict[str, Any] = {}
    left = dict(args)

    def fits(names: tuple[str, ...]) -> bool:
        return _refusal(make, {**taken, **{name: left[name] for name in names}}) is None

    while found := next(filter(fits, chain(combinations(left, 1), combinations(left, 2))), ()):
        taken |= {name: left.pop(name) for name in found}
    for name, value in left.items():
        error = _refusal(make, {**taken, name: value})
        assert error is not None
        others = ({k: v for k, v in taken.items() if k != one} for one in taken)
        beside = zip(taken, others, strict=True)
        yield [name, *(o for o, rest in beside if not _refusal(make, {**rest, name: value}))], error


def training_arguments(
    args: Mapping[str, Any], folder: Path, seed: int, trust: bool = False, **defaults: Any
) -> dict[str, Any]:
    """What a stage's TRL config is made of; what the spec gives goes before ``defaults``."""
    half = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return {
        # TRL's default is bfloat16, which it refuses where the machine has none.
        "bf16": half and not args.get("fp16"),
        # Where there is no accelerator transformers refuses `bf16`, which a CPU can do, unless
        # the CPU is asked for.
        "use_cpu": not torch.accelerator.is_available(),
        "logging_steps": 10,
        "logging_nan_inf_filter": False,  # it would hide the loss that ends a training
        **defaults,
        **args,
        "output_dir": str(folder),
        "seed": seed,
        "report_to": "none",
        **({"trust_remote_code": True} if trust else {}),
        "save_strategy": "no",  # the callback decides when
        "save_total_limit": 1,
        "disable_tqdm": True,
    }


def _training(stage: str) -> Make:
    """Makes the config and, of a layer that stands for any model, what follows from it alone."""

    def make(args: Mapping[str, Any]) -> None:
        config = _class(stage)(**training_arguments(args, Path("unused"), 0))
        model = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
        if config.optim_target_modules is None:  # else they are the student's
            Trainer.get_optimizer_cls_and_kwargs(config, model)
        if config.torch_compile:
            TorchDynamoPlugin(config.torch_compile_backend, config.torch_compile_mode)
        get_scheduler(
            config.lr_scheduler_type,
            torch.optim.SGD(model.parameters(), lr=config.learning_rate),
            config.get_warmup_steps(STEPS),
            STEPS,
            config.lr_scheduler_kwargs,
        )

    return make


def _class(name: str) -> Any:
    module, _, config = table(name).config.rpartition(".")
    return getattr(importlib.import_module(module), config)


def _refusal(make: Make, args: Mapping[str, Any]) -> str | None:
    """What the library says of the arguments where it refuses them."""
    try:
        make(args)
    except Exception as error:  # whatever it raises would be raised when the training begins
        said = " ".join(str(error).split())
        return f"{type(error).__name__}: {said}" if said else type(error).__name__
    return None


@contextmanager
def _as_it_was() -> Iterator[None]:
    """What configs set for the whole process is set again where they are used."""
    environment = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        unset_hf_deepspeed_config()
        AcceleratorState._reset_state(reset_partial_state=True)
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # each still needs what it knows of the others
            PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
