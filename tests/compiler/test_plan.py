"""The plan: same meaning, same bytes; a change changes what it should and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import dagent.specs
from dagent.compiler.digests import derived_seed
from dagent.compiler.kinds import KINDS
from dagent.compiler.pipeline import compile
from dagent.compiler.plan import Plan, dumps, from_json, input_step
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.fmt import format_source
from dagent.dsl.parse import read

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart" / "quickstart.dagent"
GOLDEN = Path(__file__).with_name("golden.plan.json")


def changed(old: Plan, new: Plan) -> set[str]:
    """Steps whose key is new, without their round."""
    known = {step.key for step in old.steps}
    names = {step.id for step in new.steps if step.key not in known}
    return {name.split(".", 1)[1] if name[0] == "r" and "." in name else name for name in names}


# --- the same meaning, the same bytes -----------------------------------------------------------


def test_twins_in_both_syntaxes(project: Any) -> None:
    path = project.spec(project.GUARD)
    text = format_source(read(path), Diagnostics(), "dagent")
    assert text is not None
    twin = project.text(text, "twin.dagent")
    assert dumps(compile(path).plan) == dumps(compile(twin).plan)


def test_the_quickstart_and_its_yaml_twin(tmp_path: Path) -> None:
    text = format_source(read(QUICKSTART), Diagnostics(), "yaml")
    assert text is not None
    for name in ("dev.jsonl", "test.jsonl", "programs.py"):
        (tmp_path / name).write_bytes((QUICKSTART.parent / name).read_bytes())
    twin = tmp_path / "anything.yaml"
    twin.write_text(text, encoding="utf-8")
    assert dumps(compile(QUICKSTART).plan) == dumps(compile(twin).plan)


def test_comments_spaces_and_the_order_of_keys_change_nothing(project: Any) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(v) for v in value] if isinstance(value, list) else value

    path = project.spec(project.GUARD)
    plan = dumps(compile(path).plan)
    document = json.loads(path.read_text())
    other = project.text("# a comment\n" + json.dumps(turned(document)), "other.yaml")
    assert dumps(compile(other).plan) == plan


def test_another_process_folder_and_hash_seed_give_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from dagent.compiler.pipeline import compile\n"
        "from dagent.compiler.plan import dumps\n"
        "sys.stdout.write(dumps(compile(Path(sys.argv[1])).plan))"
    )
    texts = set()
    for folder, seed in ((QUICKSTART.parent, "1"), (tmp_path, "2")):
        name = os.path.relpath(QUICKSTART, folder)
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        texts.add(
            subprocess.run(
                [sys.executable, "-c", code, name],
                cwd=folder,
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
    assert texts == {dumps(compile(QUICKSTART).plan)}


def test_golden(project: Any) -> None:
    """The whole plan of a small spec. ``UPDATE_EXPECT=1`` writes it anew; review reads the diff."""
    change = {"budget": {"rounds": 1}, **project.GUARD}
    text = dumps(project.compile(change).plan)
    if os.environ.get("UPDATE_EXPECT"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


# --- what it says -------------------------------------------------------------------------------


def test_the_plan_keeps_to_its_schema_and_reads_back(project: Any) -> None:
    schema = json.loads((Path(dagent.specs.__path__[0]) / "plan.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    plan = project.compile(project.GUARD).plan
    jsonschema.validate(json.loads(dumps(plan)), schema)
    assert dumps(from_json(json.loads(dumps(plan)))) == dumps(plan)
    kinds = schema["definitions"]["step"]["properties"]["kind"]["enum"]
    assert set(kinds) == set(KINDS)


def test_every_reference_names_an_output_of_an_earlier_step(project: Any) -> None:
    done: dict[str, str] = {}
    for step in project.compile(project.GUARD).plan.steps:
        kind = KINDS[step.kind]
        assert set(kind.inputs) <= set(step.inputs), step.id
        for reference in step.inputs.values():
            source, output = reference.rsplit("/", 1)
            assert output in KINDS[done[source]].outputs, reference
        assert set(step.after) <= set(done)
        done[step.id] = step.kind


def test_no_agent_sees_select_or_test(project: Any) -> None:
    """Only evaluation reads the select half, and only decontamination sees test before the end."""
    plan = project.compile().plan
    for step in plan.steps:
        for name, reference in step.inputs.items():
            if reference == "split/select":
                assert step.kind == "evaluate"
            if reference == "data.test/rows":
                assert step.kind == "evaluate" or name == "against.test"
                assert step.kind == "decontaminate" or step.id.startswith("test.")
    last = f"r{plan.rounds}.gate"
    assert last in plan.step("test.base").after
    assert input_step(plan.step("test.champion").inputs["model"]) == last


def test_no_path_of_the_machine_and_no_file_name_of_the_spec(project: Any) -> None:
    compiled = project.compile()
    assert str(project.folder) not in dumps(compiled.plan) + json.dumps(compiled.lock)
    assert "spec.yaml" not in dumps(compiled.plan)


def test_budget_and_settings(project: Any) -> None:
    change = {"budget": {"wall": "2h", "calls": "1k", "per": {"generator": {"calls": 900}}}}
    plan = project.compile(change).plan
    assert plan.budget == {
        "run": {"rounds": 2, "wall": 7200, "calls": 1000},
        "round": {"rows": 100},
        "generator": {"calls": 900},
    }
    assert plan.settings["train.sft.learning_rate"] == 0.001
    assert all(isinstance(v, str | int | float | bool) for v in plan.settings.values())


def test_rows_of_a_round_are_its_share_of_the_whole(project: Any) -> None:
    plan = project.compile({"budget": {"per": None, "rows": "1k rows"}}).plan
    assert plan.step("r1.plan").params["rows"] == 500


# --- what a change changes ----------------------------------------------------------------------

AFTER_TRAIN = {"train", "evaluate", "gate", "test.champion", "result"}
ROUND = AFTER_TRAIN | {
    "diagnose", "plan", "generate", "verify", "dedupe", "decontaminate", "mix"
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ({"train": [{"stage": "sft", "learning_rate": 0.002}]}, AFTER_TRAIN),
        ({"engineer": {"prefer_wrong": 0.5}}, {"mix", *AFTER_TRAIN}),
        ({"criteria": {"require": ["accuracy >= 0.5 on test"]}}, {"result"}),
        ({"criteria": {"gate": {"alpha": 0.01}}}, {*ROUND, "test.base"}),
        ({"budget": {"calls": "9k calls"}}, set()),
        ({"domain": {"name": "other"}}, set()),
    ],
)
def test_a_change_of_round_one_changes(
    project: Any, change: dict[str, Any], steps: set[str]
) -> None:
    """Of one round only: later rounds take everything from the first gate."""
    once = {"budget": {"rounds": 1}}
    before = project.compile(once).plan
    after = project.compile(project.join(once, change)).plan
    assert changed(before, after) - {"test.base"} == steps - {"test.base"}


def test_the_seed_leaves_data_student_and_base_on_test_alone(project: Any) -> None:
    before, after = project.compile().plan, project.compile(None, "seed=1").plan
    same = {"data.dev", "data.test", "student", "test.base"}
    assert {s.id for s in after.steps if before.step(s.id).key == s.key} == same


def test_a_changed_row_or_program_changes_the_plan(project: Any) -> None:
    before = project.compile().plan
    program = project.folder / "programs.py"
    program.write_text(program.read_text() + "# changed\n")
    middle = project.compile().plan
    assert "diagnose" not in changed(before, middle) - {"diagnose"}
    assert before.step("r1.plan").key == middle.step("r1.plan").key
    assert before.step("r1.generate").key != middle.step("r1.generate").key
    dev = project.folder / "dev.jsonl"
    dev.write_text(dev.read_text().replace('"answer": "3"', '"answer": "4"'))
    assert middle.step("data.dev").key != project.compile().plan.step("data.dev").key


def test_seeds_are_apart() -> None:
    seeds = {derived_seed(s, p, r) for s in range(5) for p in ("mix", "train") for r in range(9)}
    assert len(seeds) == 90
    assert all(0 <= seed < 2**31 for seed in seeds)


AGENTS = ("diagnose", "plan", "generate", "verify", "refine", "author", "optimise", "calibrate")
ALL_ROLES = {role: {"lm": "openai/gpt-4o"} for role in ("diagnoser", "planner", "verifier")}
WHO = {
    "programs": {},
    "models": {
        "generator": None,
        "lm": "openai/gpt-4o",
        **ALL_ROLES,
        "refiner": {"lm": "openai/gpt-4o"},
        "optimise": {
            role: {"optimiser": "bootstrap"}
            for role in ("diagnoser", "planner", "generator", "verifier", "refiner")
        },
    },
    "author": {"generator": None, "strategy": "program", "lm": "openai/gpt-4o"},
}


@pytest.mark.parametrize("who", WHO)
def test_no_step_of_an_agent_is_handed_a_row_of_select_test_or_a_guard(
    project: Any, who: str
) -> None:
    """Nor answers to them, nor the rows that were removed for being like them."""
    plan = project.compile(project.join(project.GUARD, {"engineer": WHO[who]})).plan
    steps = {step.id: step for step in plan.steps}

    def hidden(reference: str) -> bool:
        name, output = reference.rsplit("/", 1)
        kind = steps[name].kind
        return (
            name in ("data.dev", "data.test", "data.old")
            or output in ("select", "leaks")
            or kind in ("evaluate", "benchmark", "result")
            or (kind == "gate" and output in ("answers", "decision"))
        )

    agents = [step for step in plan.steps if step.kind in AGENTS]
    handed = {(step.id, ref) for step in agents for ref in step.inputs.values()}
    assert len({step.kind for step in agents}) >= 2
    assert any(ref == "split/diagnose" for _, ref in handed)
    assert [each for each in sorted(handed) if hidden(each[1])] == []
