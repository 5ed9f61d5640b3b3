"""Example configs of Axolotl, LLaMA-Factory and Oumi, as `dagent init --from` takes them.

The fixtures are those projects' own, under the Apache License 2.0; each names its source. `data`
holds rows in the layouts that their documentation describes, with a config for each.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagent.cli import main
from dagent.compiler.pipeline import check
from dagent.dsl.diagnostics import Diagnostics, Refused
from dagent.dsl.document import plain
from dagent.dsl.parse import parse
from dagent.dsl.source import Source
from dagent.importers.spec import TOOLS, Imported, read_config

HERE = Path(__file__).parent
FIXTURES = HERE / "fixtures"
CONFIGS = sorted(FIXTURES.glob("*/*.yaml"))
# What the user must add: rows to measure on, and who makes the rows to train on.
TO_ADD = {("E301", "dev.jsonl"), ("E301", "test.jsonl"), ("E311", "programs.py")}


def imported(name: str, change: str = "") -> Imported:
    path = FIXTURES / name
    return read_config(Source(path.name, path.read_text() + change), None, "dagent")


def document(made: Imported) -> dict[str, Any]:
    diagnostics = Diagnostics()
    root = parse(Source("spec.dagent", made.text), diagnostics)
    assert root is not None
    assert not diagnostics.has_errors
    found: dict[str, Any] = plain(root)
    return found


@pytest.mark.parametrize("yaml", [[], ["--yaml"]], ids=["dagent", "yaml"])
@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_config_becomes_a_spec_that_lacks_only_what_is_marked(
    config: Path,
    yaml: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "new", "--from", str(config), *yaml]) == 0
    said = capsys.readouterr().out
    monkeypatch.chdir(tmp_path / "new")
    (spec,) = Path().glob("spec.dagent" if not yaml else "spec.yaml")
    assert main(["fmt", "--check"]) == 0
    text = spec.read_text()
    errors = [d for d in check(spec) if d.severity == "error"]
    found = document(read_config(Source(config.name, config.read_text()), None, "dagent"))
    unpinned = {("E323", data["hub"]) for data in found["data"].values() if "hub" in data}
    assert {(d.code, d.message.split("`")[1]) for d in errors} == TO_ADD | unpinned
    assert text.count("TODO") >= 5
    for line in said.splitlines():  # what is said on the screen stands in the spec
        if line.startswith("  "):
            assert line.strip() in text


def test_axolotl() -> None:
    made = imported("axolotl/qlora-1b.yaml")
    found = document(made)
    assert found["student"]["model"] == "NousResearch/Llama-3.2-1B"
    assert found["student"]["lora"]["r"] == 32
    assert found["student"]["lora"]["target_modules"][0] == "gate_proj"
    (train,) = found["train"]
    assert (train["max_length"], train["packing"]) == (2048, True)
    assert train["per_device_train_batch_size"] == 2
    assert train["gradient_accumulation_steps"] == 4
    assert (train["optim"], train["lr_scheduler_type"]) == ("adamw_bnb_8bit", "cosine")
    assert train["learning_rate"] == 2e-4
    assert train["warmup_steps"] == 0.1  # a ratio of Axolotl's is a fraction of steps in TRL
    assert train["activation_checkpointing"] is True
    assert found["data"]["GPT4-LLM-Cleaned"] == {
        "role": "seed",
        "hub": "teknium/GPT4-LLM-Cleaned",
        "split": "train",
        "columns": {"prompt": "instruction", "answer": "output"},
        "mix": True,
    }
    assert "val_set_size" in made.lost
    assert "bf16" not in train  # `auto` is what dagent does by itself


def test_axolotl_of_other_methods() -> None:
    dpo = document(imported("axolotl/instruct-dpo-lora-8b.yaml"))
    assert dpo["train"][0]["stage"] == "dpo"
    assert dpo["student"]["lora"]["target_modules"] == "all-linear"
    orpo = imported("axolotl/mistral-qlora-orpo.yaml")
    assert document(orpo)["train"][0]["stage"] == "orpo"
    assert document(orpo)["train"][0]["beta"] == 0.1


def test_llama_factory_with_what_it_does_unasked() -> None:
    made = imported("llama-factory/qwen3_lora_sft.yaml", "packing: false\nneftune_noise_alpha: 5\n")
    found = document(made)
    lora = {"r": 8, "target_modules": "all-linear", "lora_alpha": 16}
    assert found["student"]["lora"] == lora  # alpha is twice the rank where nothing is said
    (train,) = found["train"]
    assert train["max_length"] == 2048
    assert train["learning_rate"] == 1e-4
    assert train["neftune_noise_alpha"] == 5
    assert train["activation_checkpointing"] is True  # on unless disabled
    assert "dataset alpaca_en_demo" in made.lost
    assert "chat template" in made.lost["template"]


def test_oumi_with_what_it_does_unasked() -> None:
    found = document(imported("oumi/phi3_kto.yaml"))
    assert found["train"][0]["stage"] == "kto"
    assert found["train"][0]["learning_rate"] == 5e-5
    assert found["student"]["lora"]["r"] == 8
    whole = imported("oumi/gpt2_pretraining.yaml")
    assert "lora" not in document(whole)["student"]
    assert document(whole)["train"][0]["packing"] is True
    assert "model.load_pretrained_weights" in whole.lost


@pytest.mark.parametrize("config", CONFIGS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_key_without_a_place_is_named(config: Path) -> None:
    made = read_config(Source("c.yaml", config.read_text() + "frobnicate: 3\n"), None, "dagent")
    assert made.tool.lower() == config.parent.name
    assert "frobnicate" in made.lost
    assert "output_dir" in " ".join(made.lost)


def test_an_argument_that_the_stage_has_not_is_taken_out() -> None:
    made = imported("axolotl/instruct-dpo-lora-8b.yaml", "optimizer_: 1\nneat: 2\n")
    assert "DPOConfig has no argument `packing`" in made.lost["train.packing"]


@pytest.mark.parametrize(
    ("text", "tool", "code"),
    [
        ("services: {web: {image: nginx}}", None, "E620"),
        ("", None, "E003"),
        ("base_model: m", "oumi", "E620"),
        ("model_name_or_path: m\nstage: ppo", None, "E621"),
        ("base_model: m\nrl: simpo", None, "E621"),
        ("base_model: m\npretraining_dataset: [{path: a/b}]", None, "E621"),
        ("model: {model_name: m}\ntraining: {trainer_type: trl_gold}", None, "E621"),
        ("base_model: [", None, "E030"),
    ],
)
def test_what_cannot_be_taken(text: str, tool: str | None, code: str) -> None:
    with pytest.raises(Refused) as caught:
        read_config(Source("c.yaml", text), tool, "dagent")
    assert [found.code for found in caught.value.diagnostics] == [code]


def test_the_formats_of_the_command_are_the_tools() -> None:
    assert set(TOOLS) == {path.name for path in FIXTURES.iterdir() if path.is_dir()}
    with pytest.raises(SystemExit):
        main(["init", "new", "--from", "x.yaml", "--from-format", "unsloth"])


def test_nothing_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.dagent").write_text("seed = 1\n")
    assert main(["init", "--from", str(CONFIGS[0])]) == 1
    assert (tmp_path / "spec.dagent").read_text() == "seed = 1\n"
    assert main(["init", "new", "--from", "none.yaml"]) == 1


def test_llama_factory_names_what_is_not_at_hand(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    info = {
        "hub": {"hf_hub_url": "owner/rows", "subset": "main", "num_samples": 50},
        "talk": {"hf_hub_url": "owner/talk", "formatting": "sharegpt"},
        "coded": {"script_url": "made"},
        "folder": {"file_name": "rows"},
    }
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(info))
    folder = tmp_path / "examples" / "train_lora"
    folder.mkdir(parents=True)
    names = ", ".join([*info, "unknown"])
    config = f"model_name_or_path: owner/model\nstage: sft\ndataset: {names}\n"
    made = read_config(Source(str(folder / "llama3.yaml"), config), None, "dagent")
    data = document(made)["data"]
    assert (data["hub"]["hub"], data["hub"]["config"], data["hub"]["split"]) == (
        *("owner/rows", "main"),
        "train",
    )
    assert set(data) == {"dev", "test", "hub"}
    for name in ("talk", "coded", "folder", "unknown"):
        assert f"dataset {name}" in made.lost


def test_llama_factory_brings_its_rows() -> None:
    made, rows = brought("llama-factory")
    assert rows["alpaca_demo.jsonl"][0] == ("Name the capital.\nFrance", "Paris")
    assert rows["turns_demo.jsonl"] == [("Is seven prime?", "Yes"), ("Is nine prime?", "No")]
    assert rows["messages_demo.jsonl"][0] == (
        "You route tickets.\n\nNo invoice came.",
        "billing",
    )
    assert rows["kto_demo.jsonl"] == [("2+2?", "4")]
    assert rows["named_demo.jsonl"][0] == ("Which team?\nNo invoice came.", "billing")
    assert document(made)["data"]["messages_demo"] == {
        "role": "seed",
        "path": "messages_demo.jsonl",
        "sample": 1,
        "mix": True,
    }
    assert {name for name in made.lost if name.startswith("dataset ")} == {
        "dataset seen_demo",
        "dataset absent_demo",
        "dataset pairs_demo",
    }
    assert set(made.remarks) >= {
        "alpaca_demo: 1 of 4 rows left out, without a question or without an answer: 4",
        "turns_demo: 1 of 4 conversations cut after their first exchange",
        "turns_demo: 1 of 4 rows left out, with tools to call: 3",
        "turns_demo: 1 of 4 rows left out, not a question and then its answer: 4",
        "messages_demo: 1 of 3 rows left out, a turn that is not of text alone: 3",
        "kto_demo: 1 of 2 rows left out, marked as wrong answers: 2",
    }


def test_axolotl_brings_its_rows() -> None:
    made, rows = brought("axolotl")
    assert rows["alpaca.jsonl"] == [
        ("Name the capital.\nFrance", "Paris"),
        ("Be brief.\n\nCount to three.", "1 2 3"),
        ("Name the capital of France.", "Paris"),
    ]
    assert rows["sharegpt.jsonl"][1] == ("Answer in one word.\n\nIs nine prime?", "No")
    assert len(rows["messages.jsonl"]) == 2
    assert rows["named.jsonl"][1] == ("What is 1+1?", "2")
    assert {name for name in made.lost if name.startswith("datasets")} == {
        "datasets[4]",  # ShareGPT's turns on the hub
        "datasets[5]",  # raw text
    }


def test_oumi_brings_its_rows() -> None:
    made, rows = brought("oumi")
    assert (len(rows["messages.jsonl"]), len(rows["alpaca.jsonl"])) == (2, 3)
    data = document(made)["data"]
    assert data["alpaca"]["sample"] == 2
    assert (data["alpaca-cleaned"]["hub"], data["alpaca-cleaned"]["config"]) == (
        "yahma/alpaca-cleaned",
        "main",
    )


def brought(tool: str) -> tuple[Imported, dict[str, list[tuple[str, str]]]]:
    """The import of a config beside which its rows lie, and these rows by file."""
    path = HERE / "data" / f"{tool}.yaml"
    made = read_config(Source(str(path), path.read_text()), None, "dagent")
    found = {}
    for name, text in made.files.items():
        rows = [json.loads(line) for line in text.splitlines()]
        found[name] = [(row["prompt"], row["answer"]) for row in rows]
        assert name in {data.get("path") for data in document(made)["data"].values()}
    return made, found


def test_the_rows_stand_beside_the_spec_and_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(HERE / "data" / "llama-factory.yaml")
    assert main(["init", "--from", config, str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    found = check(tmp_path / "spec.dagent")
    assert {d.code for d in found if d.severity == "error"} == {"E301", "E311"}  # what is to add
