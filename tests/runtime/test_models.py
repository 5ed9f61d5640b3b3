"""What models bring that needs care: code of their own, no pad token; and another engine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Failed, Refused
from dagent.runtime.launching import Reported

pytestmark = pytest.mark.xdist_group("training")
CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig

    def forward(self, *args, **named):
        named.pop("unheard_of", None)
        return super().forward(*args, **named)
"""


@pytest.fixture(scope="module")
def base(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tiny.make_student(tmp_path_factory.mktemp("student") / "base")
    return made


@pytest.fixture
def coded(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The student as a model that transformers does not know without the code beside it."""
    for module in ("transformers.dynamic_module_utils", "transformers.utils"):
        monkeypatch.setattr(f"{module}.HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    folder = tmp_path / "coded"
    shutil.copytree(base, folder)
    (folder / "own.py").write_text(CODE)
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "own",
        "architectures": ["OwnForCausalLM"],
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_code_that_a_model_brings_runs_only_where_it_is_asked_for(
    tiny: Any, coded: Path, tmp_path: Path
) -> None:
    stages = ("sft", {"num_train_epochs": 6}), ("dpo", {"max_steps": 2})
    with pytest.raises(Refused, match="E873") as refused:
        tiny.train(coded, tmp_path / "out", *stages)
    assert "trust_remote_code = true" in (refused.value.diagnostics[0].suggestion or "")
    stored = tmp_path / ("a" * 64)
    shutil.copytree(coded, stored)
    with pytest.raises(Refused, match="the model cannot be loaded without the code"):
        tiny.answers(stored, ["?"])
    trained = tiny.train(coded, tmp_path / "out", *stages, adapter="lora", trust_remote_code=True)
    assert (trained / "own.py").read_text() == CODE  # what comes out is as whole as what went in
    points = tiny.curve(trained, "1.sft")
    assert points[-1]["loss"] < points[0]["loss"]
    prompts = [row["prompt"] for row in tiny.ROWS]
    with pytest.raises(Refused, match="E873"):
        tiny.answers(trained, prompts)
    assert len(tiny.answers(trained, prompts, trust_remote_code=True)) == len(prompts)


def test_the_students_code_reaches_the_store_only_where_it_is_trusted(
    coded: Path, tmp_path: Path
) -> None:
    from dagent.runtime.steps import student

    def files(**params: Any) -> set[str]:
        scratch = tmp_path / str(len(params))
        scratch.mkdir()
        step = Step("student", "student", 1, {"model": "./coded", "revision": None, **params})
        context: Any = SimpleNamespace(scratch=scratch, project=tmp_path)
        made = student.run(step, {}, context).artifacts["model"]
        assert isinstance(made, Path)
        return {file.name for file in made.iterdir()}

    assert files(trust_remote_code=True) - files() == {"own.py"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "own"}, "`own`, which transformers [0-9.]+ does not know"),
        ({"model_type": None}, "does not say which architecture it is"),
        ({"model_type": "t5"}, r"\(T5\) is no causal language model"),
    ],
)
def test_an_architecture_that_transformers_does_not_load(
    base: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    from dagent.runtime.answering import load

    folder = tmp_path / "strange"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text()) | change
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Refused, match=said) as refused:
        load(str(folder))
    assert refused.value.diagnostics[0].code == "E875"


def test_weights_in_a_pickle_are_not_read(base: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from dagent.runtime.answering import load

    folder = tmp_path / "pickled"
    shutil.copytree(base, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(Refused, match="E601: the model pickled has no weights in safetensors"):
        load(str(folder))


def test_a_student_without_a_pad_token_learns_where_to_stop(
    tiny: Any, base: Path, tmp_path: Path
) -> None:
    """Its pad token is then the one that ends an answer, which must be learned all the same."""
    folder = tmp_path / "padless"
    shutil.copytree(base, folder)
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config.pop("pad_token")
    file.write_text(json.dumps(config))
    rows = [{"prompt": a * n, "answer": "B" * n} for a in "abcd" for n in (1, 2)] * 4
    stage = ("sft", {"num_train_epochs": 12, "learning_rate": 1e-2})
    trained = tiny.train(folder, tmp_path / "out", stage, rows=rows)
    from dagent.runtime.answering import load_tokenizer

    tokenizer = load_tokenizer(str(trained))
    assert tokenizer.pad_token == tokenizer.eos_token
    said = tiny.answers(trained, [row["prompt"] for row in rows[:8]], max_new_tokens=8)
    assert said == [row["answer"] for row in rows[:8]]


def test_a_tokenizer_that_cannot_serve_is_told_in_words(base: Path, tmp_path: Path) -> None:
    from dagent.runtime.answering import load_tokenizer

    def refused() -> str:
        with pytest.raises(Refused) as told:
            load_tokenizer(str(folder))
        (found,) = told.value.diagnostics
        assert found.code == "E876"
        assert found.suggestion
        return found.message

    folder = tmp_path / "endless"
    shutil.copytree(base, folder)
    (folder / "chat_template.jinja").unlink()
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config.pop("eos_token")
    file.write_text(json.dumps(config))
    assert "the tokenizer of the model endless has no `eos_token`" in refused()
    words = folder / "tokenizer.json"
    words.write_text(words.read_text()[:300])
    assert "the tokenizer of the model endless cannot be read" in refused()
    file.unlink()
    words.unlink()
    assert refused() == "the model endless comes without a tokenizer"


def test_a_model_that_cannot_be_fetched_is_told_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagent.runtime import answering

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    request = {"model": "nobody/no-such", "revision": None, "out": str(tmp_path / "out")}
    with pytest.raises(Failed) as told:
        answering.fetch({**request, "trust_remote_code": False}, lambda *_, **__: None)
    (found,) = told.value.diagnostics
    assert found.code == "E877"
    assert "nobody/no-such" in found.message
    assert "HF_TOKEN" in str(found.suggestion)


# vLLM's `LLM` at its interface, answering by transformers. It says what it was given in a file.
VLLM_STAND_IN = """
import json, os, torch
from types import SimpleNamespace

SamplingParams = dict

class LLM:
    def __init__(self, model, **options):
        from dagent.runtime.answering import load
        if os.environ.get("STAND_IN_FAILS"):
            raise ValueError("head size 20 is not supported")
        alone = {"pid": os.getpid(), "alone": os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"]}
        with open(os.environ["STAND_IN_SAYS"], "w") as file:
            json.dump(options | alone, file)
        self.model, self.tokenizer = load(model)

    def generate(self, prompts, params, use_tqdm):
        assert params["temperature"] == 0.0
        for prompt in prompts:
            ids = torch.tensor([prompt["prompt_token_ids"]])
            made = self.model.generate(ids, max_new_tokens=params["max_tokens"], do_sample=False)
            text = self.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
            yield SimpleNamespace(outputs=[SimpleNamespace(text=text)])
"""


def test_vllm_is_given_the_same_tokens_in_a_process_of_its_own(
    tiny: Any, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own, because vLLM does not give back all memory of the GPU before its process ends."""
    (tmp_path / "vllm.py").write_text(VLLM_STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STAND_IN_SAYS", str(tmp_path / "says.json"))
    prompts = [*(row["prompt"] for row in tiny.ROWS[:6]), "a" * 5000]  # more than its context
    assert tiny.answers(base, prompts, engine="vllm") == tiny.answers(base, prompts)
    said = json.loads((tmp_path / "says.json").read_text())
    assert said.pop("pid") != os.getpid()
    assert said.pop("alone") == "0"  # the engine is in that process, not in one more
    assert said == {
        "trust_remote_code": False,
        "load_format": "safetensors",
        "dtype": "float32",
        "seed": 0,
    }
    monkeypatch.setenv("STAND_IN_FAILS", "1")
    with pytest.raises(Reported, match="head size 20") as caught:
        tiny.answers(base, prompts, engine="vllm")
    assert "engine = transformers" in caught.value.error["suggestion"]


def test_vllm_is_refused_before_anything_runs_where_it_cannot_be(tmp_path: Path) -> None:
    from dagent.runtime.steps import evaluate

    params = {"set": "select", "metrics": [], "answering": {"engine": "vllm"}}
    step = Step("r0.evaluate", "evaluate", evaluate.version, params, round=0)
    (found,) = evaluate.check(step, tmp_path)
    assert found.code == "E874"
    assert "the package `vllm`" in found.message
    assert "engine = transformers" in (found.suggestion or "")


def test_the_report_says_that_code_of_the_model_ran(stub: ModuleType, tmp_path: Path) -> None:
    from dagent.runtime.journal import read_events
    from dagent.runtime.report.page import render
    from dagent.runtime.status import journal_path, latest

    def report(name: str, student: str) -> str:
        spec = stub.SPEC.replace('model = "./student"', f'model = "./student"{student}')
        folder = stub.make_project(tmp_path / name, spec)
        (folder / "student" / "own.py").write_text("")
        stub.run_project(folder)
        return str(render(read_events(journal_path(folder, latest(folder) or "")), folder))

    assert "RUN: trust_remote_code" in report("trusted", "  trust_remote_code = true")
    assert "trust_remote_code" not in report("plain", "")
