"""LLaMA-Factory: one flat YAML, such as https://github.com/hiyouga/LLaMA-Factory/tree/main/examples."""

from __future__ import annotations

import json
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
    words,
)
from dagent.importers.rows import ROLES, Alpaca, Chat

NAMES = {
    "model_name_or_path": "student.model",
    "model_revision": "student.revision",
    "default_system": "student.system",
    "seed": "seed",
    "lora_rank": "lora.r",
    "lora_alpha": "lora.lora_alpha",
    "lora_dropout": "lora.lora_dropout",
    "lora_target": "lora.target_modules",
    "additional_target": "lora.modules_to_save",
    "use_rslora": "lora.use_rslora",
    "use_dora": "lora.use_dora",
    "cutoff_len": "train.max_length",
    "packing": "train.packing",
    "warmup_ratio": "train.warmup_steps",
    "enable_liger_kernel": "train.use_liger_kernel",
    "pref_beta": "train.beta",
    "dpo_label_smoothing": "train.label_smoothing",
    "kto_chosen_weight": "train.desirable_weight",
    "kto_rejected_weight": "train.undesirable_weight",
}
REASONS = {
    "template": TEMPLATE,
    "trust_remote_code": CODE,
    "do_train": "`dagent execute` trains",
    "do_*": MEASURED,
    "eval_*": MEASURED,
    "val_size": MEASURED,
    "compute_accuracy": MEASURED,
    "dataset_dir": "`data` names files relative to the spec",
    "preprocessing_num_workers": "dagent prepares the rows itself",
    "overwrite_*": "dagent keeps everything it made in its store",
    "plot_loss": TRACKED,
    "use_swanlab": TRACKED,
    "swanlab_*": TRACKED,
    "save_*": "dagent keeps the model of every round",
    "train_on_prompt": "`completion_only_loss = false` in `train` counts the question too",
    "flash_attn": ATTENTION,
    "deepspeed": LAUNCHED,
    "fsdp*": LAUNCHED,
    "ray_*": LAUNCHED,
    "quantization_*": "`qlora` is 4 bits by bitsandbytes",
    "double_quantization": "`qlora` is 4 bits by bitsandbytes",
    "pissa_*": "`init_lora_weights = pissa_niter_16` in `lora` is PEFT's way to say it",
    "use_muon": "`optim` takes the optimisers of transformers",
    "use_*": "an optimiser or kernel of LLaMA-Factory's own",
    "adapter_name_or_path": "an adapter is trained from its start",
    "freeze_*": "parts of a model are not frozen",
}
# What LLaMA-Factory and transformers do where a config is silent, and TRL or PEFT otherwise.
SILENT = {
    "train.max_length": 2048,
    "train.learning_rate": 5e-5,
    "lora.r": 8,
    "lora.target_modules": "all-linear",
}
_MEDIA = ("images", "videos", "audios")
Form = Alpaca | Chat
_STAGES = {"sft": "sft", "rm": "reward", "dpo": "dpo", "kto": "kto"}
_LOSSES = {"sigmoid": "dpo", "hinge": "dpo", "ipo": "dpo", "orpo": "orpo"}


def is_mine(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("model_name_or_path"), str)


def read(config: Mapping[str, Any], file: str) -> Draft:
    """
    Raises:
        Refused: E621 for a method without a stage.
    """
    draft = Draft("LLaMA-Factory")
    stage, loss = str(config.get("stage", "sft")), str(config.get("pref_loss", "sigmoid"))
    draft.stage = _STAGES.get(stage, "")
    if stage == "dpo":
        draft.stage = _LOSSES.get(loss, "")
    if not draft.stage:
        what = f"`pref_loss: {loss}`" if stage == "dpo" else f"`stage: {stage}`"
        raise no_stage(what, file)
    kind = config.get("finetuning_type", "lora")
    bits = config.get("quantization_bit")
    done = {"stage", "pref_loss", "finetuning_type", "dataset", "max_samples"}
    done |= {"quantization_bit", "quantization_method"} if bits == 4 else set()
    done |= {"disable_gradient_checkpointing"}
    draft.student["adapter"] = kind if kind in ("full", "lora") else "full"
    if kind not in ("full", "lora"):
        draft.lost["finetuning_type"] = f"the adapters are lora and qlora, not {kind}"
    if kind == "lora" and bits == 4:
        draft.student["adapter"] = "qlora"
    fill(draft, config, NAMES, REASONS, done)
    draft.train["activation_checkpointing"] = not config.get("disable_gradient_checkpointing")
    if draft.stage == "dpo" and loss != "sigmoid":
        draft.train["loss_type"] = [loss]
    if draft.lora.get("target_modules") == "all":
        draft.lora["target_modules"] = "all-linear"
    draft.lora = {name: words(value) for name, value in draft.lora.items()}
    if isinstance(draft.lora.get("modules_to_save"), str):
        draft.lora["modules_to_save"] = [draft.lora["modules_to_save"]]
    folder, known = _data_sets(str(config.get("dataset_dir") or "data"), Path(file))
    for name in filter(None, map(str.strip, str(config.get("dataset") or "").split(","))):
        if name in known:
            _data(draft, name, known[name], folder)
        else:
            draft.lost[f"dataset {name}"] = (
                "its place stands in LLaMA-Factory's dataset_info.json, which was not found: add "
                "it as `data NAME { role = seed  path = … }`"
            )
    if config.get("max_samples"):
        draft.lost["max_samples"] = "`sample` of a data set says how many rows to draw"
    draft.silent(SILENT)
    if draft.student["adapter"] != "full":
        rank = draft.lora.get("r")
        draft.lora.setdefault("lora_alpha", rank * 2 if isinstance(rank, int) else 16)
    return draft


def _data_sets(folder: str, file: Path) -> tuple[Path, Mapping[str, Mapping[str, Any]]]:
    """What ``dataset_info.json`` says of each data set, and the folder that it stands in: relative
    to where the trainer is started, which is the config's folder or one above it. Nothing where it
    cannot be read."""
    for start in (Path(), *file.parents):
        path = start / folder / "dataset_info.json"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return path.parent, {n: info for n, info in found.items() if isinstance(info, dict)}
    return Path(), {}


def _data(draft: Draft, name: str, info: Mapping[str, Any], folder: Path) -> None:
    lost = f"dataset {name}"
    columns, tags = _section(info, "columns"), _section(info, "tags")
    if info.get("ranking"):
        draft.lost[lost] = "pairs are made from the student's own answers: a seed has one answer"
    elif media := next((kind for kind in _MEDIA if kind in columns), None):
        draft.lost[lost] = f"it has {media}: a question is a text"
    elif info.get("hf_hub_url"):
        _hub(draft, name, info)
    elif info.get("file_name"):
        most, good = info.get("num_samples"), columns.get("kto_tag")
        most = most if isinstance(most, int) else None
        draft.add_rows(
            name, folder / str(info["file_name"]), _form(info, columns, tags), good, most
        )
    else:
        draft.lost[lost] = "it is made by code, or on a hub that is not Hugging Face's"


def _form(info: Mapping[str, Any], columns: Mapping[str, Any], tags: Mapping[str, Any]) -> Form:
    """How rows are laid out: LLaMA-Factory's own defaults where the set says nothing."""
    formatting = info.get("formatting", "alpaca")
    if formatting == "alpaca":
        return Alpaca(
            columns.get("prompt", "instruction"),
            columns.get("query", "input"),
            columns.get("response", "output"),
            columns.get("system"),
            columns.get("history"),
        )
    openai = formatting == "openai"
    named = {
        "system": tags.get("system_tag", "system"),
        "user": tags.get("user_tag", "user" if openai else "human"),
        "assistant": tags.get("assistant_tag", "assistant" if openai else "gpt"),
    }
    return Chat(
        columns.get("messages", "messages" if openai else "conversations"),
        tags.get("role_tag", "role" if openai else "from"),
        tags.get("content_tag", "content" if openai else "value"),
        {role: ROLES[role] | {str(tag)} for role, tag in named.items()},
        columns.get("system"),
        columns.get("tools", "tools"),
    )


def _hub(draft: Draft, name: str, info: Mapping[str, Any]) -> None:
    """A set on the hub is fetched when the plan runs, so its rows are mapped by their columns."""
    columns, tags = _section(info, "columns"), _section(info, "tags")
    names = {"hub": "hf_hub_url", "config": "subset", "split": "split", "sample": "num_samples"}
    made = {key: info[named] for key, named in names.items() if info.get(named)}
    form = _form(info, columns, tags)
    if isinstance(form, Alpaca):
        made["columns"] = {"prompt": form.prompt, "answer": form.answer}
        draft.remarks.append(f"{name}: the column `{form.query}` is not joined to the question")
    elif (form.turns, form.role, form.text) != ("messages", "role", "content"):
        draft.lost[f"dataset {name}"] = (
            "its turns are not OpenAI's: save it as a file and name that in dataset_info.json"
        )
        return
    draft.add_data(name, made)


def _section(info: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = info.get(name)
    return found if isinstance(found, Mapping) else {}
