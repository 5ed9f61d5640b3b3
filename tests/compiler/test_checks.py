"""Every check: a change of a spec that is fine, and the codes that it earns."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dagent.compiler.pipeline import check

METRIC = {"accuracy": {"grader": "exact"}}


def test_the_base_is_fine(project: Any) -> None:
    assert project.codes() == []


def data(**fields: Any) -> dict[str, Any]:
    return {"data": {"dev": fields}}


def role(name: str, **fields: Any) -> dict[str, Any]:
    return {"engineer": {name: fields}}


def metric(**fields: Any) -> dict[str, Any]:
    return {"criteria": {"metric": {"accuracy": fields}}}


def goal(*texts: str) -> dict[str, Any]:
    return {"criteria": {"require": list(texts)}}


def train(**args: Any) -> dict[str, Any]:
    return {"train": [{"stage": "sft", **args}]}


def stage(name: str, **args: Any) -> dict[str, Any]:
    return {"train": [{"stage": name, **args}]}


def generation(**args: Any) -> dict[str, Any]:
    return {"student": {"generation": args}}


def lora(**args: Any) -> dict[str, Any]:
    return {"student": {"adapter": "lora", "lora": args}}


def budget(**fields: Any) -> dict[str, Any]:
    return {"budget": fields}


CASES = [
    # data
    (data(path="no.jsonl"), ["E301"]),
    (data(path="../x.jsonl"), ["E707"]),
    (data(path="/etc/passwd", format="csv"), ["E707"]),
    (data(path="a" * 300 + ".jsonl"), ["E707"]),
    ({"student": {"model": "a" * 300}}, []),
    (data(path="a/" * 3000 + "x.jsonl"), ["E707"]),
    (data(path="test.jsonl"), ["E303"]),
    (data(role="guard"), ["E305", "E313"]),
    ({"data": {"dev2": {"role": "dev", "path": "guard.jsonl"}}}, ["E312"]),
    (data(columns={"prompt": "no"}), ["E306"]),
    (data(sample=41), ["E204"]),
    (data(sample="40 rows"), []),
    (data(path=None), ["E307"]),
    (data(path="dev.txt"), ["E307"]),
    (data(path="dev.parquet"), ["E301"]),
    ({"domain": {"skills": ["a"]}}, ["E314"]),
    ({"domain": {"skills": ["a", "b"], "difficulties": [0, 1]}}, ["E314"]),
    ({"criteria": {"guard": {"old": {"max_drop": "1pp"}}}}, ["E507"]),
    ({"criteria": {"guard": {"dev": {"max_drop": "1pp"}}}}, ["E507"]),
    # student
    ({"student": {"model": "builtin:tiny-pithon"}}, ["E601"]),
    ({"student": {"model": "./no"}}, ["E601"]),
    ({"student": {"model": "../model"}}, ["E707"]),
    ({"student": {"model": "a/b/c"}}, ["E601"]),
    ({"student": {"model": "owner/name-0.5B"}}, []),
    ({"student": {"revision": "main"}}, ["E606"]),
    ({"student": {"lora": {"r": 8}}}, ["E606"]),
    ({"student": {"template": "Q:"}}, ["E607"]),
    ({"student": {"template": "Q: {prompt}"}}, []),
    ({"student": {"template": "{prompt}", "system": "s"}}, ["E606"]),
    # programs
    (role("generator", program="programs.py"), ["E311"]),
    (role("generator", program="a\0.py:generate"), ["E707"]),
    (role("generator", program="program.py:generate"), ["E311"]),
    (role("generator", program="programs.py:generat"), ["E311"]),
    (role("generator", program="programs.py:verify"), ["E317"]),
    (role("verifier", program="programs.py:later"), ["E317"]),
    (role("verifier", program="programs.py:verify", options={"x": 1}), ["E318"]),
    (role("diagnoser", program="programs.py:generate"), ["E317"]),
    (role("diagnoser", program="programs.py:diagnose", policy="by-cell"), ["E307"]),
    (role("refiner", program="programs.py:refine", lm="openai/some"), ["E307"]),
    (role("refiner", program="programs.py:refine", options={"x": 1}), ["E318"]),
    (role("generator", options={"style": "x"}), []),
    (role("generator", options={"stile": "x"}), ["E318"]),
    (role("planner", program="programs.py:plan", options={"eager": True}), []),
    (role("planner", policy="uniform"), []),
    (role("planner", policy="uniform", options={"x": 1}), ["E318"]),
    (role("planner", policy="uniform", program="programs.py:plan"), ["E307"]),
    (role("verifier"), ["E307"]),
    ({"engineer": {"generator": None}}, ["E307"]),
    # budget
    (budget(rounds=1001), ["E204"]),
    (budget(rounds=0), ["E204"]),
    (budget(per=None), ["E404"]),
    (budget(per=None, rows=1), ["E401"]),
    (budget(per=None, rows="1k rows"), []),
    (budget(rows=150), ["E401"]),
    (budget(rows=99), ["E402"]),
    (budget(calls=399), ["E401"]),
    (budget(calls=400), []),
    (budget(per={"round": {"calls": 199}}), ["E401"]),
    (budget(per={"generator": {"calls": 399}}), ["E401"]),
    (budget(per={"weak": {"rows": 1}}), ["E403"]),
    (budget(per={"verifier": {"calls": 10, "tokens": 1000, "money": "1 USD"}}), []),
    (budget(tokens="5M tokens", per={"round": {"tokens": "6M tokens"}}), ["E402"]),
    (budget(money="5 USD", per={"planner": {"money": "6 USD"}}), ["E402"]),
    (budget(money="5 EUR"), ["E857"]),
    (budget(per={"generator": {"money": "1 CHF"}}), ["E857"]),
    (budget(wall="20 USD"), ["E203"]),
    (budget(wall="1s"), []),  # a warning
    # criteria
    (goal("accuracy about 3"), ["E503"]),
    (goal("accuracy >= 2 on test"), ["E204"]),
    (goal("acuracy >= 0.5 on test"), ["E501"]),
    (goal("accuracy >= 0.5 on tests"), ["E502"]),
    (goal("accuracy > 1 on test"), ["E506"]),
    (goal("accuracy >= 0 on test"), ["E506"]),
    (goal("accuracy >= 0.8 on test", "accuracy < 0.8 on test"), ["E510"]),
    (goal("accuracy >= 0.8 on test", "accuracy < 0.8 on select"), []),
    (goal("accuracy >= 50% on select for each skill"), []),
    (goal('accuracy >= 50% on select for skill "c"'), ["E508"]),
    ({"criteria": {"stop": {"patience": 2}}}, ["E504"]),
    ({"criteria": {"stop": {"patience": 1}}}, []),
    ({"criteria": {"stop": {"when": "accuracy >= 0.9 on test"}}}, ["E502"]),
    ({"criteria": {"stop": {"when": "accuracy >= 0.9 on select"}}}, []),
    ({"criteria": {"gate": {"select": 1}}}, ["E204"]),
    (metric(grader="regex"), ["E505"]),
    (metric(grader="regex", pattern="("), ["E505"]),
    (metric(grader="choice", choices=[]), ["E505"]),
    (metric(tolerance=1), ["E505"]),
    (metric(grader="numeric", tolerance=1), []),
    (metric(grader="program", program="programs.py:grade"), []),
    (metric(grader="program", program="programs.py:verify"), ["E317"]),
    (metric(grader="judge"), ["E505"]),
    (metric(grader="judge", lm="openai/some"), []),
    # train
    (train(learning_rat=1), ["E602"]),
    (train(learning_rate="fast"), ["E603"]),
    (train(lr_scheduler_type="cosin"), ["E611"]),
    (train(per_device_train_batch_size=1.5), ["E603"]),
    (train(bf16=1), ["E603"]),
    (train(output_dir="x", seed=1), ["E605", "E605"]),
    (train(num_train_epochs=3, neftune_noise_alpha=None), []),
    ({"train": [{"stage": "sft"}, {"stage": "sft"}, {"stage": "dpo"}]}, []),
    ({"train": [{"stage": "reward"}, {"stage": "grpo"}]}, []),
    ({"train": [{"stage": "grpo"}, {"stage": "reward"}]}, ["E641"]),
    (stage("gkd"), ["E643"]),
    (stage("gkd", teacher_model_name_or_path="./model"), []),
    (stage("distillation", teacher_model_name_or_path="./nowhere"), ["E601"]),
    (stage("kto", per_device_train_batch_size=1), ["E644"]),
    (stage("rloo", num_generations=1), ["E644"]),
    (stage("grpo", per_device_train_batch_size=2, gradient_accumulation_steps=4), []),
    (train(lr_scheduler_type="warmup_stable_decay"), ["E646"]),
    (train(lr_scheduler_type="reduce_lr_on_plateau"), ["E646"]),
    (
        train(lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr_rate": 0.1}),
        [],
    ),
    (train(bf16=True, fp16=True), ["E646"]),
    (train(dataloader_prefetch_factor=2), ["E646"]),
    (train(dataloader_persistent_workers=True), ["E646"]),
    (train(dataloader_multiprocessing_context="spawn"), ["E646"]),
    (train(dataloader_persistent_workers=True, dataloader_num_workers=1), []),
    (train(dataset_num_proc=-1, pad_to_multiple_of=0), ["E612", "E612"]),
    (train(padding_free=True), ["E646"]),
    (train(padding_free=True, packing=True), []),
    (train(padding_free=True, max_length=None), []),
    ({"student": {"attn_implementation": "sdpa"}}, []),
    ({"student": {"attn_implementation": "flash_attention_2"}}, []),
    ({"student": {"attn_implementation": "xformers"}}, ["E106"]),
    (train(dataloader_prefetch_factor=2, dataloader_num_workers=1), []),
    (stage("dpo", loss_type=["sigmoid", "simpo"]), ["E611"]),
    (stage("dpo", loss_type=["sigmoid", "sft"]), []),
    (stage("dpo", loss_type=["exo_pair"]), ["E646"]),
    (stage("dpo", loss_type=["exo_pair"], label_smoothing=0.001), []),
    (stage("dpo", loss_type=7), ["E603"]),
    (stage("gkd", teacher_model_name_or_path="./model", teacher_model_init_kwargs={}), ["E605"]),
    (stage("grpo", num_generations=8, generation_kwargs="top_h"), ["E603"]),
    (stage("dpo", f_divergence_type="kl"), ["E611"]),
    (stage("dpo", f_divergence_type="forward_kl"), []),
    (stage("dpo", f_divergence_type="forward_kl", loss_type=["aot"]), ["E646"]),
    (stage("grpo", num_generations=8, loss_type="dpo"), ["E611"]),
    (stage("grpo", num_generations=8, repetition_penalty=0.0, top_k=-1), ["E612", "E612"]),
    (stage("grpo", num_generations=8, sync_ref_model=True), ["E646"]),
    (stage("grpo", num_generations=8, sync_ref_model=True, beta=0.1), []),
    (stage("rloo", num_generations=8, sync_ref_model=True), []),
    (stage("kto", train_sampling_strategy="random"), ["E646"]),
    (stage("kto", train_sampling_strategy="random", loss_type="apo_zero_unpaired"), []),
    (stage("grpo", generation_batch_size=3), ["E644"]),
    (stage("grpo", generation_batch_size=16, steps_per_generation=2), ["E644"]),
    (stage("grpo", generation_batch_size=16), []),
    (stage("grpo", num_generations="many"), ["E603"]),
    (train(include_for_metrics=["loss", 3]), ["E603"]),
    (train(parallelism_config={"tp_size": 2}), ["E610"]),
    (stage("grpo", num_generations=8, reward_weights=[1]), []),
    (stage("grpo", num_generations=8, reward_weights=[1, 0.5]), ["E644"]),
    ({"train": [{"stage": "reward"}, {"stage": "grpo", "reward_weights": [1, 0.5]}]}, []),
    (stage("grpo", num_generation=8), ["E602"]),
    (stage("dpo", beta="high"), ["E603"]),
    (stage("dpo", dataset_text_field="text"), ["E602"]),  # SFT has it, DPO has not
    (stage("orpo", generate_during_eval=True), ["E605"]),
    (generation(temperature=1, top_p=0.9, stop_strings=["\n"]), []),
    (generation(temperatur=1), ["E602"]),
    (generation(top_k=5.5), ["E603"]),
    (generation(bad_words_ids=[[1], "x"]), ["E603"]),
    (generation(max_new_tokens=9, num_return_sequences=2), ["E605", "E605"]),
    (generation(compile_config={}), ["E610"]),
    (generation(temperature=0), ["E612"]),
    (generation(top_p=1.5, min_p=0), ["E612"]),
    (generation(do_sample=False, top_p=0.5), ["E613"]),
    (lora(r=8, target_modules=["q_proj"]), []),
    (lora(rank=8), ["E602"]),
    (lora(r="8"), ["E603"]),
    (lora(init_lora_weights="pissa_niter_4"), []),
    (lora(task_type="SEQ_CLS"), ["E605"]),
]


@pytest.mark.parametrize(("change", "codes"), CASES, ids=lambda value: str(value)[:60])
def test_codes(project: Any, change: dict[str, Any], codes: list[str]) -> None:
    assert project.codes(change) == codes


def test_everything_wrong_is_said_at_once(project: Any) -> None:
    change = {
        "data": {"test": {"path": "no.jsonl"}},
        "student": {"model": "builtin:no"},
        "engineer": {"generator": {"program": "programs.py:no"}},
        "budget": {"calls": 1},
        "criteria": {"stop": {"patience": 9}},
        "train": [{"stage": "sft", "learning_rat": 1}],
    }
    assert project.codes(change) == ["E301", "E311", "E401", "E504", "E601", "E602"]


@pytest.mark.parametrize(
    ("grader", "changes", "wanted"),
    [
        ("exact", {"path": "no.jsonl"}, "JSON Lines there with `prompt` and `answer` (and `skill`"),
        ("exact", {"path": "no.csv", "columns": {"prompt": "q"}}, "CSV there with `q` and "),
        ("code", {"path": "no.jsonl"}, "with `prompt`, `answer` and `tests` ("),
        ("sql", {"path": "no.jsonl"}, "`answer` and `database` or `schema_sql` ("),
        ("exact", {"path": "dav.jsonl"}, "did you mean `dev.jsonl`?"),
    ],
)
def test_a_missing_file_is_told_with_the_columns_that_it_needs(
    project: Any, grader: str, changes: dict[str, Any], wanted: str
) -> None:
    change = {**data(**changes), "criteria": {"metric": {"accuracy": {"grader": grader}}}}
    (found,) = [d for d in check(project.spec(change)) if d.code == "E301"]
    assert wanted in (found.suggestion or "")


def test_the_unit_alone_is_underlined(project: Any) -> None:
    path = project.text(
        "budget { rounds <= 2  wall <= 20 USD  per round { rows <= 9 } }", "spec.dagent"
    )
    base = project.spec({"budget": None}, "base.yaml")
    path.write_text(f'import "{base.name}"\n' + path.read_text())
    (found,) = [d for d in check(path) if d.severity == "error"]
    assert found.code == "E203"
    assert found.span is not None
    assert found.span.text == "USD"


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("{", "E302", "row 3: not JSON"),
        ("[1]", "E302", "row 3: not a JSON object"),
        ('{"prompt": "x"}', "E306", "row 3: no column `answer`"),
        ('{"prompt": null, "answer": "x"}', "E302", "column `prompt`"),
        ('{"prompt": "x", "answer": "y", "skill": 3}', "E302", "column `skill`"),
        ('{"prompt": "x", "answer": "y", "difficulty": [1]}', "E302", "column `difficulty`"),
        ('{"prompt": " ", "answer": "y"}', "E302", "column `prompt` is empty"),
    ],
)
def test_a_bad_row_is_named(project: Any, line: str, code: str, says: str) -> None:
    path = project.folder / "dev.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert found.code == code
    assert says in found.message
    assert found.message.startswith("dev.jsonl, row 3")


def test_many_bad_rows_are_counted(project: Any) -> None:
    path = project.folder / "dev.jsonl"
    path.write_text(path.read_text() + 9 * "oops\n")
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert len(found.notes) == 5
    assert found.notes[-1].message == "9 of 49 rows in all"


def test_not_text_is_a_bad_row(project: Any) -> None:
    path = project.folder / "dev.jsonl"
    path.write_bytes(path.read_bytes() + b'{"prompt": "\xff"}\n')
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert "row 41: not UTF-8" in found.message


def test_csv(project: Any) -> None:
    lines = [f'q{i},"a, {i}",s,{i % 2 + 1}' for i in range(30)]
    text = "\n".join(["question,answer,skill,difficulty", *lines]) + "\n"
    (project.folder / "dev.csv").write_text(text)
    change = data(path="dev.csv", columns={"prompt": "question"})
    plan = project.compile(change).plan
    assert plan.step("r1.plan").params["difficulties"] == [1, 2]
    (project.folder / "dev.csv").write_text(text + "q,a\n")
    assert project.codes(change) == ["E302"]


@pytest.mark.parametrize("prompt", ["dev 3", "DEV  3", "ｄｅｖ 3"])
def test_rows_shared_with_test(project: Any, prompt: str) -> None:
    path = project.folder / "test.jsonl"
    path.write_text(path.read_text() + f'{{"prompt": "{prompt}", "answer": "x"}}\n')
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert found.code == "E304"
    assert found.notes[0].message == "test.jsonl row 31 is dev.jsonl row 4"


def test_too_few_rows(project: Any) -> None:
    (project.folder / "dev.jsonl").write_text("")
    assert project.codes() == ["E308"]


def test_repeated_rows_are_warned_of(project: Any) -> None:
    path = project.folder / "dev.jsonl"
    path.write_text(path.read_text() + path.read_text())
    found = check(project.spec())
    assert [d.code for d in found if d.severity == "warning"] == ["E309", "E509"]


def test_a_pickle_is_refused(project: Any) -> None:
    model = project.folder / "model"
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert found.code == "E601"
    assert "pickle" in found.message


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda whole: whole[:-1], "is cut short: it has"),
        (lambda whole: whole[:20], "is no safetensors file, or was cut short"),
        (lambda _: b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
    ],
)
def test_weights_that_were_not_wholly_downloaded(project: Any, made: Any, said: str) -> None:
    file = project.folder / "model" / "model.safetensors"
    file.write_bytes(made(file.read_bytes()))
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert (found.code, said in found.message) == ("E601", True), found.message
    assert found.suggestion


def test_a_part_of_the_weights_that_is_missing_is_named(project: Any) -> None:
    index = {"weight_map": {"w": "model.safetensors", "v": "model-2.safetensors"}}
    (project.folder / "model/model.safetensors.index.json").write_text(json.dumps(index))
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert "`model-2.safetensors`, which its index names, is not there" in found.message


def test_a_link_out_of_the_project_is_refused(project: Any, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.jsonl"
    outside.write_text((project.folder / "dev.jsonl").read_text())
    (project.folder / "link.jsonl").symlink_to(outside)
    assert project.codes(data(path="link.jsonl")) == ["E707"]


def test_a_program_that_is_no_python(project: Any) -> None:
    (project.folder / "programs.py").write_text("def generate(:\n")
    (found,) = [d for d in check(project.spec()) if d.severity == "error"]
    assert found.code == "E316"
    assert found.notes[0].span is not None
    assert found.notes[0].span.line == 1
