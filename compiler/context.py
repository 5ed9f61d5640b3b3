"""What a student's tokenizer and ``config.json`` say where they are here: tokens that it holds, and
tokens that it knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# What configs call the longest text: most architectures, GPT-2 and its like, MPT.
_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len")


def context_of(config: Mapping[str, Any]) -> int | None:
    """Tokens of a prompt and its answer together that a model was made for; ``None`` where its
    config sets no bound (ALiBi, state spaces).

    >>> context_of({"max_position_embeddings": 128})
    128
    >>> context_of({"text_config": {"max_position_embeddings": 128}})
    128
    >>> yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    >>> context_of({"max_position_embeddings": 32, "rope_scaling": yarn})
    128
    """
    text = config.get("text_config")
    said = text if isinstance(text, dict) else config
    bounds = (said.get(name) for name in _NAMES)
    found = next((bound for bound in bounds if isinstance(bound, int)), None)
    rope = said.get("rope_parameters") or said.get("rope_scaling")
    if found is None or not isinstance(rope, dict):
        return found
    # Stretched: some configs already say by how much, others only here.
    factor, before = rope.get("factor"), rope.get("original_max_position_embeddings", found)
    if isinstance(factor, int | float) and isinstance(before, int):
        return max(found, int(factor * before))
    return found


def context(model: Path) -> int | None:
    """The same of the model in a folder."""
    try:
        config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return context_of(config) if isinstance(config, dict) else None


def count_tokens(model: Path, text: str) -> int | None:
    """Tokens of a text alone, without those that a chat template adds; ``None`` where the folder
    has no ``tokenizer.json`` or the library ``tokenizers`` is not installed."""
    tokenizer = _tokenizer(model)
    return None if tokenizer is None else len(tokenizer.encode(text, add_special_tokens=False).ids)


def vocabulary(model: Path) -> set[str] | None:
    """Every token that the tokenizer in a folder knows, likewise."""
    tokenizer = _tokenizer(model)
    return None if tokenizer is None else {*tokenizer.get_vocab(), *_added(model)}


def share_vocabulary(model: Path, other: Path) -> bool | None:
    """Whether the tokenizers of two folders give every token the same number; ``None`` where that
    cannot be told."""
    both = [_tokenizer(folder) for folder in (model, other)]
    if None in both:
        return None
    mine, its = (tokenizer.get_vocab() for tokenizer in both)
    return bool(mine == its)


def _added(model: Path) -> list[str]:
    """Tokens that transformers adds to those of ``tokenizer.json``."""
    try:
        says = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    added = says.get("added_tokens_decoder", {}).values()
    special = [says.get(name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")]
    return [t["content"] if isinstance(t, dict) else t for t in (*added, *special) if t]


def _tokenizer(model: Path) -> Any:
    file = model / "tokenizer.json"
    if not file.is_file():
        return None
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    try:
        return Tokenizer.from_file(str(file))
    except Exception:  # what it raises of a file that it cannot read is no class of its own
        return None
