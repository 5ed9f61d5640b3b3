"""How long a plan takes, as a user is told: by what was learned here, else by the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.plan import Plan
from dagent.compiler.rates import FILE, MODELS, MOVED, START, foreseen, learned

LM = {"engineer": {"generator": None, "lm": "openai/gpt-4o"}}


@pytest.fixture(autouse=True)
def without_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("sys.platform", "linux")


def keep(folder: Path, plan: Plan, seconds: float) -> None:
    took = {step.id: seconds for step in plan.steps}
    (folder / FILE).parent.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps(learned(plan, took, None)))


def test_what_is_told_lies_within_the_plan_and_is_narrower(project: Any) -> None:
    plan = project.compile().plan
    found = foreseen(plan, project.folder)
    for step in plan.steps:
        if step.id == "r0.evaluate":  # the first to need the worker, which takes its time to start
            assert found.steps[step.id][1] > START
        elif ends := step.estimate.seconds:
            low, likely, high = found.steps[step.id]
            assert ends[0] <= low <= likely <= high <= ends[1]
    low, likely, high = found.whole
    assert high / low < 15
    assert str(found).startswith("time: about ")
    assert "without an accelerator, which the first execution corrects" in str(found)


def test_an_accelerator_is_named_or_found(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {"budget": {"rounds": 1, "per": {"round": {"rows": 100_000}}}}
    here = foreseen(project.compile(many).plan, project.folder).whole[1]
    named = {"student": {"model": "builtin:tiny-python", "device": "1x24GB"}}
    there = foreseen(project.compile({**many, **named}).plan, project.folder)
    assert there.whole[1] < here / 2
    small = foreseen(project.compile(named).plan, project.folder)
    assert small.steps["r1.train"][1] > MOVED["train"], "an accelerator has to warm up"
    assert "for an idle machine with an accelerator" in str(there)


def test_models_take_what_their_endpoint_allows(project: Any) -> None:
    found = foreseen(project.compile(LM).plan, project.folder)
    assert found.mostly == MODELS
    assert f"most of it {MODELS}" in str(found)


def test_of_a_student_of_unknown_size_no_figure_is_made_up(project: Any) -> None:
    plan = project.compile({"student": {"model": "acme/unknown", "revision": "0" * 40}}).plan
    found = foreseen(plan, project.folder)
    assert str(found).startswith("time: not known, since nothing here")
    assert (found.to_json(), found.steps) == (None, {})
    keep(project.folder, plan, 2.0)
    assert str(foreseen(plan, project.folder)).startswith("time: about ")


def test_what_steps_took_is_what_they_are_expected_to_take(project: Any) -> None:
    plan = project.compile().plan
    timed = [step for step in plan.steps if step.estimate.seconds]
    keep(project.folder, plan, 2.0)
    found = foreseen(plan, project.folder)
    assert found.whole[1] == pytest.approx(2.0 * len(timed), rel=0.01)
    assert found.whole[0] < 2.0 * len(timed) < found.whole[2]
    assert "as executions here went" in str(found)


def test_a_program_that_generated_says_nothing_of_a_model_that_will(project: Any) -> None:
    by_models = project.compile(LM).plan
    before = foreseen(by_models, project.folder).steps["r1.generate"]
    keep(project.folder, project.compile().plan, 0.001)
    assert foreseen(by_models, project.folder).steps["r1.generate"] == before
