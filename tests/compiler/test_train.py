"""What a chain of stages becomes in the plan, and what cannot be derived for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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
