"""`attn_implementation`: how the student computes attention wherever it is loaded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.pipeline import compile
from dagent.dsl.diagnostics import Refused
from dagent.runtime import gpu

pytestmark = pytest.mark.xdist_group("training")
FLASH = "attn_implementation = flash_attention_2"


def test_every_step_that_loads_the_student_is_told(stub: Any, tmp_path: Path) -> None:
    text = stub.SPEC.replace('"./student"', '"./student"  attn_implementation = eager')
    text = text.replace("train sft", "train dpo")
    plan = compile(stub.make_project(tmp_path / "p", text) / "sums.dagent").plan
    for step in plan.steps:
        answering = step.params.get("answering", {"attn_implementation": "eager"})
        assert answering["attn_implementation"] == "eager", step.id
        if step.kind == "train":
            assert step.params["attn_implementation"] == "eager"
    assert {s.kind for s in plan.steps if "answering" in s.params} >= {"evaluate", "diagnose"}
    assert plan.settings["student.attn_implementation"] == "eager"


def test_training_and_answers_compute_it_as_they_are_told(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import PreTrainedModel

    seen: list[str] = []
    began = PreTrainedModel.__init__

    def watched(self: Any, config: Any, *args: Any, **more: Any) -> None:
        began(self, config, *args, **more)
        seen.append(self.config._attn_implementation)

    base = tiny.make_student(tmp_path / "base")
    monkeypatch.setattr(PreTrainedModel, "__init__", watched)
    drawn = {"max_steps": 1, "num_generations": 4, "max_completion_length": 2}
    stages = ("sft", {"max_steps": 1}), ("reward", {"max_steps": 1}), ("grpo", drawn)
    for chosen in ("eager", "sdpa"):
        seen.clear()
        told = {"attn_implementation": chosen}
        trained = tiny.train(base, tmp_path / chosen, *stages, adapter="lora", **told)
        tiny.answers(trained, ["ab"], **told)
        assert len(seen) >= 6
        assert set(seen) == {chosen}
        assert "attn" not in (trained / "config.json").read_text()  # it is no part of the model


def test_an_architecture_without_it_is_refused(tiny: Any, tmp_path: Path) -> None:
    base = tiny.make_student(tmp_path / "base")
    file = base / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_type": "bloom"}))
    with pytest.raises(Refused, match="E879") as refused:
        tiny.answers(base, ["ab"], attn_implementation="flex_attention")
    (found,) = refused.value.diagnostics
    assert "takes no `attn_implementation = flex_attention`" in found.message


def test_a_missing_package_is_named_before_anything_runs(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagent.runtime.history import events_of

    if importlib.util.find_spec("flash_attn"):
        pytest.skip("flash_attn is installed")
    monkeypatch.setattr(gpu, "_has_gpu", lambda: True)
    text = stub.SPEC.replace('"./student"', f'"./student"  {FLASH}')
    folder = stub.make_project(tmp_path / "p", text)
    with pytest.raises(Refused, match="E879") as refused:
        stub.run_project(folder)
    (found,) = refused.value.diagnostics
    assert found.message == f"`{FLASH}` needs the package `flash_attn`, which this machine lacks"
    assert not [e for e in events_of(folder) if e["event"] == "step_started"]
