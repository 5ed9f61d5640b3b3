"""Runs in the worker: the adapter that turns the base into a student whose adapter was merged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dagent.runtime.answering import load

NOISE = 1e-4  # singular values below this share of the largest are rounding


def run(request: dict[str, Any], progress: Callable[..., None]) -> dict[str, Any]:
    """``{base, model, out, name, trust_remote_code}`` -> ``{rank, beyond}``.

    Merging adds a product of two thin matrices to each adapted weight; what was added is known, and
    its singular value decomposition gives two such matrices back. The folder ``out`` is PEFT's,
    for the base ``name``. ``beyond`` names a weight that was trained and is none of a linear layer:
    no adapter holds it, so nothing is written; else it is ``None``.
    """
    from peft import LoraConfig, get_peft_model
    from peft.utils import set_peft_model_state_dict

    trust = request["trust_remote_code"]
    base, _ = load(request["base"], trust=trust)
    model, tokenizer = load(request["model"], trust=trust)
    linear = {n for n, m in base.named_modules() if isinstance(m, torch.nn.Linear)}
    after = model.state_dict()
    factors: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    weights = base.state_dict()
    for done, (name, before) in enumerate(weights.items(), 1):
        added = after[name].float() - before.float()
        module = name.removesuffix(".weight")
        if not added.any():
            continue
        if module not in linear:
            return {"rank": 0, "beyond": name}
        factors[module] = _thin(added)
        progress(done, len(weights))
    rank = max(a.shape[0] for a, _ in factors.values())
    config = LoraConfig(
        task_type="CAUSAL_LM", r=rank, lora_alpha=rank, target_modules=sorted(factors)
    )
    adapted = get_peft_model(base, config)
    state = {}
    for module, (a, b) in factors.items():
        key = f"base_model.model.{module}"
        state[f"{key}.lora_A.weight"] = _padded(a, 0, rank)
        state[f"{key}.lora_B.weight"] = _padded(b, 1, rank)
    set_peft_model_state_dict(adapted, state)
    adapted.peft_config["default"].base_model_name_or_path = request["name"]
    adapted.save_pretrained(Path(request["out"]))
    _in_order(Path(request["out"]) / "adapter_config.json")
    tokenizer.save_pretrained(Path(request["out"]))
    return {"rank": rank, "beyond": None}


def _in_order(config: Path) -> None:
    """PEFT writes a set in any order: equal adapters shall have equal bytes."""
    held = json.loads(config.read_text(encoding="utf-8"))
    held["target_modules"] = sorted(held["target_modules"])
    config.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _thin(added: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``A`` (rank, in) and ``B`` (out, rank) with ``B @ A`` the change of a weight (out, in)."""
    u, s, v = torch.linalg.svd(added, full_matrices=False)
    rank = max(1, int((s > NOISE * s[0]).sum()))
    root = s[:rank].sqrt()
    return root[:, None] * v[:rank], u[:, :rank] * root


def _padded(matrix: torch.Tensor, dim: int, rank: int) -> torch.Tensor:
    missing = rank - matrix.shape[dim]
    shape = (missing, matrix.shape[1]) if dim == 0 else (matrix.shape[0], missing)
    return torch.cat([matrix, torch.zeros(shape)], dim).contiguous()
