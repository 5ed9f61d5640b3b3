"""Train the built-in student: ``python -m dagent.runtime.students.pretrain --out DIR``.

The student is a small Llama-style model that can execute short string and list operations and
little else: a base with something left to learn, whose fine-tunes are quick and agree with each
other. It sees programs of ``primitives.py`` only, never a dev or test row of the quickstart.

The shipped weights are the defaults of ``Recipe``: seed 0, 2,000,000 rows, 12,000 steps of 1,024
(about six epochs). The rows took 73 s on 16 cores, the training 223 s on an H100 that served four
such runs at once; two CPU cores would need some four hours, by the speed of their fine-tunes. The
same seed gives the same rows everywhere, and the same weights up to the rounding of the device.

Students of other domains are made the same way: ``examples/ledger/base.py`` calls ``main`` with
its own ``Domain``.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .primitives import primitives
from .tokenizer import ASSISTANT, END, PIECES, USER, build_tokenizer

IGNORED = -100
"""The label that the loss skips: the prompt and the padding."""


@dataclass(frozen=True)
class Domain:
    """What a student is pretrained on: ``rows(seed)`` gives endless pairs of prompt and answer,
    ``pieces`` become whole tokens, and rows longer than ``max_tokens``, chat tokens included, are
    left out."""

    rows: Callable[[int], Iterator[tuple[str, str]]]
    pieces: tuple[str, ...]
    max_tokens: int


PYTHON = Domain(primitives, PIECES, max_tokens=40)
"""The domain of the built-in student."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, with the values of the shipped student."""

    rows: int = 2_000_000
    steps: int = 12_000
    batch: int = 1024
    learning_rate: float = 2e-3
    warmup_steps: int = 300
    weight_decay: float = 0.05
    seed: int = 0
    hidden: int = 80
    layers: int = 4
    heads: int = 4
    feed_forward: int = 208
    rope_theta: float = 1000.0


def build_model(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained student; the embedding is shared with the output layer."""
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=128,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.05,
    )
    return LlamaForCausalLM(config)


def shard(domain: Domain, rows: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and labels of ``rows`` rows: two int16 tensors (rows, domain.max_tokens)."""
    tokenizer = build_tokenizer(domain.pieces)
    user, assistant, end = tokenizer.convert_tokens_to_ids([USER, ASSISTANT, END])
    shape = (rows, domain.max_tokens)
    tokens = torch.full(shape, tokenizer.pad_token_id, dtype=torch.int16)
    labels = torch.full(shape, IGNORED, dtype=torch.int16)
    source, filled = domain.rows(seed), 0
    while filled < rows:
        prompts, answers = zip(*itertools.islice(source, 1000), strict=True)
        pairs = zip(tokenizer(prompts).input_ids, tokenizer(answers).input_ids, strict=True)
        for prompt, given in pairs:
            row = [user, *prompt, assistant, *given, end]
            if len(row) > domain.max_tokens or filled == rows:
                continue
            tokens[filled, : len(row)] = torch.tensor(row)
            answer = slice(len(prompt) + 2, len(row))
            labels[filled, answer] = tokens[filled, answer]
            filled += 1
    return tokens, labels


def make_rows(
    domain: Domain, recipe: Recipe, shards: int = 64
) -> tuple[torch.Tensor, torch.Tensor]:
    """All pretraining rows, made by as many processes as there are cores."""
    sizes = [recipe.rows // shards] * shards
    seeds = [recipe.seed * 10_000 + number for number in range(shards)]
    with multiprocessing.get_context("spawn").Pool() as pool:
        parts = pool.starmap(partial(shard, domain), zip(sizes, seeds, strict=True))
    tokens, labels = zip(*parts, strict=True)
    return torch.cat(tokens), torch.cat(labels)


def optimizer_for(model: torch.nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves norms alone."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98))


def rate(step: int, recipe: Recipe) -> float:
    """Share of the peak learning rate: linear warm-up, then a cosine down to zero."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def train(
    model: LlamaForCausalLM, rows: tuple[torch.Tensor, torch.Tensor], recipe: Recipe, device: str
) -> None:
    """Train in place on shuffled batches; on CUDA compiled, with bfloat16 products."""
    tokens, labels = (part.to(device) for part in rows)
    model.to(device).train()
    optimizer = optimizer_for(model, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(rate, recipe=recipe))
    forward = torch.compile(model) if device == "cuda" else model
    shuffle = torch.Generator().manual_seed(recipe.seed)
    order = itertools.chain.from_iterable(
        torch.randperm(len(tokens), generator=shuffle).split(recipe.batch)
        for _ in itertools.count()
    )
    full = (batch for batch in order if len(batch) == recipe.batch)
    started = time.monotonic()
    for step, batch in enumerate(itertools.islice(full, recipe.steps)):
        batch = batch.to(device)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = forward(input_ids=tokens[batch].long(), labels=labels[batch].long()).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        if step % 1000 == 0 or step == recipe.steps - 1:
            print(f"step {step}  loss {loss:.4f}  {time.monotonic() - started:.0f} s", flush=True)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the standard Hugging Face folder: greedy answers, float32 weights."""
    model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=32,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to("cpu", torch.float32).save_pretrained(out)
    tokenizer.save_pretrained(out)


def main(domain: Domain = PYTHON) -> None:
    parser = argparse.ArgumentParser(description="Train a tiny student from scratch.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the student to")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for field in fields(Recipe):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, type=type(field.default), default=field.default)
    given = vars(parser.parse_args())
    out, device = given.pop("out"), given.pop("device")
    recipe, tokenizer = Recipe(**given), build_tokenizer(domain.pieces)
    model = build_model(recipe, tokenizer)
    train(model, make_rows(domain, recipe), recipe, device)
    save(model, tokenizer, out)


if __name__ == "__main__":
    main()
