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
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import TorchDynamoPlugin
from transformers import Trainer, get_scheduler
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from dagent.compiler.tables import table

STEPS = 1_000_000  # of the training whose schedule is made: more than any asks for
Make = Callable[[Mapping[str, Any]], Any]


def run(request: Mapping[str, Any], progress: Callable[..., None]) -> list[dict[str, Any]]:
    """``{stages, lora, generation}`` -> what a library refuses: ``{table, at, names, error}``.

    ``table`` and ``at`` say whose arguments they are: of a stage its name and its number from 0.
    ``names`` are those without any one of which the library would take the others; none where it
    would refuse its own defaults here.
    """
    lora = {"task_type": "CAUSAL_LM"}
    blocks: list[tuple[str, int, Mapping[str, Any], Make]] = [
        (stage["stage"], number, stage["args"], _training(stage["stage"]))
        for number, stage in enumerate(request["stages"])
    ]
    blocks.append(("lora", 0, request["lora"], lambda args: _class("lora")(**lora, **args)))
    blocks.append(
        ("generation", 0, request["generation"], lambda args: _class("generation")(**args))
    )
    found = []
    with _as_it_was():
        for name, at, args, make in blocks:
            error = _refusal(make, args)
            if error is not None:
                without = ({k: v for k, v in args.items() if k != one} for one in args)
                blamed = [
                    one for one, rest in zip(args, without, strict=True) if not _refusal(make, rest)
                ]
                found.append({"table": name, "at": at, "names": blamed, "error": error})
    return found


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
        if (
            PartialState().num_processes == 1
        ):  # of several, each still needs what it knows of the others
            AcceleratorState._reset_state(reset_partial_state=True)
