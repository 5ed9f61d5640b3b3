"""How fast a student answers: batches sorted by length beside one row after the other.

The built-in student answers the rows of the quickstart, in one process, both ways in turn; every
answer must be the same. Figures are rows per CPU second.

    python benchmarks/answering.py [--rows 400] [--repeats 3] [--threads 1] [--batch 64]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from dagent.runtime.answering import answer, load
from dagent.runtime.prompting import prompt_texts

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    dev = (ROOT / "examples" / "quickstart" / "dev.jsonl").read_text().splitlines()
    model, tokenizer = load(str(ROOT / "runtime" / "students" / "tiny_python"))
    if torch.cuda.is_available():
        model.to("cuda")
    prompts = [json.loads(line)["prompt"] for line in dev[: args.rows]]
    texts = prompt_texts(tokenizer, prompts, None, None)

    def rate(batch: int) -> tuple[float, list[str]]:
        started = time.process_time()
        said = answer(
            model, tokenizer, texts, max_new_tokens=32, batch=batch,
            generation={"do_sample": False}, seed=None, progress=lambda *_: None,
        )  # fmt: skip
        return len(texts) / (time.process_time() - started), said

    batched, single, ratios = [], [], []
    for turn in range(args.repeats + 1):
        (fast, said), (slow, same) = rate(args.batch), rate(1)
        assert said == same, "an answer depends on its batch"
        if turn:  # the first of each warms caches
            batched.append(fast)
            single.append(slow)
            ratios.append(fast / slow)
    print(f"{len(texts)} rows, {args.repeats} repetitions in turn, rows per CPU second")
    print(f"  batches of {args.batch}, by length: {statistics.median(batched):.0f}")
    print(f"  row by row: {statistics.median(single):.0f}")
    print(f"  ratio: {statistics.median(ratios):.1f}")


if __name__ == "__main__":
    main()
