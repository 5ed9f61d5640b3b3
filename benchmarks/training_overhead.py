"""What dagent's training costs beyond a bare TRL script, on the same rows and machine.

Each repetition trains the built-in student twice, in turn: by the worker's own code, and by what a
user of TRL would write. Both load the model, tokenise, train and save it, in this process and after
both were imported. Figures are CPU seconds, since other work on the machine does not change them;
of each the median over the repetitions, and the median of the ratios side by side. Checkpoints are
off in both: dagent takes one in five minutes.

    python benchmarks/training_overhead.py [--rows 2000] [--repeats 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from dagent.runtime import training
from dagent.runtime.prompting import pair_texts
from dagent.runtime.rows import write_rows

ROOT = Path(__file__).parents[1]
STUDENT = ROOT / "runtime" / "students" / "tiny_python"
ARGS: dict[str, Any] = {
    "num_train_epochs": 1,
    "learning_rate": 1e-3,
    "per_device_train_batch_size": 32,
    "activation_checkpointing": False,
}
ROW = "  {:<28}{:>12}{:>12}"


def ours(rows: list[dict[str, str]], folder: Path) -> None:
    write_rows(folder / "rows.jsonl", rows)
    training.run(
        {
            "model": str(STUDENT), "rows": str(folder / "rows.jsonl"), "out": str(folder / "model"),
            "log": str(folder / "log.jsonl"), "checkpoints": str(folder / "checkpoints"),
            "every": 300, "project": str(folder), "stages": [{"stage": "sft", "args": ARGS}],
            "adapter": "full", "lora": {}, "template": None, "system": None, "seed": 1,
            "teachers": {},
        },
        lambda *_, **__: None,
    )  # fmt: skip


def bare(rows: list[dict[str, str]], folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(STUDENT)
    texts = pair_texts(tokenizer, [(r["prompt"], r["answer"]) for r in rows], None, None)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(STUDENT, dtype=torch.float32),
        args=SFTConfig(
            output_dir=str(folder), bf16=False, report_to="none", save_strategy="no",
            disable_tqdm=True, seed=1, **ARGS,
        ),
        train_dataset=Dataset.from_list([{"prompt": p, "completion": c} for p, c in texts]),
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    trainer.save_model(str(folder / "model"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    disable_progress_bar()
    dev = (ROOT / "examples" / "quickstart" / "dev.jsonl").read_text().splitlines()
    taught = [json.loads(line) for line in dev]
    rows = [taught[n % len(taught)] for n in range(args.rows)]
    spent: dict[str, list[float]] = {"dagent": [], "trl": []}
    with open(os.devnull, "w") as nowhere:
        for turn in range(args.repeats + 1):
            for name, train in (("dagent", ours), ("trl", bare)):
                # What dagent asks of torch for the same bytes twice is part of its price.
                torch.use_deterministic_algorithms(False)
                with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(nowhere):
                    started = time.process_time()
                    train(rows, Path(scratch))
                    used = time.process_time() - started
                if turn:  # the first of each warms caches
                    spent[name].append(used)
    ratios = [a / b for a, b in zip(spent["dagent"], spent["trl"], strict=True)]
    print(f"{args.rows} rows, {args.repeats} repetitions in turn, CPU seconds")
    print(ROW.format("", "median", "least"))
    for name, found in spent.items():
        print(ROW.format(name, f"{statistics.median(found):.2f}", f"{min(found):.2f}"))
    print(f"  dagent / trl: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
