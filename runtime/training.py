"""Runs in the worker: a chain of TRL stages over rows, deterministic by seed on a CPU."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback, set_seed
from trl import SFTConfig, SFTTrainer

from dagent.runtime.answering import load
from dagent.runtime.prompting import pair_texts


class _Report(TrainerCallback):  # type: ignore[misc]
    """Passes steps on as progress and refuses to go on with a loss that is no number."""

    def __init__(self, progress: Callable[..., None]) -> None:
        self.progress = progress
        self.log: list[dict[str, float]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % 10 == 0 or state.global_step == state.max_steps:
            shown = {"loss": f"{self.log[-1]['loss']:.3f}"} if self.log else {}
            self.progress(state.global_step, state.max_steps, **shown)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss} at step {state.global_step}: lower `learning_rate`, or set "
                "`max_grad_norm`"
            )
        self.log.append({"step": state.global_step, "loss": round(loss, 6)})


def run(request: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
    """``{model, rows, out, log, stages, adapter, lora, template, system, seed}``.

    ``rows`` is a JSONL file of rows with ``prompt`` and ``answer``. The trained model is saved to
    the folder ``out`` in Hugging Face format (an adapter is merged into it), the loss curve to the
    file ``log`` as rows ``{"stage", "step", "loss"}``.
    """
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    # Filling what `torch.empty` returns costs seconds a step in TRL's chunked loss, which allocates
    # a tile as wide as a large vocabulary and overwrites what it uses.
    torch.utils.deterministic.fill_uninitialized_memory = False
    model, tokenizer = load(request["model"])
    with Path(request["rows"]).open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    curve: list[dict[str, Any]] = []
    for number, stage in enumerate(request["stages"]):
        report = _Report(progress)
        model = STAGES[stage["stage"]](model, tokenizer, rows, stage["args"], request, report)
        curve += [{"stage": f"{number + 1}.{stage['stage']}", **point} for point in report.log]
    model.config.use_cache = True
    model.save_pretrained(request["out"])
    tokenizer.save_pretrained(request["out"])
    Path(request["log"]).write_text("".join(json.dumps(p, sort_keys=True) + "\n" for p in curve))
    return {"rows": len(rows), "loss": curve[-1]["loss"] if curve else None}


def _sft(
    model: Any,
    tokenizer: Any,
    rows: list[dict[str, Any]],
    args: dict[str, Any],
    request: dict[str, Any],
    report: _Report,
) -> Any:
    """Supervised fine-tuning by ``trl.SFTTrainer``; the loss counts the answer only, as TRL does
    for pairs of prompt and completion, unless ``completion_only_loss`` says otherwise."""
    set_seed(request["seed"])
    pairs = pair_texts(
        tokenizer,
        [(r["prompt"], r["answer"]) for r in rows],
        request["template"],
        request["system"],
    )
    questions = tokenizer([q for q, _ in pairs], add_special_tokens=False)["input_ids"]
    answers = tokenizer([a for _, a in pairs], add_special_tokens=False)["input_ids"]
    dataset = Dataset.from_dict(
        {
            "input_ids": [q + a for q, a in zip(questions, answers, strict=True)],
            "completion_mask": [
                [0] * len(q) + [1] * len(a) for q, a in zip(questions, answers, strict=True)
            ],
        }
    )
    with tempfile.TemporaryDirectory() as scratch:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                **{
                    "completion_only_loss": True,
                    # TRL's default is bfloat16, which it refuses where the machine has none.
                    "bf16": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
                    "logging_steps": 10,
                    **args,
                    "output_dir": scratch,
                    "seed": request["seed"],
                    "report_to": "none",
                    "save_strategy": "no",
                    "disable_tqdm": True,
                }
            ),
            train_dataset=dataset,
            processing_class=tokenizer,
            peft_config=_lora(request),
            callbacks=[report],
        )
        trainer.train()
    trained = trainer.model
    return trained.merge_and_unload() if request["adapter"] == "lora" else trained


def _lora(request: dict[str, Any]) -> Any:
    if request["adapter"] != "lora":
        return None
    from peft import LoraConfig

    return LoraConfig(**{"task_type": "CAUSAL_LM", **request["lora"]})


STAGES: dict[str, Callable[..., Any]] = {"sft": _sft}
