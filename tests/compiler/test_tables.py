"""The tables of TRL's, PEFT's and transformers' arguments are those of the installed versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version

import pytest

from dagent.compiler import arguments
from dagent.compiler.passes import check_arguments
from dagent.compiler.passes.check_arguments import problem
from dagent.compiler.passes.check_train import SCHEDULES
from dagent.compiler.tables import FILE, Table, table
from dagent.dsl.schema import load

STAGES = load()["properties"]["train"]["items"]["properties"]["stage"]["enum"]
TRL = [table(stage) for stage in STAGES]


@pytest.mark.parametrize(
    ("owned", "tables"),
    [
        (arguments.TRL, TRL),
        (arguments.LORA, [table("lora")]),
        (arguments.GENERATION, [table("generation")]),
        (arguments.SAMPLING, [table("generation")]),
        (arguments.TRAINING, [*TRL, table("lora")]),
    ],
)
def test_what_dagent_says_of_arguments_is_of_some_that_exist(
    owned: Mapping[str, object], tables: list[Table]
) -> None:
    assert set(owned) <= set().union(*(t.arguments for t in tables))


@pytest.mark.parametrize("name", arguments.FORMER)
def test_what_took_an_arguments_place_is_there_and_it_is_not(name: str) -> None:
    assert all(name not in t.arguments for t in TRL)
    assert any(arguments.FORMER[name] in t.arguments for t in TRL)
    (at,) = [t for t in TRL if t.config == "trl.DPOConfig"]
    found = problem(name, 1, at, arguments.TRL)
    assert found
    assert found.code == "E602"
    assert arguments.FORMER[name] in (found.remedy or "")


def test_a_message_names_the_installed_versions_where_they_are_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An argument that came since the tables were made is refused, and the reader sees why."""

    def said(**here: str) -> str:
        monkeypatch.setattr(check_arguments, "installed", lambda names: here)
        found = problem("brand_new", 1, table("sft"), arguments.TRL)
        assert found
        return found.message

    known = table("sft").versions
    assert f"transformers {known['transformers']}" in said(**known)
    assert "installed" not in said(**known)
    assert "installed" not in said()  # compiling needs none of them
    assert said(**{**known, "transformers": "99.1"}).endswith("; installed: transformers 99.1)")


def test_a_stage_has_its_own_arguments_and_the_shared_ones() -> None:
    assert table("grpo").config == "trl.GRPOConfig"
    assert table("gkd").config == "trl.experimental.gkd.GKDConfig"
    assert table("grpo").arguments["num_generations"].types == ("integer", "null")
    assert "num_generations" not in table("sft").arguments
    for found in TRL:
        assert found.arguments["learning_rate"].types == ("number",)
        assert "cosine" in found.arguments["lr_scheduler_type"].choices


def test_types_of_lists_and_of_python_classes() -> None:
    assert table("lora").arguments["target_modules"].types == ("null", "string", "string[]")
    assert table("generation").arguments["bad_words_ids"].types == ("integer[][]",)
    assert table("generation").arguments["compile_config"].types == ("CompileConfig",)


@pytest.mark.slow
def test_tables_match_what_is_installed() -> None:
    pytest.importorskip("trl")
    from dagent.compiler.build_tables import build, dumps

    body = json.loads(FILE.read_text(encoding="utf-8"))
    if {package: version(package) for package in body["versions"]} != body["versions"]:
        pytest.skip("other versions are installed; `dagent.compiler.build_tables` updates")
    assert dumps(build()) + "\n" == FILE.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [("top_p", 1.5), ("top_k", 0), ("temperature", 0.0)])
def test_transformers_refuses_what_the_bounds_refuse(name: str, value: float) -> None:
    transformers = pytest.importorskip("transformers")
    warper = {
        "top_p": transformers.TopPLogitsWarper,
        "top_k": transformers.TopKLogitsWarper,
        "temperature": transformers.TemperatureLogitsWarper,
    }[name]
    with pytest.raises(ValueError, match=name):
        warper(value)


def test_bounds_of_one_stage_are_of_a_stage_that_is_there() -> None:
    known = {t.config: t for t in TRL}
    assert all(name in known[config].arguments for config, name in arguments.OF_STAGE)


def test_schedules_that_want_more_are_some_of_transformers() -> None:
    assert set(SCHEDULES) <= set(table("sft").arguments["lr_scheduler_type"].choices)
