"""Runs in the worker: the student answers prompts, in batches sorted by length."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from transformers import __version__ as VERSION
from transformers.utils import logging as transformers_logging

from dagent.compiler.context import context_of
from dagent.dsl.diagnostics import Diagnostic, Failed, Refused
from dagent.runtime import together
from dagent.runtime.launching import alone
from dagent.runtime.prompting import prompt_texts

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


def load(
    path: str, revision: str | None = None, trust: bool = False, attention: str | None = None
) -> tuple[Any, Any]:
    """Model and tokenizer from a folder or the hub: safetensors only, and no code of its own unless
    it is trusted. ``attention`` is transformers' ``attn_implementation``.

    Raises:
        Refused: E873 where it cannot be loaded without; E601 where there are no safetensors; E875
            where transformers has no causal language model of its architecture; E879 where that
            has no such attention.
    """
    with _loading(path, attention):
        model = AutoModelForCausalLM.from_pretrained(
            path,
            revision=revision,
            dtype="auto" if torch.cuda.is_available() else torch.float32,
            use_safetensors=True,
            trust_remote_code=trust,
            attn_implementation=attention,
        )
        return model, load_tokenizer(path, revision, trust)


def loading(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a request says of how the student is loaded, as ``load`` takes it."""
    return {
        "trust": request.get("trust_remote_code", False),
        "attention": request.get("attn_implementation"),
    }


def load_tokenizer(path: str, revision: str | None = None, trust: bool = False) -> Any:
    """As ``load``; where it has no token to pad with, with one that can.

    Raises:
        Refused: E876 where there is none, or it has no token that ends an answer.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=trust)
    except json.JSONDecodeError as error:
        raise _no_tokenizer(
            f"the tokenizer of the model{_named(path)} cannot be read: {error}"
        ) from None
    except ValueError as error:
        if "instantiate the backend tokenizer" not in str(error):
            raise
        raise _no_tokenizer(f"the model{_named(path)} comes without a tokenizer") from None
    if tokenizer.eos_token is None and not tokenizer.chat_template:
        raise Refused(
            Diagnostic(
                "E876",
                f"the tokenizer of the model{_named(path)} has no `eos_token`: an answer would "
                "never end",
                suggestion="name the token that ends a text as `eos_token` in "
                "`tokenizer_config.json`, or give the tokenizer a chat template",
            )
        )
    if tokenizer.pad_token is None:  # what it stands for is masked, so that any will do
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return tokenizer


def _no_tokenizer(what: str) -> Refused:
    return Refused(
        Diagnostic(
            "E876",
            what,
            suggestion="save the tokenizer of the model that it was made from into its folder, by "
            "`save_pretrained`, which writes `tokenizer.json`",
        )
    )


def _named(path: str) -> str:
    """A model's name, which a folder of the store has not."""
    name = Path(path).name
    return "" if re.fullmatch("[0-9a-f]{64}", name) else f" {name}"


@contextmanager
def _loading(path: str, attention: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if ".safetensors" not in str(error):
            raise
        raise Refused(
            Diagnostic(
                "E601",
                f"the model{_named(path)} has no weights in safetensors, and those in a pickle "
                "can run code when they are read",
                suggestion="take a revision that has them, or load it by hand and save it with "
                "`save_pretrained`, which writes safetensors",
            )
        ) from None
    except ValueError as error:
        if "trust_remote_code" in str(error):
            raise Refused(
                Diagnostic(
                    "E873",
                    f"the model{_named(path)} cannot be loaded without the code that it brings",
                    suggestion="read that code, then write `trust_remote_code = true` in "
                    "`student`; or take another model",
                )
            ) from None
        if (found := _unknown(_named(path), str(error))) is not None:
            raise Refused(found) from None
        if attention is not None:
            said = " ".join(str(error).split())
            raise Refused(
                Diagnostic(
                    "E879",
                    f"the model{_named(path)} takes no `attn_implementation = {attention}`: {said}",
                    suggestion="write `eager`, which every architecture has, or leave it out",
                )
            ) from None
        raise


def _unknown(name: str, error: str) -> Diagnostic | None:
    """What to say of an architecture for which transformers' own words are these."""
    if kind := re.search("model type `(.+?)` but Transformers does not recognize", error):
        return Diagnostic(
            "E875",
            f"the model{name} is of the architecture `{kind[1]}`, which transformers {VERSION} "
            "does not know, and its `config.json` names no code of its own (`auto_map`)",
            suggestion="upgrade transformers if a newer one knows it; if the model comes with "
            "code, name that in `auto_map` and write `trust_remote_code = true` in `student`; or "
            "take another model",
        )
    if "Should have a `model_type` key" in error:
        return Diagnostic(
            "E875",
            f"the `config.json` of the model{name} does not say which architecture it is",
            suggestion="give it the `model_type` that transformers knows the architecture by",
        )
    if kind := re.search(r"configuration class <class '[\w.]*?(\w+?)(Config)?'>", error):
        return Diagnostic(
            "E875",
            f"the model{name} ({kind[1]}) is no causal language model: it does not continue text",
            suggestion="take a model that transformers loads by `AutoModelForCausalLM`",
        )
    return None


def load_quantized(path: str, trust: bool = False, attention: str | None = None) -> tuple[Any, Any]:
    """As ``load``, the weights in four bits (NF4) on this process's device, for a QLoRA adapter.

    ``dagent.runtime.steps.train`` checks beforehand that there is a GPU, and bitsandbytes.
    """
    from transformers import BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    with _loading(path, attention):
        model = AutoModelForCausalLM.from_pretrained(
            path,
            quantization_config=four_bits,
            device_map={"": together.device()},
            use_safetensors=True,
            trust_remote_code=trust,
            attn_implementation=attention,
        )
    return model, load_tokenizer(path, trust=trust)


def run(request: dict[str, Any], progress: Callable[..., None]) -> list[str]:
    """``{model, prompts, template, system, max_new_tokens, batch, generation, seed}``, and where
    they are asked for ``engine``, ``trust_remote_code`` and ``attn_implementation`` -> one answer a
    prompt."""
    if request.get("engine") == "vllm":
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # what this process keeps for its next training
        from_vllm: list[str] = alone("vllm", request, progress)
        return from_vllm
    model, tokenizer = load(request["model"], **loading(request))
    if torch.cuda.is_available():
        model.to("cuda")
    texts = prompt_texts(tokenizer, request["prompts"], request["template"], request["system"])
    answers: list[str] = answer(
        model,
        tokenizer,
        texts,
        max_new_tokens=request["max_new_tokens"],
        batch=request["batch"],
        generation=request["generation"],
        seed=request["seed"],
        progress=progress,
    )
    return answers


@torch.inference_mode()  # type: ignore[untyped-decorator]
def answer(
    model: Any,
    tokenizer: Any,
    texts: list[str],
    *,
    max_new_tokens: int,
    batch: int,
    generation: Mapping[str, Any],
    seed: int | None,
    progress: Callable[..., None],
) -> list[str]:
    """Continuations of ``texts``, in their order, without special tokens, stripped.

    Texts of like length share a batch, so that little is padded; a batch ends when all its answers
    have ended. Beyond its context a model says nothing, and so "" to a text that fills it.
    ``generation`` holds arguments of ``transformers.GenerationConfig``, ``do_sample`` among them;
    what it does not name is as the model's own generation config says. Drawn answers depend on the
    ``seed``, the texts and ``batch``.
    """
    model.eval()
    if seed is not None:
        set_seed(seed)
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    holds = context_of(model.config.to_dict())
    answers, done = [""] * len(ids), 0
    for chosen, room in _batches([len(i) for i in ids], batch, max_new_tokens, holds):
        done += len(chosen)
        if room > 0:
            width = len(ids[chosen[-1]])
            tokens = torch.tensor(
                [[tokenizer.pad_token_id] * (width - len(ids[i])) + ids[i] for i in chosen],
                device=model.device,
            )
            mask = torch.tensor(
                [[0] * (width - len(ids[i])) + [1] * len(ids[i]) for i in chosen],
                device=model.device,
            )
            made = model.generate(
                input_ids=tokens,
                attention_mask=mask,
                max_new_tokens=room,
                pad_token_id=tokenizer.pad_token_id,
                tokenizer=tokenizer if "stop_strings" in generation else None,
                **generation,
            )
            texts_made = tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
            for i, text in zip(chosen, texts_made, strict=True):
                answers[i] = text.strip()
        progress(done, len(ids))
    return answers


def _batches(
    lengths: Sequence[int], batch: int, most: int, holds: int | None
) -> Iterator[tuple[list[int], int]]:
    """Which texts are answered together, the longest last, and how many tokens each may take.

    Near the end of what the context holds only texts of one length share a batch, so that no
    answer has less room for the length of another's question.

    >>> list(_batches([3, 9, 1, 9, 12], 2, 4, 12))
    [([2, 0], 4), ([1, 3], 3), ([4], 0)]
    """

    def tight(i: int) -> int:
        return lengths[i] if holds is not None and lengths[i] + most > holds else 0

    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], i))
    for length, group in groupby(order, key=tight):
        chosen = list(group)
        room = most if holds is None or not length else max(0, holds - length)
        for start in range(0, len(chosen), batch):
            yield chosen[start : start + batch], room


def fetch(request: dict[str, Any], progress: Callable[..., None]) -> None:
    """Save a hub model as a plain folder: ``{model, revision, out, trust_remote_code}``.

    Raises:
        Failed: E877 where it cannot be had from there.
    """
    try:
        model, tokenizer = load(request["model"], request["revision"], request["trust_remote_code"])
    except OSError as error:
        raise Failed(
            Diagnostic(
                "E877",
                f"the model {request['model']} cannot be fetched: {str(error).splitlines()[0]}",
                suggestion="correct its name or revision, or see to the network; a private or "
                "gated model wants `HF_TOKEN` in the environment; or download it into a folder and "
                "name that. The same command continues the run",
            )
        ) from error
    model.save_pretrained(Path(request["out"]))
    tokenizer.save_pretrained(Path(request["out"]))
