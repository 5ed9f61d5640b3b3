"""The tokenizer of tiny students: printable ASCII, plus whole tokens for a domain's words, which
for the built-in student are Python's.

A program is split into the longest known pieces, so that ``print("abc"[::-1])`` is eight tokens
rather than eighteen: a small model then spends its few layers on what the program does. Decoding
joins the pieces again, so any printable ASCII text, newlines included, comes back unchanged.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PAD, UNK, USER, ASSISTANT, END = "<|pad|>", "<|unk|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = (PAD, UNK, USER, ASSISTANT, END)

PIECES = (
    *("print(", "sorted(", "len(", "max(", "min(", "sum(", "zip(", "list(", "set(", "str("),
    *("int(", "range(", "enumerate(", "reversed(", "dict.fromkeys(", '"".join('),
    *(".join(", ".replace(", ".count(", ".find(", ".index(", ".split(", ".strip(", ".append("),
    *(".insert(", ".pop(", ".sort(", ".reverse(", ".startswith(", ".endswith("),
    *(".upper()", ".lower()", ".title()", ".swapcase()", ".items()", ".keys()", ".values()"),
    *("[::-1]", "[::2]", "[1::2]", "[1:-1]", "[-1]", "[0]", "[:", ":]"),
    *(", ", '", "', ": ", "()", "))", ")))"),
    *("\nprint(", *(f", {digit}" for digit in range(10))),
    *(" + ", " - ", " * ", " // ", " % ", " == ", " != ", " < ", " > ", " = ", " += "),
    *("for ", " for ", " in ", " not ", " and ", " or ", "if ", " if ", " else ", "while "),
    *("def ", "return ", "lambda ", "True", "False", "None", "    "),
)
"""Multi-character tokens; the longest that fits is taken first."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "{{- '<|assistant|>' -}}"
    "{%- generation -%}{{- message['content'] + '<|end|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- '<|user|>' + message['content'] -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
"""One turn is ``<|user|>prompt<|assistant|>answer<|end|>``; the system role reads as user."""


def build_tokenizer(pieces: Sequence[str] = PIECES) -> PreTrainedTokenizerFast:
    """The tokenizer in standard form, ready for ``save_pretrained``."""
    characters = [c for c in string.printable if c.isprintable() or c in "\n\t"]
    vocabulary = {
        piece: i for i, piece in enumerate(dict.fromkeys((*SPECIAL, *characters, *pieces)))
    }
    longest_first = sorted(pieces, key=len, reverse=True)
    pattern = "|".join([*map(re.escape, longest_first), r"[\s\S]"])
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        unk_token=UNK,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
        padding_side="left",
        model_max_length=128,
    )
