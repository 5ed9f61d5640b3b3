"""How a question becomes the student's input: its own chat template, or the spec's format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Tokenizer(Protocol):
    """The part of ``transformers.PreTrainedTokenizerBase`` that is used here."""

    chat_template: str | None
    eos_token: str | None

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...

    def __call__(self, text: Sequence[str], **options: Any) -> Any: ...


def prompt_texts(
    tokenizer: Tokenizer, prompts: Sequence[str], template: str | None, system: str | None
) -> list[str]:
    """The text up to where the student's answer begins, for each prompt."""
    if template is not None:
        return [template.replace("{prompt}", p) for p in prompts]
    if not tokenizer.chat_template:
        return [f"{p}\n" for p in prompts]
    return [
        tokenizer.apply_chat_template(_turns(p, system), tokenize=False, add_generation_prompt=True)
        for p in prompts
    ]


def pair_texts(
    tokenizer: Tokenizer,
    pairs: Sequence[tuple[str, str]],
    template: str | None,
    system: str | None,
) -> list[tuple[str, str]]:
    """(prompt text, completion text) for each (prompt, answer): what the student is trained on.

    The two are later tokenised apart, just as at generation, where the prompt ends before the
    answer begins.
    """
    prompts = prompt_texts(tokenizer, [p for p, _ in pairs], template, system)
    if template is not None or not tokenizer.chat_template:
        end = tokenizer.eos_token or ""
        return [(text, answer + end) for text, (_, answer) in zip(prompts, pairs, strict=True)]
    texts = []
    for text, (prompt, answer) in zip(prompts, pairs, strict=True):
        turns = [*_turns(prompt, system), {"role": "assistant", "content": answer}]
        whole = tokenizer.apply_chat_template(turns, tokenize=False)
        if not whole.startswith(text):
            # The template writes its generation prompt otherwise than its answers (some add an
            # empty thinking block): the answer then follows the generation prompt directly.
            texts.append((text, answer + (tokenizer.eos_token or "")))
        else:
            texts.append((text, whole[len(text) :]))
    return texts


def _turns(prompt: str, system: str | None) -> list[dict[str, str]]:
    turns = [{"role": "user", "content": prompt}]
    return [{"role": "system", "content": system}, *turns] if system else turns
