"""Arms: every variant is planned, what they have in common once, and equal cost is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dagent.cli import main
from dagent.compiler.arms import CONTROLS
from dagent.compiler.pipeline import Compiled
from dagent.compiler.plan import Plan, alone, dumps, from_json, to_json, users
from dagent.dsl.diagnostics import Diagnostic

VERIFIED = {"engineer": {"verifier": {"program": "programs.py:verify"}}}


def arms(*names: str, seeds: tuple[int, ...] = (1, 2), **overrides: Any) -> dict[str, Any]:
    named: dict[str, Any] = {name: {"control": name} for name in names}
    named |= {name: {"set": values} for name, values in overrides.items()}
    return {"arms": {"seeds": list(seeds), **({"arm": named} if named else {})}}


def check(project: Any, changes: Any) -> list[Diagnostic]:
    """What is found, but for the warning that the project's few rows earn."""
    return [d for d in project.found(changes) if d.code != "E509"]


def plan(project: Any, *changes: Any) -> Plan:
    spec: Any = {}
    for change in changes:
        spec = project.join(spec, change)
    compiled: Compiled = project.compile(spec)
    return compiled.plan


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"seed": 7, "arms": {"seeds": [1, 2]}}, ["E526"]),
        ({"seed": 2, "arms": {"seeds": [1, 2]}}, []),
        ({"seed": 7, "arms": {"arm": {"uniform": {"control": "uniform"}}}}, []),
    ],
)
def test_a_seed_beside_the_seeds_of_arms_is_one_of_them(
    project: Any, changes: Any, codes: list[str]
) -> None:
    assert [d.code for d in check(project, changes)] == codes


def test_a_variant_has_the_plan_that_it_would_have_alone(project: Any) -> None:
    whole = plan(project, arms("uniform"))
    apart = plan(
        project, {"seed": 2, "engineer": {"planner": {"policy": "uniform"}, "prefer_wrong": 0}}
    )
    assert {s.id: s.key for s in alone(whole, "uniform/s2").steps} == {
        s.id: s.key for s in apart.steps
    }


def test_all_arms_of_a_seed_measure_the_base_once(project: Any) -> None:
    whole = plan(project, VERIFIED, arms(*CONTROLS))
    needed = users(whole)
    assert len(whole.variants) == 2 * (1 + len(CONTROLS))
    assert [s.id for s in whole.steps if s.id.endswith("r0.evaluate")] == [
        "s1/r0.evaluate",
        "s2/r0.evaluate",
    ]
    assert len(needed["s1/r0.evaluate"]) == 1 + len(CONTROLS)
    # The test set is asked once of the base, whatever the seed.
    assert len(needed["test.base"]) == len(whole.variants)
    assert whole.merged > 0
    assert len({s.key for s in whole.steps}) == len(whole.steps)


def test_controls_cost_what_the_loop_costs(project: Any) -> None:
    loop, *others = plan(project, VERIFIED, arms(*CONTROLS)).arms
    assert (loop.rows, loop.calls, loop.trainings) == (200, 400, 2)
    for arm in others:
        assert (arm.rows, arm.calls, arm.trainings) == (200, 400, 2), arm.name
        assert arm.settings, "a control changes something"


def test_unequal_cost_is_told(project: Any) -> None:
    (warning,) = check(project, arms(many={"engineer.candidates": 4}))
    assert (warning.code, warning.severity) == ("E524", "warning")
    assert "800 calls" in warning.message
    (warning,) = check(project, {**arms("uniform"), "criteria": {"stop": {"patience": 1}}})
    assert warning.code == "E525"


def test_test_is_opened_after_the_last_gate_of_every_arm(project: Any) -> None:
    steps = plan(project, arms("uniform", "blind")).steps
    gates = [i for i, s in enumerate(steps) if s.kind == "gate"]
    opened = [i for i, s in enumerate(steps) if s.params.get("set") == "test"]
    assert max(gates) < min(opened)


def test_a_blind_planner_gets_no_diagnosis_and_nobody_makes_one(project: Any) -> None:
    whole = plan(project, arms("blind", seeds=(1,)))
    by_id = {s.id: s for s in whole.steps}
    assert by_id["blind/s1/r2.plan"].inputs == {}
    assert "blind/s1/r2.diagnose" not in by_id


def test_overrides_are_written_either_way_and_mean_the_same(project: Any) -> None:
    dotted = plan(project, arms(x={"engineer.cap": 0.5, "train.sft.learning_rate": 0.1}))
    nested = plan(project, arms(x={"engineer": {"cap": 0.5}, "train.sft": {"learning_rate": 0.1}}))
    assert dumps(dotted) == dumps(nested)
    assert dotted.arms[1].settings == {"engineer.cap": 0.5, "train.sft.learning_rate": 0.1}


def test_a_plan_with_arms_is_read_back(project: Any) -> None:
    whole = plan(project, arms("uniform"))
    assert from_json(json.loads(dumps(whole))) == from_json(to_json(whole))
    assert from_json(to_json(whole)).id == whole.id


def test_seeds_alone_repeat_the_loop(project: Any) -> None:
    assert [v.id for v in plan(project, arms(seeds=(3, 4))).variants] == ["loop/s3", "loop/s4"]


@pytest.mark.parametrize(
    ("block", "code", "text"),
    [
        ({"arm": {"loop": {"control": "uniform"}}}, "E520", '"loop"'),
        ({"arm": {"x": {"set": {"train.dpo.beta": 1}}}}, "E521", '"train.dpo.beta"'),
        ({"arm": {"x": {"set": {"engineer": 3}}}}, "E521", '"engineer"'),
        ({"arm": {"x": {"set": {"budget.rounds": 9}}}}, "E522", '"budget.rounds"'),
        ({"arm": {"x": {"set": {"criteria.metric.accuracy.grader": "choice"}}}}, "E522", None),
        ({"arm": {"x": {"set": {"engineer.candidates": 2}}}}, "E523", '"x"'),
        ({"arm": {"x": {"set": {"engineer.candidats": 2}}}}, "E101", '"engineer.candidats"'),
        ({"arm": {"x": {"set": {"engineer.cap": "2 USD"}}}}, "E203", None),
        ({"arm": {"x": {"control": "unifrom"}}}, "E106", None),
        ({"arm": {"x": {"set": {"train.sft.lerning_rate": 1}}}}, "E602", None),
    ],
)
def test_a_wrong_arm_is_refused_at_its_place(
    project: Any, block: Any, code: str, text: str | None
) -> None:
    found = check(project, {"arms": block})
    assert [d.code for d in found] == [code]
    assert text is None or (found[0].span and found[0].span.text == text)


def test_the_commands_speak_of_arms(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    project.spec(arms("uniform", "blind"))
    assert main(["compile"]) == 0
    said = capsys.readouterr().out
    assert "equal for all arms: rows, calls and trainings" in said
    assert "steps are not done twice" in said
    assert main(["show"]) == main(["show", "blind/s2/r1.train"]) == 0
    assert main(["graph", "--variant", "blind/s2"]) == 0
    assert main(["graph", "--variant", "blnd/s2"]) == 1
    assert "did you mean `blind/s2`" in capsys.readouterr().err

    (project.folder / "dagent.plan.json").rename(project.folder / "old.json")
    changed = project.join(arms("uniform", "blind"), {"train": [{"stage": "sft"}]})
    project.spec(changed)
    assert main(["diff", "old.json"]) == 0
    said = capsys.readouterr().out
    assert said.count("learning_rate: 0.001 -> nothing") == 1
    assert "r1…r2.train, 6 times over arms and seeds" in said


def test_a_variant_compiled_alone_is_that_of_the_whole_and_stays_fresh(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = plan(project, arms("uniform"))
    monkeypatch.chdir(project.folder)
    assert main(["compile", "--variant", "uniform/s2"]) == 0
    apart = from_json(json.loads((project.folder / "dagent.plan.json").read_text()))
    assert {s.id: s.key for s in apart.steps} == {
        s.id: s.key for s in alone(whole, "uniform/s2").steps
    }
    assert not apart.variants
    assert main(["execute", "--dry-run"]) == 0  # compiled anew, it is the same variant's plan
    capsys.readouterr()
    assert main(["compile", "--variant", "unifrom/s2"]) == 1
    assert "did you mean `uniform/s2`?" in capsys.readouterr().err
