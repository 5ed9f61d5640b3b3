"""A student of two layers, rows to teach it, and the worker's training, called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Stage = tuple[str, dict[str, Any]]

ROWS = [{"prompt": a + b, "answer": a.upper()} for a in "abcdefgh" for b in "xyzw"]
FAST = {
    "learning_rate": 5e-3,
    "per_device_train_batch_size": 8,
    "logging_steps": 2,
    "activation_checkpointing": False,
}
LORA = {"r": 8, "target_modules": "all-linear"}
EXACT = {"name": "accuracy", "grader": "exact"}
ANSWERING = {
    "template": None,
    "system": None,
    "max_new_tokens": 4,
    "batch": 64,
    "generation": {"do_sample": False},
    "seed": None,
}


def make_student(folder: Path, seed: int = 0, hidden: int = 32) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from dagent.runtime.students.tokenizer import build_tokenizer

    torch.set_num_threads(1)  # so small that threads only wait for each other
    tokenizer = build_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def request(model: Path, out: Path, stages: tuple[Stage, ...], **changed: Any) -> dict[str, Any]:
    rows = out.with_suffix(".rows")
    rows.write_text("".join(json.dumps(row) + "\n" for row in changed.pop("rows", ROWS)))
    return {
        "model": str(model),
        "rows": str(rows),
        "out": str(out),
        "log": str(out.with_suffix(".log")),
        "checkpoints": str(out.with_suffix(".checkpoints")),
        "every": 300,
        "project": str(out.parent),
        "stages": [{"stage": name, "args": {**FAST, **args}} for name, args in stages],
        "adapter": "full",
        "lora": LORA if changed.get("adapter") == "lora" else {},
        "template": None,
        "system": None,
        "seed": 1,
        "metric": EXACT,
        "answering": ANSWERING,
        "teachers": {},
    } | changed


def train(
    model: Path,
    out: Path,
    *stages: Stage,
    progress: Callable[..., None] = lambda *_, **__: None,
    **changed: Any,
) -> Path:
    from dagent.runtime import training

    training.run(request(model, out, stages, **changed), progress)
    return out


def curve(out: Path, stage: str) -> list[dict[str, Any]]:
    """The log of a stage, such as ``1.sft``."""
    points = [json.loads(line) for line in out.with_suffix(".log").read_text().splitlines()]
    return [point for point in points if point["stage"] == stage]


def likelihood(
    model: Path, answered: list[tuple[str, str]], of_prompt: bool = False
) -> list[float]:
    """The log-probability of each answer, with the token that ends the turn, after its prompt; or
    of the prompt itself."""
    import torch

    from dagent.runtime.answering import load
    from dagent.runtime.prompting import pair_texts

    student, tokenizer = load(str(model))
    found = []
    for prompt, answer in pair_texts(tokenizer, answered, None, None):
        first, then = tokenizer([prompt, answer], add_special_tokens=False)["input_ids"]
        if of_prompt:
            first, then = first[:1], first[1:]
        with torch.inference_mode():
            logits = student(torch.tensor([first + then])).logits[0, len(first) - 1 : -1]
        found.append(float(logits.log_softmax(-1)[range(len(then)), then].sum()))
    return found


def answers(model: Path, prompts: list[str], **changed: Any) -> list[str]:
    from dagent.runtime import answering

    asked = {"model": str(model), "prompts": prompts, **ANSWERING, **changed}
    return answering.run(asked, lambda *_, **__: None)
