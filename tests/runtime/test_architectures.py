"""Small random models of the architectures that people use, each through a round with LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.digests import content_digest

pytestmark = pytest.mark.xdist_group("training")
# By transformers' own names, with what differs from the sizes that all share.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "Llama": {"num_key_value_heads": 2},
    "Qwen2": {"num_key_value_heads": 2},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "Gemma": {"num_key_value_heads": 1, "head_dim": 8},
    "Mistral": {"num_key_value_heads": 2, "sliding_window": 16},
    "Phi": {},
    "GPTNeoX": {},
}
CHAT = (
    "{{- bos_token -}}{%- for m in messages -%}"
    "{{- '[' + m['role'] + ']' + m['content'] + eos_token -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '[assistant]' -}}{%- endif -%}"
)
PAD = "<|endoftext|>"  # Qwen's, which transformers adds to any tokenizer of its models
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}


def make_tokenizer(tiny: Any, chat: str | None) -> Any:
    """Bytes and the pairs that the rows repeat. It puts a token in front of every text, as Llama's
    does: prompts that already begin with one must not get a second."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", PAD],
        initial_alphabet=letters,
        show_progress=False,
    )
    core.train_from_iterator([f"{r['prompt']}\n{r['answer']}" for r in tiny.ROWS], trainer)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token=PAD, chat_template=chat
    )


def make_model(name: str, tokenizer: Any, folder: Path) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(
        **SIZES,
        **ARCHITECTURES[name],
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "chat", [CHAT, pytest.param(None, marks=pytest.mark.slow)], ids=["chat", "plain"]
)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_trains_with_lora_and_answers(
    tiny: Any, name: str, chat: str | None, tmp_path: Path
) -> None:
    base = make_model(name, make_tokenizer(tiny, chat), tmp_path / "base")
    right = [(row["prompt"], row["answer"]) for row in tiny.ROWS]
    stages = ("sft", {"num_train_epochs": 4, "learning_rate": 2e-2}), ("dpo", {"max_steps": 2})
    trained = tiny.train(base, tmp_path / "out", *stages, adapter="lora")
    assert (trained / "model.safetensors").is_file()
    assert not list(trained.glob("adapter*"))
    assert sum(tiny.likelihood(trained, right)) > sum(tiny.likelihood(base, right)) + len(right) / 4
    said = tiny.answers(trained, [prompt for prompt, _ in right])
    assert len(said) == len(right)
    assert said == tiny.answers(trained, [prompt for prompt, _ in right], batch=8)
    assert content_digest(trained) != content_digest(base)


def test_a_prompt_begins_as_it_does_when_the_student_answers(tiny: Any) -> None:
    """No second token in front, in any stage that tokenises prompts."""
    from dagent.runtime import stages
    from dagent.runtime.prompting import prompt_texts

    tokenizer = make_tokenizer(tiny, CHAT)
    (text,) = prompt_texts(tokenizer, ["ax"], None, None)
    assert text.startswith("<s>[user]")
    assert tokenizer(text)["input_ids"][:2] == [0, 0]  # what TRL would make of it

    class Trainer:
        processing_class = tokenizer
        _tokenize_prompts = stages._GRPO._tokenize_prompts

    (ids,), *_ = Trainer()._tokenize_prompts([text])
    assert ids == tokenizer(text, add_special_tokens=False)["input_ids"]
