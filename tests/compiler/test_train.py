"""What a chain of stages becomes in the plan, and what cannot be derived for it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from dagent.compiler.blocks import read_spec
from dagent.compiler.passes.check_train import check_train
from dagent.compiler.plan import dumps
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.parse import parse, read

TEACHER = {"stage": "gkd", "teacher_model_name_or_path": "./model"}


def test_a_train_step_holds_what_its_stages_learn_from_and_no_more(project: Any) -> None:
    plain = project.compile().plan.step("r1.train")
    chain = {"train": [{"stage": "sft"}, {"stage": "dpo", "beta": 0.2}]}
    graded = project.compile(chain).plan.step("r1.train")
    assert set(graded.params) - set(plain.params) == {"metric", "answering"}
    assert graded.params["stages"][1] == {"stage": "dpo", "args": {"beta": 0.2}}
    assert graded.params["metric"]["grader"] == "exact"


def test_a_teacher_is_a_step_that_pins_it(project: Any) -> None:
    compiled = project.compile({"train": [{"stage": "sft"}, TEACHER]})
    train = compiled.plan.step("r1.train")
    (fetch,) = {train.inputs["teacher.2"].partition("/")[0]}
    assert compiled.plan.step(fetch).params["sha256"]
    assert "./model" not in dumps(compiled.plan).split('"r1.train"')[1].split('"stages"')[1][:80]
    (project.folder / "other").mkdir()
    for file in (project.folder / "model").iterdir():
        (project.folder / "other" / file.name).write_bytes(file.read_bytes() + b" ")
    other = {**TEACHER, "teacher_model_name_or_path": "./other"}
    compiled = project.compile({"train": [{"stage": "sft"}, other]})
    assert set(compiled.lock["models"]) == {"./model", "./other"}
    assert compiled.plan.step("r1.train").key != train.key


def test_stages_that_learn_from_verdicts_need_a_grader_that_gives_them(project: Any) -> None:
    chain = {"train": [{"stage": "sft"}, {"stage": "kto"}, {"stage": "grpo"}]}
    root = parse(read(project.spec(chain)), Diagnostics())
    assert root is not None
    spec = read_spec(root, Diagnostics())
    (metric,) = spec.criteria.metrics
    judged = replace(spec.criteria, metrics=(replace(metric, grader="judge"),))
    found = Diagnostics()
    check_train(replace(spec, criteria=judged), project.folder, Settings(), found)
    assert [(d.code, d.span and d.span.text) for d in found] == [
        ("E642", '"kto"'),
        ("E642", '"grpo"'),
    ]


def test_a_chain_is_expected_to_take_longer_than_its_first_stage(project: Any) -> None:
    def high(*stages: str) -> float:
        chain = {"train": [{"stage": stage} for stage in stages]}
        estimate: tuple[float, float] = (
            project.compile(chain).plan.step("r1.train").estimate.seconds
        )
        return estimate[1]

    assert high("sft") < high("sft", "sft") < high("sft", "dpo") < high("sft", "grpo")


TWO = """\
distributed_type: {kind}
num_machines: {machines}
num_processes: {processes}
"""


def test_an_accelerate_config_is_locked_and_reaches_the_training(project: Any) -> None:
    project.text(TWO.format(kind="FSDP", machines=1, processes=2), "two.yaml")
    change = {"student": {"accelerate": "two.yaml"}}
    made = project.compile(change)
    digest = made.plan.step("r1.train").params["accelerate"]["sha256"]["two.yaml"]
    assert made.lock["accelerate"] == {"two.yaml": digest}
    assert "accelerate" not in project.compile().plan.step("r1.train").params
    project.text(TWO.format(kind="FSDP", machines=1, processes=4), "two.yaml")
    again = project.compile(change)
    assert again.plan.step("r1.train").key != made.plan.step("r1.train").key
    assert again.plan.step("r0.evaluate").key == made.plan.step("r0.evaluate").key


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nothing: 1", "no `distributed_type`"),
        ("- a list", "no `distributed_type`"),
        (TWO.format(kind="MEGATRON_LM", machines=1, processes=2), "`MEGATRON_LM`"),
        (TWO.format(kind="MULTI_GPU", machines=1, processes=-1), "counts"),
        (TWO.format(kind="MULTI_GPU", machines=2, processes=3), "do not share out"),
        (TWO.format(kind="MULTI_GPU", machines=2, processes=4), "`main_process_ip`"),
    ],
)
def test_an_accelerate_config_that_cannot_launch(project: Any, text: str, says: str) -> None:
    project.text(text, "config.yaml")
    change = {"student": {"accelerate": "config.yaml"}}
    (found,) = [d for d in project.found(change) if d.severity == "error"]
    assert found.code == "E609"
    assert says in found.message


def test_four_bits_are_not_sharded(project: Any) -> None:
    project.text(TWO.format(kind="DEEPSPEED", machines=1, processes=2), "config.yaml")
    change = {"student": {"accelerate": "config.yaml", "adapter": "qlora"}}
    assert project.codes(change) == ["E609"]


def test_trusted_code_is_said_aloud_and_locked(project: Any) -> None:
    code = project.folder / "model" / "modeling.py"
    code.write_text("import torch\n")
    change = {"student": {"trust_remote_code": True}}
    made = project.compile(change)
    assert [d.code for d in made.warnings if "all your rights" in d.message] == ["E615"]
    locked = made.lock["models"]["./model"]
    assert locked["trust_remote_code"] is True
    assert made.plan.settings["student.trust_remote_code"] is True
    code.write_text("import os\n")
    assert project.compile(change).lock["models"]["./model"]["sha256"] != locked["sha256"]
    assert "trust_remote_code" not in project.compile().lock["models"]["./model"]


def test_trust_in_nothing_is_refused(project: Any) -> None:
    assert project.codes({"student": {"trust_remote_code": True}}) == ["E606"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lr", "it is called `learning_rate` here"),
        ("micro_batch_size", "it is called `per_device_train_batch_size` here"),
        ("epochs", "did you mean `num_train_epochs`?"),
        ("warmup_ratio", "`warmup_steps` took its place"),
    ],
)
def test_a_name_from_elsewhere_leads_to_that_of_trl(project: Any, written: str, meant: str) -> None:
    found = project.found({"train": [{"stage": "sft", written: 1}]})
    assert [d.suggestion for d in found if d.code == "E602"] == [meant]
