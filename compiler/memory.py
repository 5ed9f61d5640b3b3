"""Peak memory of training on one accelerator, before anything is loaded.

    weights + gradients + optimiser + activations + logits + what the driver takes

Activations are counted as in Korthikanti et al. 2022 (arXiv:2205.05198, section 4), with factors
for a gated MLP, and for attention that keeps no score matrix, as measured on Qwen2's architecture;
a frozen matrix keeps no input, but the adapter beside it does. With checkpointing (section 5 there)
a layer's input for each layer, and one layer in full. NF4 weights take 4.127 bits (Dettmers et al.
2023, arXiv:2305.14314).
Decision 0049 has the measurements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dagent.compiler.tables import table

NF4_BYTES = 4.127 / 8
DRIVER = (0.5e9, 1.0e9)  # context and libraries
ALLOCATOR = 1.25  # what torch reserves over what tensors take, where there is room
# Of a token and a word: 16 bits and 32, and the gradients of both. A divergence from a teacher
# keeps the logarithms of both models and of their mixture beside them.
LOGIT_BYTES = 12
DIVERGENCE_BYTES = 68
# TRL's stages make the logits of a few hundred tokens at a time, but for these; the gradient to
# the output layer, if that is trained or compared with a teacher's, is added up in 32 bits and then
# told in 16.
WHOLE_LOGITS = ("orpo", "gkd")
CHUNK = 256
CHUNK_BYTES = 6
HEAD_BYTES = 6
CHARACTERS_PER_TOKEN = (5.0, 2.0)
PAIRED = ("dpo", "orpo", "reward")  # a row is two answers, and both are in the batch
REFERRED = ("dpo", "kto", "grpo", "rloo")  # compare with the model as it was, unless beta is 0
# Parameters, layers, hidden size, width of the MLP, words: of models that are published at a size.
KNOWN = (
    (0.13e9, 12, 768, 3072, 50_000),
    (0.5e9, 24, 896, 4864, 152_000),
    (1.5e9, 28, 1536, 8960, 152_000),
    (3e9, 36, 2048, 11008, 152_000),
    (7.6e9, 28, 3584, 18944, 152_000),
    (14.8e9, 48, 5120, 13824, 152_000),
    (32.8e9, 64, 5120, 27648, 152_000),
    (72.7e9, 80, 8192, 29568, 152_000),
)
_DEVICE = re.compile(r"\s*(?:(\d+)\s*[x×]\s*)?(\d+(?:\.\d+)?)\s*(GB|GiB)\s*", re.IGNORECASE)

Range = tuple[float, float]


class Shape(Struct, frozen=True):
    """A decoder's sizes. ``bytes`` of a weight as the model is stored."""

    parameters: float
    layers: int
    hidden: int
    width: int
    words: int
    kv: int
    bytes: float = 2


class Training(Struct, frozen=True):
    """What decides the memory. ``length`` is in tokens, low and high; ``optimiser`` in bytes per
    trained weight; ``precise`` that activations are in 32 bits; ``fed`` the widths of what goes
    into a layer's adapters, added up; ``chunked`` that logits are made a few hundred tokens at a
    time, else they take ``logit`` bytes a token and a word; ``answers`` how many a row has;
    ``reference`` and ``teacher`` the bytes of models beside it. A model under an adapter is its own
    reference."""

    adapter: str
    trained: float
    fed: float
    batch: int
    length: Range
    checkpointing: bool
    precise: bool
    chunked: bool
    optimiser: float
    logit: float = LOGIT_BYTES
    answers: int = 1
    reference: float = 0
    teacher: float = 0


def device(text: str) -> tuple[int, float] | None:
    """How many accelerators and the bytes of each; ``None`` if the text says neither.

    >>> device("1x24GB"), device("80GB"), device("big")
    ((1, 24000000000.0), (1, 80000000000.0), None)
    """
    match = _DEVICE.fullmatch(text)
    if not match:
        return None
    scale = 1024**3 if match[3].lower() == "gib" else 1e9
    count, size = int(match[1] or 1), float(match[2]) * scale
    return (count, size) if count and size else None


def shape_of_size(parameters: float) -> Shape:
    """The usual shape of a model with so many parameters: the nearest known one's."""
    near = min(KNOWN, key=lambda known: abs(math.log(known[0] / parameters)))
    _, layers, hidden, width, words = near
    return Shape(parameters, layers, hidden, width, words, hidden // 4)


def shape_of_config(config: Mapping[str, Any], parameters: float) -> Shape | None:
    """From a model's ``config.json``; ``None`` where it has other names for its sizes."""
    try:
        hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        heads = int(config["num_attention_heads"])
        kv = int(config.get("num_key_value_heads") or heads)
        head = int(config.get("head_dim") or hidden // heads)
        width, words = int(config["intermediate_size"]), int(config["vocab_size"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    stored = str(config.get("dtype") or config.get("torch_dtype"))
    size = 4 if stored == "float32" else 2
    return Shape(parameters, layers, hidden, width, words, kv * head, size)


def training(
    shape: Shape, adapter: str, lora: Mapping[str, Any], stage: str, args: Mapping[str, Any],
    characters: float, teacher: Shape | None = None,
) -> Training:  # fmt: skip
    """What a stage's arguments say, TRL's own defaults where they say nothing."""
    arguments = table(stage).arguments

    def given(name: str) -> Any:
        value = args.get(name)
        return arguments[name].default if value is None and name in arguments else value

    longest = float(given("max_length") or math.inf)
    mean = tuple(min(longest, max(16.0, characters / c)) for c in CHARACTERS_PER_TOKEN)
    # A batch is as long as its longest row, here taken for three times the mean.
    length = (longest, longest) if given("packing") else (mean[0], min(longest, 3 * mean[1]))
    # What the student draws itself may be as long as it is let.
    length = length[0], length[1] + float(given("max_completion_length") or 0)
    compared = stage in REFERRED and given("beta") and not given("precompute_ref_log_probs")
    again = given("activation_checkpointing")
    return Training(
        adapter=adapter,
        trained=shape.parameters if adapter == "full" else adapter_size(shape, lora),
        fed=0 if adapter == "full" else adapter_inputs(shape, lora),
        batch=int(given("per_device_train_batch_size") or 8),
        length=length,
        checkpointing=bool(given("gradient_checkpointing") if again is None else again),
        precise=args.get("bf16") is False and not args.get("fp16"),
        chunked=(
            stage not in WHOLE_LOGITS
            and (stage != "sft" or given("loss_type") in ("nll", "chunked_nll"))
        )
        or bool(given("use_liger_kernel")),
        # A reward model's output is one number.
        logit={"gkd": DIVERGENCE_BYTES, "reward": 0}.get(stage, LOGIT_BYTES),
        optimiser=_optimiser(str(given("optim")), shape.bytes if adapter == "full" else 4),
        answers=2 if stage in PAIRED else 1,
        reference=shape.parameters * shape.bytes if compared else 0,
        teacher=teacher.parameters * teacher.bytes if teacher else 0,
    )


def peak(shape: Shape, plan: Training) -> Range:
    """Bytes on one accelerator, low and high.

    >>> shape = shape_of_size(7e9)
    >>> plan = training(shape, "full", {}, "sft", {"max_length": 1024}, 4000)
    >>> low, high = peak(shape, plan)
    >>> 60e9 < low < high < 120e9
    True
    """
    low, high = (allocated(shape, plan, length) for length in plan.length)
    return DRIVER[0] + low, DRIVER[1] + ALLOCATOR * high


def allocated(shape: Shape, plan: Training, length: float) -> float:
    """Bytes of tensors at the peak, with batches of ``length`` tokens a row."""
    full = plan.adapter == "full"
    embedding = shape.words * shape.hidden
    weights = shape.parameters * shape.bytes
    if plan.adapter == "qlora":
        weights = (shape.parameters - embedding) * NF4_BYTES + embedding * 2
    # PEFT keeps adapters in float32; a whole model is trained as it is stored.
    size = shape.bytes if full else 4
    fixed = weights + plan.trained * plan.optimiser + (0 if full else plan.trained * size)
    fixed += plan.teacher + (plan.reference if full else 0)
    # The gradient of a tied embedding is added up from two, if words come out.
    gradients = plan.trained * size + (2 * embedding * size if full and plan.logit else 0)
    tokens, width = plan.batch * plan.answers * length, 4 if plan.precise else 2
    hidden, mlp = (10.5, 4) if full else (6.5, 3)
    kinds = hidden * shape.hidden + 2 * shape.kv + mlp * shape.width + plan.fed
    layer = tokens * width * kinds
    inputs = tokens * width * shape.hidden * shape.layers
    logits = tokens * shape.words * plan.logit
    if plan.chunked:
        head = embedding * HEAD_BYTES if full or plan.teacher else 0
        logits = min(logits, CHUNK * shape.words * CHUNK_BYTES + head)
    # The logits are there before the first gradient, and gone when layers are computed again.
    kept = inputs if plan.checkpointing else layer * shape.layers
    # Beside a layer that is computed again, a frozen MLP's gradients are what adds most.
    beside = 0 if full else tokens * width * mlp * shape.width
    again = inputs + layer + beside if plan.checkpointing else 0
    return fixed + max(kept + logits, gradients + again)


def adapter_size(shape: Shape, lora: Mapping[str, Any]) -> float:
    """Weights of a LoRA adapter: rank times the sizes of each matrix that it is put beside."""
    sides = sum(into + out for into, out in _adapted(shape, lora))
    return float(lora.get("r") or 8) * sides * shape.layers


def adapter_inputs(shape: Shape, lora: Mapping[str, Any]) -> float:
    """The widths of what goes into the matrices of a layer that have an adapter, added up."""
    return sum(into for into, _ in _adapted(shape, lora))


def _adapted(shape: Shape, lora: Mapping[str, Any]) -> list[tuple[float, float]]:
    """The matrices of a layer that LoRA is put beside: how wide their inputs and outputs are."""
    h, w, kv = shape.hidden, shape.width, shape.kv
    matrices = {
        "q_proj": (h, h), "k_proj": (h, kv), "v_proj": (h, kv), "o_proj": (h, h),
        "gate_proj": (h, w), "up_proj": (h, w), "down_proj": (w, h),
    }  # fmt: skip
    wanted = lora.get("target_modules") or ["q_proj", "v_proj"]  # PEFT's default for most models
    if isinstance(wanted, str):
        wanted = list(matrices)
    return [matrices.get(str(name).rpartition(".")[2], (h, h)) for name in wanted]


def remedies(shape: Shape, plan: Training, adapters: tuple[str, ...], limit: float) -> list[str]:
    """Changes of the spec, one on top of the other, until it fits; empty if nothing is enough."""
    words: list[str] = []
    for says, changed in _steps(shape, plan, adapters):
        plan = changed
        words.append(says)
        if peak(shape, plan)[0] <= limit:
            return words
    return []


def _steps(shape: Shape, plan: Training, adapters: tuple[str, ...]) -> list[tuple[str, Training]]:
    """From the cheapest change to the one that changes most."""
    out: list[tuple[str, Training]] = []

    def step(says: str, **changes: Any) -> None:
        nonlocal plan
        plan = replace(plan, **changes)
        out.append((says, plan))

    if not plan.checkpointing:
        step("`activation_checkpointing = true`", checkpointing=True)
    if plan.batch > 1:
        says = (
            f"`per_device_train_batch_size = 1` with `gradient_accumulation_steps = {plan.batch}`"
        )
        step(says, batch=1)
    if plan.adapter == "full" and "lora" in adapters:
        trained, fed = adapter_size(shape, {}), adapter_inputs(shape, {})
        step("`adapter = lora`", adapter="lora", trained=trained, fed=fed, optimiser=8)
    if plan.adapter == "lora" and "qlora" in adapters:
        step("`adapter = qlora`", adapter="qlora")
    if plan.length[1] > 512:
        step("`max_length = 512`", length=(min(plan.length[0], 512), 512))
    return out


def _optimiser(name: str, size: float) -> float:
    """Bytes of the optimiser's state for a trained weight of ``size`` bytes."""
    if name in ("sgd", "lomo", "adalomo", "adafactor") or "galore" in name or "apollo" in name:
        return 0.0  # no state, or one of vanishing size
    each = 1 if "8bit" in name else 0.5 if "4bit" in name else size
    return each * (1 if "lion" in name or name in ("rmsprop", "adagrad") else 2)
