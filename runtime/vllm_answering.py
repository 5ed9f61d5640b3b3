"""The student answers through vLLM, on a machine with a GPU, in a process of its own.

By vLLM's documented interface for offline inference: ``LLM``, ``SamplingParams`` and ``generate``.
vLLM takes nine tenths of the GPU and, in the same process, does not give all of it back; the next
training needs it. So the worker starts a process for every set that is answered, and the engine
runs in that one: its batches are then scheduled alike each time, so that a run repeats itself, and
what goes wrong is an exception (vLLM's page on reproducibility).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from dagent.compiler.arguments import VLLM
from dagent.compiler.context import context
from dagent.dsl.diagnostics import Diagnostic, Failed
from dagent.runtime.answering import load_tokenizer
from dagent.runtime.prompting import prompt_texts
from dagent.runtime.scarce import is_scarce


def run(request: Mapping[str, Any], progress: Callable[..., None]) -> list[str]:
    """As ``answering.run``; ``batch`` is vLLM's own affair.

    Raises:
        Failed: E814, vLLM cannot answer with this model here.
    """
    trust = request.get("trust_remote_code", False)
    tokenizer = load_tokenizer(request["model"], trust=trust)
    texts = prompt_texts(tokenizer, request["prompts"], request["template"], request["system"])
    prompts = tokenizer(texts, add_special_tokens=False)["input_ids"]
    # One that fills the context has no answer, and vLLM would refuse them all for it.
    holds = context(Path(request["model"])) or math.inf
    asked = [i for i, ids in enumerate(prompts) if len(ids) < holds]
    try:
        made = _generate(request, trust, [prompts[i] for i in asked])
    except Exception as error:
        if is_scarce(error) or isinstance(error, ImportError):
            raise
        raise Failed(
            Diagnostic(
                "E814",
                f"vLLM failed: {type(error).__name__}: {error}",
                suggestion="write `engine = transformers` in `student`: slower, with the same "
                "model; the log says more",
            )
        ) from error
    progress(len(prompts), len(prompts))
    said = {i: found.outputs[0].text.strip() for i, found in zip(asked, made, strict=True)}
    return [said.get(i, "") for i in range(len(prompts))]


def _generate(request: Mapping[str, Any], trust: bool, prompts: list[list[int]]) -> list[Any]:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # read when vllm is imported
    from vllm import LLM, SamplingParams

    model = LLM(
        model=request["model"],
        dtype=_dtype(request["model"], trust),
        trust_remote_code=trust,
        seed=request["seed"] or 0,
        load_format="safetensors",
    )
    params = SamplingParams(
        max_tokens=request["max_new_tokens"],
        seed=request["seed"],
        **sampling(request["generation"]),
    )
    answered = model.generate(
        [{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False
    )
    return list(answered)


def _dtype(model: str, trust: bool) -> str:
    """That of the weights, as transformers takes it: left alone, vLLM halves float32."""
    dtype = AutoConfig.from_pretrained(model, trust_remote_code=trust).dtype
    return "auto" if dtype is None else str(dtype).removeprefix("torch.")


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
