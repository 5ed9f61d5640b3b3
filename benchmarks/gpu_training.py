"""What training takes on a GPU: speed beside bare TRL, peak memory beside the compiler's estimate.

Needs no network: the models have the shapes of Qwen2 0.5B and Llama 3.2 1B with random weights, the
rows are random letters. Prints one JSON object a line, each with what it measured:

    speed     tokens per second of dagent's training step and of a bare TRL script, same rows, in
              turn; the median of each, and the ratio
    memory    most bytes of tensors at a time, the compiler's estimate, and measured / estimate
    qlora     a round through dagent's own path: train, merge, answer

    python benchmarks/gpu_training.py [--seconds 225] [--tiny]

It was made with trl 1.16.0, transformers 5.24.0, tokenizers 0.23.3, huggingface_hub 2.4.0, datasets
5.2.0 (pyarrow 25.0.1, pandas 3.1.1, xxhash 4.1.0, dill 0.4.1, multiprocess 0.70.19), peft 0.21.2,
accelerate 1.15.0 and bitsandbytes 0.50.2; of dagent's own dependencies it needs no other.
Parts that the time does not allow are printed as skipped. ``--tiny`` shows on a CPU that it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from datasets import Dataset
from peft import LoraConfig
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from dagent.compiler import memory
from dagent.runtime import answering, preferences, stages, training
from dagent.runtime.prompting import pair_texts
from dagent.runtime.rows import write_rows
from dagent.runtime.students.tokenizer import build_tokenizer

GPU = torch.cuda.is_available()
SHAPES: dict[str, dict[str, Any]] = {
    "qwen2-0.5b": {
        "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
        "vocab_size": 151936,
    },
    "llama-1.2b": {
        "model_type": "llama", "hidden_size": 2048, "intermediate_size": 8192,
        "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 128256,
    },
    "tiny": {
        "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 512,
    },
}  # fmt: skip
LORA = {"r": 16, "target_modules": "all-linear"}
STAGES = ("dpo", "kto", "orpo", "reward", "grpo", "rloo", "distillation", "gkd")
DRAWN = ("grpo", "rloo", "distillation")  # stages whose answers the student writes as it learns
TAUGHT = ("distillation", "gkd")
WARM_UP = 3  # steps before the clock starts: kernels are chosen, memory is reserved


def say(**told: Any) -> None:
    print(json.dumps(told), file=sys.__stdout__, flush=True)


def make_model(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    sizes = dict(SHAPES[name])
    config = AutoConfig.for_model(
        sizes.pop("model_type"),
        **sizes,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.device("cuda" if GPU else "cpu"):
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16 if GPU else torch.float32
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_rows(count: int, length: int, asked: float = 0.5) -> list[dict[str, str]]:
    """Rows of ``length`` tokens each, the share ``asked`` of them the prompt's: the tokenizer takes
    a letter as one, a turn as three more."""
    draw = random.Random(0)
    letters = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=count * length))
    rows = [letters[n * length : (n + 1) * length - 3] for n in range(count)]
    ends = round(asked * length)
    return [{"prompt": row[:ends], "answer": row[ends:]} for row in rows]


def request(adapter: str, longest: int = 16) -> dict[str, Any]:
    """The parameters of a step ``train`` that a stage reads; answers of ``longest`` tokens."""
    return {
        "metric": {"name": "accuracy", "grader": "exact"},
        "project": ".",
        "answering": {"max_new_tokens": longest},
        "adapter": adapter,
        "lora": {} if adapter == "full" else LORA,
        "template": None,
        "system": None,
        "seed": 1,
    }


def ours(
    folder: Path,
    rows: list[dict[str, str]],
    adapter: str,
    args: dict[str, Any],
    out: Path,
    stage: str = "sft",
) -> Any:
    """The trainer of a stage, as the worker makes it."""
    load = answering.load_quantized if adapter == "qlora" else answering.load
    model, tokenizer = load(str(folder))
    watch = training._Watch(lambda *_, **__: None, every=300)
    return stages.STAGES[stage](
        stages.Work(
            source=folder,
            model=model,
            tokenizer=tokenizer,
            rows=rows,
            args=args,
            request=request(adapter, len(rows[0]["answer"])),
            folder=out,
            callback=watch,
            progress=lambda *_, **__: None,
            teacher=folder if stage in TAUGHT else None,
        )
    )


def wrong_answers(
    model: Any, tokenizer: Any, rows: list[dict[str, str]], *_: Any
) -> list[preferences.Judged]:
    """Stands in for the student's own: as long as the right ones, so that lengths are known."""
    return [preferences.Judged(row, row["answer"][::-1], False) for row in rows]


def bare(
    folder: Path, rows: list[dict[str, str]], adapter: str, args: dict[str, Any], out: Path
) -> Any:
    """What a user of TRL would write."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = pair_texts(tokenizer, [(r["prompt"], r["answer"]) for r in rows], None, None)
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype="auto"),
        args=SFTConfig(
            output_dir=str(out), bf16=GPU, report_to="none", save_strategy="no",
            disable_tqdm=True, seed=1, **args,
        ),
        train_dataset=Dataset.from_list([{"prompt": p, "completion": c} for p, c in texts]),
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **LORA) if adapter == "lora" else None,
    )  # fmt: skip


class Clock(TrainerCallback):  # type: ignore[misc]
    """Seconds from the end of the warm-up to the end of the last step."""

    started = ended = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step in (WARM_UP, state.max_steps):
            if GPU:
                torch.cuda.synchronize()
            self.started, self.ended = self.ended, time.perf_counter()

    @property
    def seconds(self) -> float:
        return self.ended - self.started


def free() -> None:
    gc.collect()
    if GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def speed(folder: Path, adapter: str, batch: int, length: int, steps: int, repeats: int) -> None:
    rows = make_rows(batch * (WARM_UP + steps), length)
    args = {
        "max_steps": WARM_UP + steps,
        "per_device_train_batch_size": batch,
        "max_length": length,
        "learning_rate": 1e-5,
        "activation_checkpointing": False,
    }
    rates: dict[str, list[float]] = {"dagent": [], "trl": []}
    for _ in range(repeats):
        for name, make in (("dagent", ours), ("trl", bare)):
            free()
            with tempfile.TemporaryDirectory() as out:
                trainer = make(folder, rows, adapter, args, Path(out))
                clock = Clock()
                trainer.add_callback(clock)
                trainer.train()
            rates[name].append(batch * length * steps / clock.seconds)
            del trainer
    medians = {name: statistics.median(found) for name, found in rates.items()}
    say(
        what="speed", model=folder.name, adapter=adapter, batch=batch, length=length,
        tokens_per_second={n: [round(r) for r in found] for n, found in rates.items()},
        median={n: round(r) for n, r in medians.items()},
        ratio=round(medians["dagent"] / medians["trl"], 4),
    )  # fmt: skip


def peak(
    folder: Path,
    adapter: str,
    checkpointing: bool,
    batch: int,
    length: int,
    stage: str = "sft",
    asked: float = 0.5,
) -> None:
    free()
    before = torch.cuda.memory_allocated() if GPU else 0
    args = {
        "max_steps": 3,
        "per_device_train_batch_size": batch,
        "max_length": length,
        "activation_checkpointing": checkpointing,
        **({"num_generations": batch} if stage in ("grpo", "rloo") else {}),
    }
    if stage in DRAWN:
        del args["max_length"]
    rows = make_rows(3 * batch, length, asked)
    with (
        tempfile.TemporaryDirectory() as out,
        mock.patch.object(stages, "judge", wrong_answers),
    ):
        trainer = ours(folder, rows, adapter, args, Path(out), stage)
        trainer.train()
    measured = torch.cuda.max_memory_allocated() - before if GPU else None
    reserved = torch.cuda.max_memory_reserved() if GPU else None
    config = json.loads((folder / "config.json").read_text())
    shape = memory.shape_of_config(config, count(folder))
    assert shape is not None
    lora = request(adapter)["lora"]
    taught = shape if stage in TAUGHT else None
    plan = memory.training(shape, adapter, lora, stage, args, 3.0 * length, taught)
    estimate = memory.allocated(shape, plan, length)
    say(
        what="memory", model=folder.name, stage=stage, adapter=adapter, checkpointing=checkpointing,
        batch=batch, length=length, asked=asked, measured=measured, reserved=reserved,
        estimate=round(estimate),
        ratio=None if measured is None else round(measured / estimate, 3),
    )  # fmt: skip


def count(folder: Path) -> float:
    """Weights in the folder's safetensors."""
    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                size = 1
                for side in tensors.get_slice(name).get_shape():
                    size *= side
                total += size
    return float(total)


def qlora(folder: Path, steps: int) -> None:
    """A round as the worker does it: trained in four bits, merged into the whole weights, asked."""
    free()
    questions = [f"{a}{b}" for a in "abcdefgh" for b in "stuvwxyz"]
    rows = [{"id": q, "prompt": q, "answer": q.upper()} for q in questions]
    generation = {"do_sample": False}
    asked = {"template": None, "system": None, "max_new_tokens": 4, "batch": 64, "seed": None}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        write_rows(place / "rows.jsonl", rows)
        args = {
            "max_steps": steps, "learning_rate": 1e-3, "per_device_train_batch_size": 16,
            "logging_steps": 5,
        }  # fmt: skip
        started = time.perf_counter()
        done = training.run(
            {
                **request("qlora"),
                "model": str(folder), "rows": str(place / "rows.jsonl"),
                "out": str(place / "model"), "log": str(place / "log.jsonl"),
                "checkpoints": str(place / "checkpoints"), "every": 300, "project": scratch,
                "stages": [{"stage": "sft", "args": args}], "teachers": {},
            },
            lambda *_, **__: None,
        )  # fmt: skip
        trained = time.perf_counter()
        said = answering.run(
            {"model": str(place / "model"), "prompts": questions, "generation": generation} | asked,
            lambda *_, **__: None,
        )
        answered = time.perf_counter()
        losses = [json.loads(line)["loss"] for line in (place / "log.jsonl").open()]
        right = sum(text == row["answer"] for text, row in zip(said, rows, strict=True))
        config = json.loads((place / "model" / "config.json").read_text())
        say(
            what="qlora", model=folder.name, rows=done["rows"], losses=losses,
            right=right / len(rows), train_seconds=round(trained - started, 1),
            answer_seconds=round(answered - trained, 1),
            merged=not list((place / "model").glob("adapter*")),
            quantized="quantization_config" in config,
            weights=count(place / "model") / count(folder),
        )  # fmt: skip


def parts(tiny: bool, root: Path) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """(name, function, arguments) of what is measured, the most wanted first."""
    small = make_model("tiny" if tiny else "qwen2-0.5b", root / ("tiny" if tiny else "qwen2-0.5b"))
    batch, lengths = (2, (32, 64)) if tiny else (4, (512, 2048))
    bits = GPU and importlib.util.find_spec("bitsandbytes") is not None
    adapters = ("full", "lora", "qlora") if bits else ("full", "lora")
    if not bits:
        say(what="skipped", part="qlora", why="needs a CUDA GPU and bitsandbytes")
    for adapter in adapters:
        for checkpointing in (False, True):
            for length in lengths:
                yield "memory", peak, (small, adapter, checkpointing, batch, length)
    for stage in STAGES:
        for adapter in ("full", "lora"):
            yield "memory", peak, (small, adapter, False, batch, lengths[0], stage)
        yield "memory", peak, (small, "full", True, batch, lengths[0], stage)
        yield "memory", peak, (small, "lora", True, batch, lengths[1], stage, 0.875)
    if bits:
        yield "qlora", qlora, (small, 40)
    steps, repeats = (4, 2) if tiny else (20, 3)
    for adapter in ("full", "lora"):
        yield "speed", speed, (small, adapter, 2 * batch, lengths[0], steps, repeats)
    if tiny:
        return
    large = make_model("llama-1.2b", root / "llama-1.2b")
    for adapter in adapters:
        for checkpointing in (False, True):
            yield "memory", peak, (large, adapter, checkpointing, batch, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=225, help="start no part after this")
    parser.add_argument("--tiny", action="store_true", help="a model of two layers, for a CPU")
    args = parser.parse_args()
    import transformers
    import trl

    started = time.perf_counter()
    say(
        what="machine", device=torch.cuda.get_device_name() if GPU else "cpu",
        torch=torch.__version__, transformers=transformers.__version__, trl=trl.__version__,
    )  # fmt: skip
    # What the libraries print is no JSON.
    with tempfile.TemporaryDirectory() as root, contextlib.redirect_stdout(sys.stderr):
        for name, measure, arguments in parts(args.tiny, Path(root)):
            if time.perf_counter() - started > args.seconds:
                say(what="skipped", part=name, why="the time is up", arguments=str(arguments[1:]))
                continue
            try:
                measure(*arguments)
            except Exception as error:  # the other parts still tell something
                free()
                say(what="failed", part=name, why=repr(error), arguments=str(arguments[1:]))
    say(what="done", seconds=round(time.perf_counter() - started, 1))


if __name__ == "__main__":
    main()
