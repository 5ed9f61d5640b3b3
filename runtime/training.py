"""Runs in the worker: a chain of TRL stages over rows, deterministic by seed on a CPU.

Each stage loads the model that the one before saved. What is not finished lives in a folder that
outlives a killed run: stages that are done, and the last checkpoint of the one that is not.

```
<checkpoints>/1.sft/model/            what the stage made
<checkpoints>/1.sft/done.json         written last: its loss curve, how many rows it had
<checkpoints>/2.dpo/checkpoint-120/   where the next run goes on
```
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime import together
from dagent.runtime.answering import load, load_quantized, loading
from dagent.runtime.rows import Row, read_json, read_rows, write_json, write_rows
from dagent.runtime.stages import STAGES, Work, reward_model

# What a stage measures besides the loss, by TRL's names; kept in the log where a stage has it.
MEASURES = ("reward", "rewards/margins", "rewards/accuracies", "rewards/chosen", "kl")


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Passes steps on as progress, refuses to go on with a loss that is no number, and asks for a
    checkpoint when the last is ``every`` seconds old.

    A checkpoint is taken only where the loss was just logged: the next loss is the mean since then,
    and a training that goes on from there must report the same one.
    """

    def __init__(self, progress: Callable[..., None], every: float) -> None:
        self.progress, self.every = progress, every
        self.saved = time.monotonic()
        self.shown: dict[str, str] = {}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % 10 == 0 or state.global_step == state.max_steps:
            self.progress(state.global_step, state.max_steps, **self.shown)
        if state.global_step == state.max_steps:  # however short, a training has a last loss
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            raise diverged(f"the loss is {loss} at step {state.global_step}")
        self.shown = {"loss": f"{loss:.3f}"}
        due = together.agreed(lambda: time.monotonic() - self.saved >= self.every)
        if due and state.global_step < state.max_steps:
            control.should_save = True
            self.saved = time.monotonic()


def diverged(what: str) -> Refused:
    return Refused(
        Diagnostic(
            "E870",
            what,
            suggestion="lower `learning_rate`, set `max_grad_norm` or add `warmup_steps`",
        )
    )


def run(request: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
    """Train ``request["model"]``, a folder, through ``stages``; returns ``{rows, loss, stages,
    memory}``, the last the most bytes of tensors on the first GPU at a time, 0 without one.

    ``rows`` is a JSONL file of rows with ``prompt`` and ``answer``. The trained model is saved to
    the folder ``out`` in Hugging Face format (an adapter is merged into it), the loss curve to the
    file ``log`` as rows ``{"stage", "step", "loss", …}``. The other keys are the parameters of the
    step ``train``; ``checkpoints`` is the folder that outlives the run, ``every`` the seconds
    between checkpoints, ``project`` that of the user's graders, ``teachers`` the folders of the
    stages' teachers by the number of the stage.

    Raises:
        Refused: E870 when a loss is no number, E871 when a teacher has another vocabulary.
    """
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    # Filling what `torch.empty` returns costs seconds a step in TRL's chunked loss, which allocates
    # a tile as wide as a large vocabulary and overwrites what it uses.
    torch.utils.deterministic.fill_uninitialized_memory = False
    rows = read_rows(Path(request["rows"]))
    model, reward = Path(request["model"]), None
    curve: list[dict[str, Any]] = []
    done = []
    memory = 0
    for number, stage in enumerate(request["stages"], 1):
        name = f"{number}.{stage['stage']}"
        folder = Path(request["checkpoints"]) / name
        teacher = request.get("teachers", {}).get(str(number))
        if not together.agreed((folder / "done.json").exists):
            _stage(stage, rows, model, folder, request, reward, teacher, progress)
            together.wait()
        told = read_json(folder / "done.json")
        curve += [{"stage": name, **point} for point in told["curve"]]
        done.append({"stage": stage["stage"], "rows": told["rows"]})
        memory = max(memory, told.get("memory", 0))  # an older version's training told none
        if not told["rows"]:
            continue
        if stage["stage"] == "reward":
            reward = folder / "model"
        else:
            model = folder / "model"
    if together.first():
        # Linked, not moved: a run that dies before this is recorded finds its stages finished.
        shutil.copytree(model, request["out"], copy_function=os.link)
        write_rows(Path(request["log"]), curve)
    losses = [point["loss"] for point in curve]
    loss = losses[-1] if losses else None
    return {"rows": len(rows), "loss": loss, "stages": done, "memory": memory}


def _stage(
    stage: Mapping[str, Any],
    rows: list[Row],
    source: Path,
    folder: Path,
    request: Mapping[str, Any],
    reward: Path | None,
    teacher: str | None,
    progress: Callable[..., None],
) -> None:
    """Do one stage, or the rest of it, and leave ``model`` and ``done.json`` in ``folder``."""
    quantized = request["adapter"] == "qlora" and stage["stage"] != "reward"
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    folder.mkdir(parents=True, exist_ok=True)
    read = load_quantized if quantized else load
    model, tokenizer = read(str(source), **loading(request))
    _end_with(tokenizer, stage["args"].get("eos_token"))
    set_seed(request["seed"])
    trainer = STAGES[stage["stage"]](
        Work(
            source=source,
            model=model,
            tokenizer=tokenizer,
            rows=rows,
            args=stage["args"],
            request=request,
            folder=folder,
            callback=_Watch(progress, request["every"]),
            progress=progress,
            reward=reward,
            teacher=None if teacher is None else Path(teacher),
        )
    )
    if trainer is None:  # nothing to learn from: no row is wrong, or none short enough
        if together.first():
            write_json(folder / "done.json", {"curve": [], "rows": 0, "memory": 0})
        return
    trainer.train(resume_from_checkpoint=together.agreed(lambda: _last_checkpoint(folder)))
    memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    # Sharded weights are gathered by all processes; the first one has the whole then.
    sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if sharded else None
    if trainer.is_deepspeed_enabled:
        unset_hf_deepspeed_config()  # what the first process loads below is its own, and whole
    if not together.first():
        return
    trained = trainer.accelerator.unwrap_model(trainer.model_wrapped)
    adapted = request["adapter"] != "full"
    if adapted and (quantized or sharded):
        trained.save_pretrained(folder / "adapter", state_dict=state)
        trained, state = (
            _onto(folder / "adapter", source, stage["stage"] == "reward", request),
            None,
        )
    elif adapted:
        trained = trained.merge_and_unload()
    weights = trained.parameters() if state is None else state.values()
    if not all(bool(torch.isfinite(tensor).all()) for tensor in weights):
        raise diverged("weights are no numbers any more")
    trained.config.use_cache = True
    trained.save_pretrained(folder / "model", state_dict=state)
    tokenizer.save_pretrained(folder / "model")
    curve = [_point(p) for p in trainer.state.log_history if "loss" in p]
    write_json(folder / "done.json", {"curve": curve, "rows": trainer.given, "memory": memory})
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def _end_with(tokenizer: Any, token: str | None) -> None:
    """Answers end with ``token``, where a stage says so: they are made before its trainer.

    Raises:
        Refused: E619 when the tokenizer has no such token, and would make one up.
    """
    if token is None:
        return
    if token not in tokenizer.get_vocab():
        raise Refused(
            Diagnostic(
                "E619",
                f"the student's tokenizer has no token `{token}`",
                suggestion="remove `eos_token`, to end answers by the model's own",
            )
        )
    tokenizer.eos_token = token


def _point(logged: Mapping[str, Any]) -> dict[str, float]:
    more = {name: round(logged[name], 6) for name in MEASURES if name in logged}
    return {"step": logged["step"], "loss": round(logged["loss"], 6), **more}


def _last_checkpoint(folder: Path) -> str | None:
    """The last whole checkpoint: the state is what the trainer writes last."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda p: int(p.name.rpartition("-")[2]))
    for checkpoint in reversed(found):
        try:
            read_json(checkpoint / "trainer_state.json")
        except (OSError, json.JSONDecodeError):
            shutil.rmtree(checkpoint)
        else:
            return str(checkpoint)
    return None


def _onto(adapter: Path, source: Path, reward: bool, request: Mapping[str, Any]) -> Any:
    """An adapter that was trained on quantised or sharded weights, merged into the whole ones."""
    from peft import PeftModel

    how = loading(request)
    model = reward_model(source, **how) if reward else load(str(source), **how)[0]
    return PeftModel.from_pretrained(model, adapter).merge_and_unload()
