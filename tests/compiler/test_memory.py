"""The estimate of training memory against measurements, and the check against a named device."""

from __future__ import annotations

from typing import Any

import pytest

from dagent.compiler.memory import Shape, allocated, peak, shape_of_size, training

# Peaks that torch 2.11 told on an H100 (decision 0049): random Qwen2 models in bfloat16, AdamW,
# LoRA of rank 8 on q and v. Size, adapter, checkpointing, batch, length -> 10⁹ bytes.
MEASURED = {
    ("0.5B", "full", False, 1, 256): 4.60, ("0.5B", "full", False, 8, 512): 16.19,
    ("0.5B", "full", False, 8, 1024): 29.32, ("0.5B", "full", True, 1, 256): 4.60,
    ("0.5B", "full", True, 8, 512): 10.72, ("0.5B", "full", True, 8, 1024): 18.39,
    ("0.5B", "lora", False, 1, 256): 1.82, ("0.5B", "lora", False, 8, 512): 12.87,
    ("0.5B", "lora", False, 8, 1024): 24.68, ("0.5B", "lora", True, 1, 256): 1.55,
    ("0.5B", "lora", True, 8, 512): 8.73, ("0.5B", "lora", True, 8, 1024): 16.39,
    ("1.5B", "full", False, 1, 256): 13.37, ("1.5B", "full", False, 8, 512): 28.76,
    ("1.5B", "full", False, 8, 1024): 48.11, ("1.5B", "full", True, 1, 256): 13.36,
    ("1.5B", "full", True, 8, 512): 17.20, ("1.5B", "full", True, 8, 1024): 25.08,
    ("1.5B", "lora", False, 1, 256): 4.22, ("1.5B", "lora", False, 8, 512): 19.75,
    ("1.5B", "lora", False, 8, 1024): 36.33, ("1.5B", "lora", True, 1, 256): 3.66,
    ("1.5B", "lora", True, 8, 512): 11.02, ("1.5B", "lora", True, 8, 1024): 18.86,
}  # fmt: skip
# Peaks of dagent's own training step, 0.5B, batches of four, LoRA of rank 16 on all linear layers:
# benchmarks/gpu_training.py on an H100 with torch 2.11, transformers 5.23 and TRL 1.16.
# Adapter, checkpointing, length -> 10⁹ bytes.
STEPS = {
    ("full", False, 512): 6.883,
    ("full", False, 2048): 15.423,
    ("full", True, 512): 4.285,
    ("full", True, 2048): 4.619,
    ("lora", False, 512): 4.277,
    ("lora", False, 2048): 13.468,
    ("lora", True, 512): 1.395,
    ("lora", True, 2048): 2.270,
    ("qlora", False, 512): 3.343,
    ("qlora", False, 2048): 11.436,
    ("qlora", True, 512): 0.756,
    ("qlora", True, 2048): 1.480,
}
# The same of the other stages; a row is as long as says the last number, prompt and answer.
STAGES = {
    ("dpo", "full", False, 512): 10.607,
    ("dpo", "lora", False, 512): 7.294,
    ("kto", "full", False, 512): 7.797,
    ("kto", "lora", False, 512): 4.275,
    ("orpo", "full", False, 512): 14.874,
    ("orpo", "lora", False, 512): 13.362,
    ("reward", "full", False, 512): 8.716,
    ("reward", "lora", False, 512): 7.29,
    ("grpo", "full", False, 512): 6.718,
    ("grpo", "lora", False, 512): 4.202,
    ("rloo", "full", False, 512): 7.706,
    ("rloo", "lora", False, 512): 4.202,
    ("distillation", "full", False, 512): 7.96,
    ("distillation", "lora", False, 512): 6.529,
    ("gkd", "full", False, 512): 28.033,
    ("gkd", "lora", False, 512): 26.346,
    ("dpo", "full", True, 512): 5.283,
    ("dpo", "lora", True, 2048): 3.436,
    ("kto", "full", True, 512): 5.274,
    ("kto", "lora", True, 2048): 2.27,
    ("orpo", "full", True, 512): 9.408,
    ("orpo", "lora", True, 2048): 26.76,
    ("reward", "full", True, 512): 4.018,
    ("reward", "lora", True, 2048): 3.436,
    ("grpo", "full", True, 512): 4.276,
    ("grpo", "lora", True, 2048): 2.269,
    ("rloo", "full", True, 512): 5.271,
    ("rloo", "lora", True, 2048): 2.269,
    ("distillation", "full", True, 512): 5.27,
    ("distillation", "lora", True, 2048): 3.369,
    ("gkd", "full", True, 512): 25.236,
}
SHAPES = {
    "0.5B": Shape(0.494e9, 24, 896, 4864, 151936, 128),
    "1.5B": Shape(1.544e9, 28, 1536, 8960, 151936, 256),
}


@pytest.mark.parametrize("case", MEASURED)
def test_the_estimate_meets_the_measurements(case: tuple[str, str, bool, int, int]) -> None:
    size, adapter, checkpointing, batch, length = case
    args = {
        "per_device_train_batch_size": batch,
        "gradient_checkpointing": checkpointing,
        "max_length": length,
        "loss_type": "dft",  # those were of a loss that has all logits at once
    }
    plan = training(SHAPES[size], adapter, {}, "sft", args, 10 * length)
    found = allocated(SHAPES[size], plan, length) / 1e9
    assert found == pytest.approx(MEASURED[case], rel=0.1)


@pytest.mark.parametrize("case", STEPS)
def test_the_estimate_meets_what_a_training_step_takes(case: tuple[str, bool, int]) -> None:
    adapter, checkpointing, length = case
    args = {
        "per_device_train_batch_size": 4,
        "activation_checkpointing": checkpointing,
        "max_length": length,
    }
    lora = {} if adapter == "full" else {"r": 16, "target_modules": "all-linear"}
    plan = training(SHAPES["0.5B"], adapter, lora, "sft", args, 10 * length)
    found = allocated(SHAPES["0.5B"], plan, length) / 1e9
    assert found == pytest.approx(STEPS[case], rel=0.2)


@pytest.mark.parametrize("case", STAGES)
def test_the_estimate_meets_every_stage(case: tuple[str, str, bool, int]) -> None:
    stage, adapter, checkpointing, length = case
    args = {"per_device_train_batch_size": 4, "activation_checkpointing": checkpointing}
    lora = {} if adapter == "full" else {"r": 16, "target_modules": "all-linear"}
    shape = SHAPES["0.5B"]
    teacher = shape if stage in ("distillation", "gkd") else None
    plan = training(shape, adapter, lora, stage, args, 10 * length, teacher)
    assert STAGES[case] * 1e9 / allocated(shape, plan, length) == pytest.approx(1, abs=0.2)


def test_what_saves_memory_saves_it() -> None:
    shape = shape_of_size(7e9)

    def high(adapter: str, **args: Any) -> float:
        return peak(shape, training(shape, adapter, {}, "sft", args, 4000))[1]

    base = high("full", loss_type="nll")
    assert high("lora") < base
    assert high("qlora") < high("lora")
    assert high("full", optim="adamw_8bit") < base
    assert high("lora", loss_type="nll") < high("lora", loss_type="dft")
    assert high("full", gradient_checkpointing=False) > base
    assert high("full", per_device_train_batch_size=1) < base
    assert high("full", max_length=256) < base
    assert high("full", bf16=False) > base


BIG = {"student": {"model": "Qwen/Qwen2.5-7B", "revision": "abc"}}


def test_a_device_that_is_large_enough(project: Any) -> None:
    plan = project.compile(project.join(BIG, {"student": {"device": "1x200GB"}})).plan
    low, high = plan.step("r1.train").estimate.memory
    assert 50e9 < low < high < 200e9
    assert project.codes({"student": {"device": "1x1GB"}}) == []  # fifteen weights


def test_a_device_that_is_too_small_and_what_would_fit(project: Any) -> None:
    change = project.join(BIG, {"student": {"device": "2x24GB"}})
    assert project.codes(change) == ["E716"]
    (found,) = [d for d in project.found(change) if d.code == "E716"]
    assert "each of the 2 devices has 24 GB" in found.message
    assert found.suggestion.startswith("set ")
    assert "`adapter = lora`" in found.suggestion
    mended = {
        "student": {"adapter": "lora"},
        "train": [{"stage": "sft", "per_device_train_batch_size": 1}],
    }
    assert project.codes(project.join(change, mended)) == []
    tiny = project.join(BIG, {"student": {"device": "1x2GB"}})
    (found,) = [d for d in project.found(tiny) if d.code == "E716"]
    assert "smaller model" in found.suggestion


@pytest.mark.parametrize("device", ["one A100", "24", "0x24GB", "1x24"])
def test_what_is_no_device(project: Any, device: str) -> None:
    assert project.codes({"student": {"device": device}}) == ["E717"]


def test_what_stands_beside_the_student_is_counted() -> None:
    shape = shape_of_size(7e9)
    weights = shape.parameters * shape.bytes

    def bytes_of(stage: str, adapter: str = "full", **args: Any) -> float:
        teacher = args.pop("teacher", None)
        given = {"activation_checkpointing": True, "per_device_train_batch_size": 1, **args}
        return allocated(shape, training(shape, adapter, {}, stage, given, 400, teacher), 200)

    # dpo keeps the model as it was, unless its figures are made beforehand; an adapter is its own.
    apart = bytes_of("dpo") - bytes_of("dpo", precompute_ref_log_probs=True)
    assert apart == pytest.approx(weights)
    assert bytes_of("dpo", "lora") == bytes_of("dpo", "lora", precompute_ref_log_probs=True)
    assert bytes_of("grpo", beta=0.1) - bytes_of("grpo") == pytest.approx(weights)
    # A pair is two answers.
    assert bytes_of("dpo", "lora") > bytes_of("kto", "lora")
    small = shape_of_size(1.5e9)
    taught = bytes_of("gkd", "lora", teacher=small) - bytes_of("gkd", "lora")
    assert taught == small.parameters * small.bytes
    # What is drawn may be long.
    lengths = [
        training(shape, "lora", {}, "grpo", {"max_completion_length": n}, 400).length[1]
        for n in (100, 900)
    ]
    assert lengths[1] - lengths[0] == 800
