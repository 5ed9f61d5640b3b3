"""Runs in the worker: the student answers through vLLM, on a machine with a GPU.

By vLLM's documented interface for offline inference: ``LLM``, ``SamplingParams``, ``generate``, and
``cleanup_dist_env_and_memory`` afterwards, since the next training needs the memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dagent.compiler.arguments import VLLM
from dagent.compiler.context import context
from dagent.runtime.answering import load_tokenizer
from dagent.runtime.prompting import prompt_texts


def run(request: Mapping[str, Any], trust: bool, progress: Callable[..., None]) -> list[str]:
    """As ``answering.run``; ``batch`` is vLLM's own affair."""
    from vllm import LLM, SamplingParams
    from vllm.distributed import cleanup_dist_env_and_memory

    torch.cuda.empty_cache()  # what this process keeps for its next training
    tokenizer = load_tokenizer(request["model"], trust=trust)
    texts = prompt_texts(tokenizer, request["prompts"], request["template"], request["system"])
    prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
    # One that fills the context has no answer, and vLLM would refuse them all for it.
    holds = context(Path(request["model"])) or math.inf
    asked = [i for i, ids in enumerate(prompts) if len(ids) < holds]
    seed = request["seed"] or 0
    model = LLM(
        model=request["model"], trust_remote_code=trust, seed=seed, load_format="safetensors"
    )
    try:
        made = model.generate(
            [{"prompt_token_ids": prompts[i]} for i in asked],
            SamplingParams(
                max_tokens=request["max_new_tokens"],
                seed=request["seed"],
                **sampling(request["generation"]),
            ),
            use_tqdm=False,
        )
        progress(len(prompts), len(prompts))
        said = {i: found.outputs[0].text.strip() for i, found in zip(asked, made, strict=True)}
        return [said.get(i, "") for i in range(len(prompts))]
    finally:
        del model
        cleanup_dist_env_and_memory()


def sampling(generation: Mapping[str, Any]) -> dict[str, Any]:
    """``generation`` by vLLM's names: greedy is a temperature of 0 there.

    >>> sampling({"do_sample": False, "stop_strings": ["."]})
    {'stop': ['.'], 'temperature': 0.0}
    """
    given = {
        VLLM[name]: value
        for name, value in generation.items()
        if name != "do_sample" and value is not None
    }
    return given if generation["do_sample"] else {**given, "temperature": 0.0}
