"""Axolotl: one flat YAML, such as https://github.com/axolotl-ai-cloud/axolotl/tree/main/examples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.formats import FORMATS
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
    words,
)
from dagent.importers.rows import ROLES, SHAREGPT, Alpaca, Chat

NAMES = {
    "base_model": "student.model",
    "revision_of_model": "student.revision",
    "float16": "train.fp16",
    "bfloat16": "train.bf16",
    "seed": "seed",
    "lora_r": "lora.r",
    "lora_alpha": "lora.lora_alpha",
    "lora_dropout": "lora.lora_dropout",
    "lora_target_modules": "lora.target_modules",
    "lora_target_parameters": "lora.target_parameters",
    "lora_modules_to_save": "lora.modules_to_save",
    "lora_fan_in_fan_out": "lora.fan_in_fan_out",
    "lora_rank_pattern": "lora.rank_pattern",
    "lora_alpha_pattern": "lora.alpha_pattern",
    "peft_use_dora": "lora.use_dora",
    "peft_use_rslora": "lora.use_rslora",
    "peft_init_lora_weights": "lora.init_lora_weights",
    "peft_layers_to_transform": "lora.layers_to_transform",
    "sequence_len": "train.max_length",
    "sample_packing": "train.packing",
    "micro_batch_size": "train.per_device_train_batch_size",
    "num_epochs": "train.num_train_epochs",
    "optimizer": "train.optim",
    "lr_scheduler": "train.lr_scheduler_type",
    "warmup_ratio": "train.warmup_steps",
    "gradient_checkpointing": "train.activation_checkpointing",
    "gradient_checkpointing_kwargs": "train.activation_checkpointing_kwargs",
    "dpo_label_smoothing": "train.label_smoothing",
    "dpo_loss_type": "train.loss_type",
    "rl_beta": "train.beta",
    "dpo_beta": "train.beta",
    "orpo_alpha": "train.beta",
    "kto_desirable_weight": "train.desirable_weight",
    "kto_undesirable_weight": "train.undesirable_weight",
    "chat_template_kwargs": "train.chat_template_kwargs",
}
REASONS = {
    "chat_template*": TEMPLATE,
    "trust_remote_code": CODE,
    "wandb_*": TRACKED,
    "mlflow_*": TRACKED,
    "comet_*": TRACKED,
    "swanlab_*": TRACKED,
    "use_wandb": TRACKED,
    "use_mlflow": TRACKED,
    "val_set_size": MEASURED,
    "test_datasets": MEASURED,
    "eval_*": MEASURED,
    "evals_per_epoch": MEASURED,
    "do_*_eval": MEASURED,
    "early_stopping_patience": "`criteria.stop` says when to stop, by rounds",
    "saves_per_epoch": "dagent keeps the model of every round",
    "save_*": "dagent keeps the model of every round",
    "auto_resume_from_checkpoints": "dagent resumes at steps, not at checkpoints",
    "dataset_prepared_path": "dagent keeps prepared rows in its store",
    "dataset_processes": "dagent prepares the rows itself",
    "train_on_inputs": "`completion_only_loss = false` in `train` counts the question too",
    "pad_to_sequence_len": "rows of like length share a batch instead",
    "group_by_length": "`train_sampling_strategy` is the argument of this TRL",
    "special_tokens*": "the tokenizer is taken as it is",
    "eot_tokens": "the tokenizer is taken as it is",
    "tokens": "the tokenizer is taken as it is",
    "tokenizer_*": "the tokenizer is the model's own",
    "model_type": "the model's config.json says its class",
    "attn_implementation": ATTENTION,
    "*_attention": ATTENTION,
    "load_in_8bit": "weights in 8 bits are not offered; `qlora` is 4 bits",
    "lora_model_dir": "an adapter is trained from its start",
    "lora_*_kernel": "kernels of Axolotl's own",
    "loss_watchdog_*": "a loss that is no number ends the step with advice",
    "liger_*": "`use_liger_kernel = true` in `train` is TRL's one switch for them",
    "plugins": "plugins of Axolotl's own",
    "fsdp*": LAUNCHED,
    "deepspeed": LAUNCHED,
    "dp_*_size": LAUNCHED,
    "*_parallel_size": LAUNCHED,
    "hub_model_id": "dagent publishes nothing by itself",
    "reinit_weights": "training from random weights has no place",
}
# What Axolotl does where its config is silent, and TRL or PEFT would do otherwise.
SILENT = {
    "train.lr_scheduler_type": "cosine",
    "train.num_train_epochs": 1,
    "train.per_device_train_batch_size": 1,
    "train.max_length": 512,
}
_STAGES = {"dpo": "dpo", "ipo": "dpo", "kto": "kto", "orpo": "orpo", "grpo": "grpo"}


def is_mine(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("base_model"), str)


def read(config: Mapping[str, Any], file: str) -> Draft:
    """
    Raises:
        Refused: E621 for a method without a stage.
    """
    draft = Draft("Axolotl")
    method = config.get("rl") or ("reward" if config.get("reward_model") else "sft")
    draft.stage = {"sft": "sft", "reward": "reward", **_STAGES}.get(method, "")
    if config.get("pretraining_dataset"):
        raise no_stage("pretraining on raw text", file)
    if not draft.stage:
        raise no_stage(f"`rl: {method}`", file)
    done = {"rl", "reward_model", "adapter", "load_in_4bit", "lora_target_linear", "datasets"}
    done |= {key for key in ("bf16", "tf32", "torch_compile") if config.get(key) == "auto"}
    if config.get("lora_target_linear"):
        draft.lora["target_modules"] = "all-linear"
    draft.student["adapter"] = config.get("adapter") or "full"
    if draft.student["adapter"] not in ("full", "lora", "qlora"):
        draft.lost["adapter"] = f"the adapters are lora and qlora, not {config['adapter']}"
        draft.student["adapter"] = "full"
    trl = config.get("trl")
    fill(draft, config, NAMES, REASONS, done | {"trl"})
    if isinstance(trl, Mapping):
        fill(draft, trl, {}, {"reward_funcs": "the student's grader is the reward"}, set(), "trl.")
    if method == "ipo":
        draft.train["loss_type"] = "ipo"
    if isinstance(draft.train.get("loss_type"), str) and draft.stage == "dpo":
        draft.train["loss_type"] = [draft.train["loss_type"]]
    draft.lora = {name: words(value) for name, value in draft.lora.items()}
    for number, data in enumerate(config.get("datasets") or ()):
        if isinstance(data, Mapping):
            _data(draft, data, number, Path(file).parent)
    draft.silent(SILENT)
    return draft


def _data(draft: Draft, data: Mapping[str, Any], number: int, folder: Path) -> None:
    path, kind = str(data.get("path", "")), data.get("type") or ""
    files = data.get("data_files")
    names = [files] if isinstance(files, str) else list(files or ())
    if path.startswith((".", "/")) or Path(path).suffix in FORMATS:
        names = names or [path]
    elif path not in ("json", "csv", "parquet"):
        if names:
            draft.lost[f"datasets[{number}].data_files"] = "of a hub's data set all files are read"
        names = []
    form = _form(data, kind)
    if isinstance(form, str):
        draft.lost[f"datasets[{number}]"] = form
        return
    for name in names:
        places = (folder / name, folder / path / name, Path(name))
        found = next((p for p in places if p.is_file()), folder / name)
        draft.add_rows(str(name), found, form)
    if names:
        return
    made: dict[str, Any] = {"hub": path}
    made |= {key: data[key] for key in ("split", "revision") if data.get(key)}
    if data.get("name"):
        made["config"] = data["name"]
    if isinstance(form, Alpaca):
        made["columns"] = {"prompt": form.prompt, "answer": form.answer}
        draft.remarks.append(f"{path}: the column `{form.query}` is not joined to the question")
    elif form is not None and (form.turns, form.role, form.text) != ("messages", "role", "content"):
        draft.lost[f"datasets[{number}]"] = "its turns are not OpenAI's: name it as a file"
        return
    draft.add_data(path or f"set{number}", made)


def _form(data: Mapping[str, Any], kind: Any) -> Alpaca | Chat | str | None:
    """How rows are laid out, None where they show it themselves, or why they cannot be had."""
    if isinstance(kind, Mapping):  # columns of one's own
        return Alpaca(
            str(kind.get("field_instruction") or "instruction"),
            str(kind.get("field_input") or "input"),
            str(kind.get("field_output") or "output"),
            str(kind.get("field_system") or "system"),
        )
    word = str(kind).partition(".")[0]
    if word in ("alpaca", "alpaca_chat", "alpaca_w_system", "gpteacher", "oasst"):
        return Alpaca()
    if word == "chat_template":
        return _chat(data)
    if word in ("sharegpt", "sharegpt_simple"):
        return SHAREGPT
    if word in ("completion", "pretraining"):
        return f"`type: {kind}` is raw text, without question and answer"
    return None


def _chat(data: Mapping[str, Any]) -> Chat:
    mapped = data.get("message_property_mappings")
    mapped = mapped if isinstance(mapped, Mapping) else {}
    role = mapped.get("role") or data.get("message_field_role") or "role"
    text = mapped.get("content") or data.get("message_field_content") or "content"
    roles, given = dict(ROLES), data.get("roles")
    for name, said in (given if isinstance(given, Mapping) else {}).items():
        known = [said] if isinstance(said, str) else map(str, said)
        roles[name] = roles.get(name, frozenset()) | frozenset(known)
    column = str(data.get("field_messages") or "messages")
    return Chat(column, str(role), str(text), {r: roles[r] for r in ROLES})
