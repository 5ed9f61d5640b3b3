"""What a library refuses of the plan's arguments is told before anything is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.arguments import WORDS
from dagent.compiler.pipeline import compile
from dagent.dsl.diagnostics import Refused
from dagent.runtime.configured import _requests

pytestmark = pytest.mark.xdist_group("training")
WANTED = {
    "stages": [{"stage": "sft", "args": {"learning_rate": 1e-3}}],
    "lora": {},
    "generation": {"do_sample": False},
}


def told(**asked: Any) -> list[dict[str, Any]]:
    pytest.importorskip("trl")
    from dagent.runtime import configuring

    return configuring.run({**WANTED, **asked}, lambda *_, **__: None)


def stage(name: str = "sft", **args: Any) -> dict[str, Any]:
    return {"stages": [{"stage": name, "args": {"learning_rate": 1e-3, **args}}]}


def test_what_the_libraries_take_is_not_refused() -> None:
    assert not told()
    assert not told(lora={"r": 8, "use_dora": True}, **stage(lr_scheduler_type="cosine"))
    ends = {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 5e-3}}
    assert not told(**stage(learning_rate=1e-2, **ends))
    assert told(**stage(learning_rate=1e-3, **ends))
    assert not told(**stage(optim="adafactor", optim_target_modules=["q_proj"]))


@pytest.mark.parametrize(
    ("asked", "table", "names"),
    [
        (stage("dpo", loss_weights=[1.0, 0.5]), "dpo", ["loss_weights"]),
        (stage("grpo", num_generations=8, generation_batch_size=16, steps_per_generation=2), "grpo",
         ["steps_per_generation", "generation_batch_size"]),
        (stage(lr_scheduler_kwargs={"min_lr": 0.1}), "sft", ["lr_scheduler_kwargs"]),
        (stage(ddp_backend="gloo"), "sft", ["ddp_backend"]),
        (stage(optim_args="fast"), "sft", ["optim_args"]),
        ({"lora": {"layers_pattern": "layers"}}, "lora", ["layers_pattern"]),
        ({"generation": {"cache_implementation": "none such"}}, "generation",
         ["cache_implementation"]),
    ],
)  # fmt: skip
def test_the_arguments_at_fault_are_named(
    asked: dict[str, Any], table: str, names: list[str]
) -> None:
    (found,) = told(**asked)
    assert (found["table"], found["at"], found["names"]) == (table, 0, names)
    assert "Error: " in found["error"]


def test_each_of_several_is_told() -> None:
    """One that wants another is not taken for refused because it stands before it."""
    asked = stage(
        optim_args="fast",
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr": 0.1},
        ddp_backend="gloo",
    )
    assert [found["names"] for found in told(**asked)] == [["optim_args"], ["ddp_backend"]]


def test_the_second_stage_is_the_one() -> None:
    chain = [*stage()["stages"], *stage("dpo", loss_weights=[1.0, 0.5])["stages"]]
    (found,) = told(stages=chain)
    assert (found["table"], found["at"]) == ("dpo", 1)


def test_half_precision_is_asked_for_by_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from dagent.runtime.configuring import training_arguments

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert training_arguments({}, Path("x"), 0)["bf16"] is True
    assert training_arguments({"fp16": True}, Path("x"), 0)["bf16"] is False


TRIED = [(place, word) for place, words in WORDS.items() for word in words]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "word"), TRIED, ids=[f"{n}-{w}" for (_, n), w in TRIED])
def test_every_word_that_the_compiler_lets_pass_trains(
    tiny: Any, tmp_path: Path, place: tuple[str, str], word: str
) -> None:
    config, name = place
    stage = config.removeprefix("trl.").removesuffix("Config").lower()
    args = {
        "max_steps": 1,
        **({"num_generations": 4, "max_completion_length": 2} if stage == "grpo" else {}),
        **({"label_smoothing": 0.1} if word == "exo_pair" else {}),
        name: [word] if (stage, name) == ("dpo", "loss_type") else word,
    }
    tiny.train(tiny.make_student(tmp_path / "base"), tmp_path / "out", (stage, args))


class Refusing:
    """A worker to which the libraries refuse ``tf32``."""

    asked: list[dict[str, Any]]

    def __init__(self, *_: Any) -> None:
        self.asked = []

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def call(self, task: str, progress: Any = None, **request: Any) -> Any:
        assert task == "configure", "nothing else is asked of the worker"
        return [
            {"table": stage["stage"], "at": at, "names": ["tf32"], "error": "ValueError: no GPU"}
            for at, stage in enumerate(request["stages"])
            if stage["args"].get("tf32")
        ]


CHAIN = "train sft { learning_rate = 1e-3 }\ntrain dpo { tf32 = true }\n"
YAML = "train:\n  - stage: sft\n  - stage: dpo\n    tf32: true\n"


@pytest.mark.parametrize("where", ["spec", "imported", "arm"])
def test_nothing_is_done_that_may_cost_and_the_place_is_told(
    stub: Any, tmp_path: Path, where: str
) -> None:
    from dagent.runtime import executor
    from dagent.runtime.store import Store

    spec = stub.SPEC.replace("train sft { learning_rate = 1e-3 }\n", "")
    if where == "imported":
        spec = 'import "chain.yaml"\n' + spec
    elif where == "arm":
        spec += "train dpo { learning_rate = 1e-3 }\n"
        spec += "arms {\n  arm other { set { train.dpo.tf32 = true } }\n}\n"
    else:
        spec += CHAIN
    folder = stub.make_project(tmp_path / "p", spec)
    (folder / "chain.yaml").write_text(YAML)
    compiled = compile(folder / "sums.dagent")
    store = Store(folder / ".dagent/store")
    with pytest.raises(Refused, match="E878") as refused:
        executor.check_configs(compiled.plan.steps, folder, Refusing(), store, compiled.root)
    (found,) = refused.value.diagnostics
    assert found.span is not None
    lines = found.span.source.text.splitlines()
    assert "tf32" in lines[found.span.line - 1]
    assert found.span.text == "true"
    assert "trl.DPOConfig refuses `tf32` here: ValueError: no GPU" in found.message
    assert not list(store.scratch().parent.iterdir())[1:]  # nothing is left behind but this


def test_an_execution_ends_before_its_first_step_that_may_cost(stub: Any, tmp_path: Path) -> None:
    from dagent.runtime.history import events_of

    folder = stub.make_project(
        tmp_path / "p", stub.SPEC.replace("learning_rate = 1e-3", "tf32 = true")
    )
    with pytest.raises(Refused, match="E878"):
        stub.run_project(folder, make_worker=Refusing)
    started = {e["step"] for e in events_of(folder) if e["event"] == "step_started"}
    assert started == {"data.dev", "data.test", "split"}


def test_a_rehearsal_finds_it_too(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dagent.cli import main

    monkeypatch.setattr("dagent.runtime.rehearsal.student.ProcessWorker", Refusing)
    spec = stub.SPEC.replace("learning_rate = 1e-3", "tf32 = true")
    monkeypatch.chdir(stub.make_project(tmp_path / "p", spec))
    assert main(["compile"]) == 0
    assert main(["rehearse"]) == 1
    line = spec.splitlines().index("train sft { tf32 = true }") + 1
    assert f"would break: student: sums.dagent:{line}: E878" in capsys.readouterr().out


def test_plain_arguments_do_not_wait_for_the_imports(stub: Any, tmp_path: Path) -> None:
    folder = stub.make_project(tmp_path / "p")
    assert not [*_requests(compile(folder / "sums.dagent").plan.steps, folder)]


def test_what_several_processes_share_out_is_asked_in_them(stub: Any, tmp_path: Path) -> None:
    text = stub.SPEC.replace('"./student"', '"./student"  accelerate = "two.yaml"')
    text = text.replace("train sft { learning_rate = 1e-3 }", "train grpo { num_generations = 8 }")
    folder = stub.make_project(tmp_path / "p", text)
    two = "distributed_type: MULTI_CPU\nnum_processes: 2\nnum_machines: {}\nuse_cpu: true\n"
    (folder / "two.yaml").write_text(two.format(1))
    plan = compile(folder / "sums.dagent").plan
    (request,) = _requests(plan.steps, folder)
    assert request["accelerate"] == str(folder / "two.yaml")
    (folder / "two.yaml").write_text(two.format(2))
    (request,) = _requests(plan.steps, folder)
    assert "accelerate" not in request
