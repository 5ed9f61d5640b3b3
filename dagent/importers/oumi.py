"""Oumi: a YAML of sections, such as https://github.com/oumi-ai/oumi/tree/main/configs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagent.importers.draft import (
    ATTENTION,
    CODE,
    LAUNCHED,
    MEASURED,
    TEMPLATE,
    TRACKED,
    Draft,
    fill,
    no_stage,
)

NAMES = {
    "model.model_name": "student.model",
    "model.model_revision": "student.revision",
    "model.model_max_length": "train.max_length",
    "model.enable_liger_kernel": "train.use_liger_kernel",
    "training.seed": "seed",
    "training.optimizer": "train.optim",
    "training.warmup_ratio": "train.warmup_steps",
    "training.enable_gradient_checkpointing": "train.activation_checkpointing",
    "training.gradient_checkpointing_kwargs": "train.activation_checkpointing_kwargs",
    "training.compile": "train.torch_compile",
    "training.empty_device_cache_steps": "train.torch_empty_cache_steps",
    "data.train.pack": "train.packing",
    "peft.lora_r": "lora.r",
    "peft.lora_alpha": "lora.lora_alpha",
    "peft.lora_dropout": "lora.lora_dropout",
    "peft.lora_target_modules": "lora.target_modules",
    "peft.lora_exclude_modules": "lora.exclude_modules",
    "peft.lora_target_parameters": "lora.target_parameters",
    "peft.lora_modules_to_save": "lora.modules_to_save",
    "peft.lora_bias": "lora.bias",
    "peft.lora_init_weights": "lora.init_lora_weights",
}
REASONS = {
    "model.chat_template*": TEMPLATE,
    "model.trust_remote_code": CODE,
    "model.torch_dtype_str": "weights are read in the type they were saved in",
    "model.attn_implementation": ATTENTION,
    "model.tokenizer_*": "the tokenizer is the model's own",
    "model.adapter_model": "an adapter is trained from its start",
    "data.validation": MEASURED,
    "data.test": MEASURED,
    "data.train.stream": "rows are read whole",
    "data.train.mixture_strategy": "the mix of every round is engineered",
    "data.train.collator_name": "TRL picks the collator of the stage",
    "training.enable_*": TRACKED,
    "training.include_*": TRACKED,
    "training.log_*": TRACKED,
    "training.dep_log_level": TRACKED,
    "training.logging_dir": TRACKED,
    "training.profiler": TRACKED,
    "training.telemetry": TRACKED,
    "training.save_*": "dagent keeps the model of every round",
    "training.*_last_checkpoint": "dagent resumes at steps, not at checkpoints",
    "training.eval_*": MEASURED,
    "training.reward_functions": "the student's grader is the reward",
    "training.verl_config_overrides": "the trainer is TRL",
    "peft.bnb_*": "`qlora` takes bitsandbytes' usual settings",
    "peft.use_bnb_nested_quant": "`qlora` takes bitsandbytes' usual settings",
    "peft.q_lora_bits": "`qlora` is 4 bits",
    "fsdp": LAUNCHED,
    "deepspeed": LAUNCHED,
}
# What Oumi does where its config is silent, and TRL or PEFT would do otherwise.
SILENT = {
    "train.learning_rate": 5e-5,
    "train.optim": "adamw_torch",
    "lora.r": 8,
    "lora.lora_alpha": 8,
}
_STAGES = {
    "trl_sft": "sft",
    "hf": "sft",
    "oumi": "sft",
    "trl_dpo": "dpo",
    "trl_kto": "kto",
    "trl_grpo": "grpo",
    "verl_grpo": "grpo",
    "trl_gkd": "gkd",
}
_METHODS = ("grpo", "gkd")


def is_mine(config: Mapping[str, Any]) -> bool:
    return "model_name" in _section(config, "model") and "training" in config


def read(config: Mapping[str, Any], file: str) -> Draft:
    """
    Raises:
        Refused: E621 for a method without a stage.
    """
    draft = Draft("Oumi")
    training, peft = _section(config, "training"), _section(config, "peft")
    trainer = str(training.get("trainer_type", "hf")).lower()
    draft.stage = _STAGES.get(trainer, "")
    if not draft.stage:
        raise no_stage(f"`trainer_type: {trainer}`", file)
    if trainer in ("verl_grpo", "oumi", "hf"):
        draft.remarks.append(f"`trainer_type: {trainer}` becomes TRL's trainer of the stage")
    draft.student["adapter"] = "full"
    if training.get("use_peft"):
        draft.student["adapter"] = "qlora" if peft.get("q_lora") else "lora"
    data = _section(config, "data")
    split = _section(data, "train")
    done = {"training.trainer_type", "training.use_peft", "peft.q_lora", "data.train.datasets"}
    done |= {f"training.{method}" for method in _METHODS}
    done |= {"data.train", "model.load_pretrained_weights"}
    if training.get("dataloader_num_workers") == "auto":
        for name in ("dataloader_num_workers", "dataloader_prefetch_factor"):
            done.add(f"training.{name}")
            draft.lost[f"training.{name}"] = "TRL takes a number of workers, and loads without any"
    if _section(config, "model").get("load_pretrained_weights") is False:
        draft.lost["model.load_pretrained_weights"] = "training from random weights has no place"
    for name, part in (("model.", config["model"]), ("data.", data), ("data.train.", split)):
        fill(draft, part, NAMES, REASONS, done, name)
    fill(draft, training, NAMES, REASONS, done, "training.")
    for method in _METHODS:
        reasons = {} if draft.stage == method else {"*": f"the stage is not {method}"}
        fill(draft, _section(training, method), {}, reasons, done, f"training.{method}.")
    if str(peft.get("lora_init_weights")).lower() == "default":
        done.add("peft.lora_init_weights")  # PEFT's own default too
    if draft.student["adapter"] != "full":
        fill(draft, peft, NAMES, REASONS, done, "peft.")
    rest = {k: v for k, v in config.items() if k not in ("model", "data", "training", "peft")}
    fill(draft, rest, NAMES, REASONS, done)
    for found in split.get("datasets") or ():
        if isinstance(found, Mapping):
            _data(draft, found, Path(file).parent)
    draft.silent(SILENT)
    return draft


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = config.get(name)
    return found if isinstance(found, Mapping) else {}


def _data(draft: Draft, data: Mapping[str, Any], folder: Path) -> None:
    name, path = str(data.get("dataset_name", "")), data.get("dataset_path")
    sample = data.get("sample_count")
    if path:
        found = next((p for p in (folder / path, Path(path)) if p.is_file()), folder / path)
        most = sample if isinstance(sample, int) else None
        draft.add_rows(str(path), found, None, most=most)
        return
    made: dict[str, Any] = {"hub": name}
    for key, value in (("split", data.get("split")), ("sample", sample)):
        if value:
            made[key] = value
    if subset := data.get("subset"):
        made["config"] = subset
    draft.add_data(name, made)
