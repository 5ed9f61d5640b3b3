"""Each stage trains a small student for real and moves what it is meant to move."""

from __future__ import annotations

import os
import shutil
import signal
from functools import cached_property
from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from dagent.compiler.digests import content_digest
from dagent.dsl.diagnostics import Failed, Refused
from dagent.runtime.rows import read_json
from dagent.runtime.worker import ProcessWorker

pytestmark = pytest.mark.xdist_group("training")
Answered = list[tuple[str, str]]


@pytest.fixture(scope="module")
def base(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tiny.make_student(tmp_path_factory.mktemp("student") / "base")
    return made


@pytest.fixture(scope="module")
def teacher(tiny: Any, base: Path) -> Path:
    """The student, taught: it answers with capitals, not always the right one."""
    taught: Path = tiny.train(base, base.with_name("taught"), ("sft", {"num_train_epochs": 12}))
    return taught


@pytest.fixture(scope="module")
def right(tiny: Any) -> Answered:
    return [(row["prompt"], row["answer"]) for row in tiny.ROWS]


@pytest.fixture(scope="module")
def wrong(tiny: Any, base: Path, right: Answered) -> Answered:
    """What the base says where it is wrong."""
    outputs = tiny.answers(base, [prompt for prompt, _ in right])
    found = [(p, o) for (p, a), o in zip(right, outputs, strict=True) if o != a]
    assert found
    return found


def margin(tiny: Any, model: Path, right: Answered, wrong: Answered) -> float:
    chosen = [(prompt, dict(right)[prompt]) for prompt, _ in wrong]
    pairs = zip(tiny.likelihood(model, chosen), tiny.likelihood(model, wrong), strict=True)
    return mean(a - b for a, b in pairs)


@pytest.mark.parametrize("adapter", ["full", "lora"])
@pytest.mark.parametrize("stage", ["dpo", "orpo"])
def test_right_answers_gain_on_the_students_own_wrong_ones(
    tiny: Any,
    base: Path,
    right: Answered,
    wrong: Answered,
    tmp_path: Path,
    stage: str,
    adapter: str,
) -> None:
    trained = tiny.train(base, tmp_path / "out", (stage, {"num_train_epochs": 4}), adapter=adapter)
    assert margin(tiny, trained, right, wrong) > margin(tiny, base, right, wrong) + 0.5
    points = tiny.curve(trained, f"1.{stage}")
    assert points[-1]["rewards/margins"] > points[0]["rewards/margins"]


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_kto_makes_right_answers_likelier_and_wrong_ones_less_likely(
    tiny: Any, base: Path, right: Answered, wrong: Answered, tmp_path: Path, adapter: str
) -> None:
    trained = tiny.train(base, tmp_path / "out", ("kto", {"num_train_epochs": 3}), adapter=adapter)
    assert mean(tiny.likelihood(trained, right)) > mean(tiny.likelihood(base, right)) + 0.2
    assert mean(tiny.likelihood(trained, wrong)) < mean(tiny.likelihood(base, wrong))


@pytest.mark.parametrize("stage", ["grpo", "rloo"])
def test_rewards_of_the_users_grader_rise(
    tiny: Any, base: Path, tmp_path: Path, stage: str
) -> None:
    (tmp_path / "grade.py").write_text("def grade(answer, row):\n    return answer.isupper()\n")
    args = {
        "max_steps": 20,
        "num_generations": 8,
        "per_device_train_batch_size": 64,
        "max_completion_length": 2,
    }
    capitals = {"name": "capitals", "grader": "program", "program": "grade.py:grade"}
    trained = tiny.train(base, tmp_path / "out", (stage, args), metric=capitals)
    rewards = [point["reward"] for point in tiny.curve(trained, f"1.{stage}")]
    assert mean(rewards[-3:]) > mean(rewards[:3]) + 0.1


def test_a_reward_model_tells_right_from_wrong_and_rewards_the_stage_after_it(
    tiny: Any, base: Path, right: Answered, wrong: Answered, tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification

    from dagent.runtime.answering import load

    small = {"max_steps": 2, "num_generations": 4, "max_completion_length": 2}
    trained = tiny.train(base, tmp_path / "out", ("reward", {"max_steps": 30}), ("grpo", small))
    folder = tmp_path / "out.checkpoints" / "1.reward" / "model"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = load(str(base))[1]

    def score(prompt: str, answer: str) -> float:
        text = f"<|user|>{prompt}<|assistant|>{answer}"
        return float(model(**tokenizer(text, return_tensors="pt")).logits)

    assert mean(score(p, dict(right)[p]) > score(p, answer) for p, answer in wrong) > 0.9
    assert content_digest(trained) != content_digest(base)
    (point,) = tiny.curve(trained, "2.grpo")
    assert point["reward"] % (1 / 16) != 0  # as the grader's share of 16 answers would be


@pytest.mark.parametrize("stage", ["distillation", "gkd"])
def test_a_teacher_is_approached(
    tiny: Any, base: Path, teacher: Path, right: Answered, tmp_path: Path, stage: str
) -> None:
    def distance(model: Path) -> float:
        pairs = zip(tiny.likelihood(teacher, right), tiny.likelihood(model, right), strict=True)
        return mean(abs(a - b) for a, b in pairs)

    folders = {"1": str(teacher)}
    trained = tiny.train(base, tmp_path / "out", (stage, {"max_steps": 20}), teachers=folders)
    assert distance(trained) < 0.7 * distance(base)


BRINGING = {
    "json": ({"fields": ["*"]}, {"answer": '{"a": 1}'}),
    "sql": (
        {"databases": {}},
        {"answer": "SELECT 1", "schema_sql": "CREATE TABLE t (a INTEGER);"},
    ),
    "code": ({}, {"answer": "def f():\n    return 1", "tests": "assert f() == 1"}),
}


@pytest.mark.parametrize("grader", BRINGING)
def test_graders_that_judge_by_more_than_the_answer_reward_and_make_pairs(
    tiny: Any, base: Path, tmp_path: Path, grader: str
) -> None:
    from dagent.runtime.preferences import graded

    options, brings = BRINGING[grader]
    metric = {"name": "accuracy", "grader": grader, **options}
    rows = [{"prompt": f"{n}", **brings} for n in range(4)]
    grade = graded(metric, str(tmp_path))
    assert grade(rows[0]["answer"], rows[0]).score == 1
    drawn = {"max_steps": 1, "num_generations": 2, "logging_steps": 1}
    stages = ("dpo", {"max_steps": 1}), ("grpo", drawn)
    trained = tiny.train(base, tmp_path / "out", *stages, metric=metric, rows=rows)
    assert read_json(tmp_path / "out.checkpoints" / "1.dpo" / "done.json")["rows"] == len(rows)
    assert tiny.curve(trained, "2.grpo")[0]["reward"] == 0


def test_a_teacher_of_another_vocabulary_is_refused(tiny: Any, base: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(base, other)
    file = other / "tokenizer.json"
    file.write_text(file.read_text().replace('"sorted("', '"unsorted("'))
    with pytest.raises(Refused, match="E871"):
        tiny.train(base, tmp_path / "out", ("gkd", {}), teachers={"1": str(other)})


def test_a_stage_starts_from_what_the_one_before_made(
    tiny: Any, base: Path, tmp_path: Path
) -> None:
    """The second stage is the same as a training of its own on the first one's model."""
    first, then = ("sft", {"num_train_epochs": 2}), ("dpo", {"num_train_epochs": 1})
    chain = tiny.train(base, tmp_path / "chain", first, then)
    alone = tiny.train(base, tmp_path / "first", first)
    assert content_digest(chain) == content_digest(tiny.train(alone, tmp_path / "then", then))
    assert content_digest(chain) != content_digest(alone)


def test_where_nothing_is_wrong_the_student_stays_as_it_is(
    tiny: Any, base: Path, right: Answered, tmp_path: Path
) -> None:
    said = tiny.answers(base, [prompt for prompt, _ in right])
    rows = [{"prompt": p, "answer": a} for (p, _), a in zip(right, said, strict=True)]
    for stage in ("dpo", "kto", "orpo"):
        trained = tiny.train(base, tmp_path / stage, (stage, {}), rows=rows)
        assert content_digest(trained) == content_digest(base)


def test_an_adapter_is_trained_on_four_bits_and_merged_into_the_whole_weights(
    tiny: Any, right: Answered, tmp_path: Path
) -> None:
    """On a CPU, where bitsandbytes can do it too, slowly."""
    pytest.importorskip("bitsandbytes")
    base = tiny.make_student(tmp_path / "base", hidden=64)  # it packs blocks of 64
    lora = {"adapter": "qlora", "lora": tiny.LORA}
    stages = ("sft", {"num_train_epochs": 6}), ("dpo", {"max_steps": 2})
    trained = tiny.train(base, tmp_path / "out", *stages, **lora)
    assert sum(tiny.likelihood(trained, right)) > sum(tiny.likelihood(base, right)) + 10
    assert not list(trained.glob("adapter*"))
    assert "quantization_config" not in (trained / "config.json").read_text()
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (base, trained)]
    assert sizes[0] == sizes[1]
    small = {"max_steps": 2, "num_generations": 4, "max_completion_length": 2}
    chain = ("reward", {"max_steps": 4}), ("grpo", small)
    assert tiny.train(base, tmp_path / "rewarded", *chain, **lora).is_dir()


class Died(Exception):
    pass


GRPO = {"max_steps": 20, "num_generations": 4, "max_completion_length": 2}
DYING = {
    "sft": [("sft", {"num_train_epochs": 5})],
    "neftune": [("sft", {"num_train_epochs": 5, "neftune_noise_alpha": 5})],
    "chain": [("sft", {"num_train_epochs": 2}), ("dpo", {"num_train_epochs": 5})],
    "kto": [("kto", {"num_train_epochs": 3})],
    "grpo": [("grpo", GRPO)],
}


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param(chain, id=name, marks=() if name in ("sft", "chain") else pytest.mark.slow)
        for name, chain in DYING.items()
    ],
)
@pytest.mark.parametrize("adapter", ["full", pytest.param("lora", marks=pytest.mark.slow)])
def test_a_training_that_died_ends_like_one_that_did_not(
    tiny: Any, base: Path, tmp_path: Path, stages: Any, adapter: str
) -> None:
    """It dies in its last stage, at step 10, after the checkpoint at step 8."""

    def die(done: int, total: int, **_: object) -> None:
        if done == 10 and total > 10:
            raise Died

    whole = tiny.train(base, tmp_path / "whole", *stages, adapter=adapter)
    with pytest.raises(Died):
        tiny.train(base, tmp_path / "out", *stages, adapter=adapter, progress=die, every=0)
    (left,) = tmp_path.glob("out.checkpoints/*/checkpoint-*")
    assert (left.parent.name, left.name) == (f"{len(stages)}.{stages[-1][0]}", "checkpoint-8")
    tiny.train(base, tmp_path / "out", *stages, adapter=adapter)
    assert content_digest(tmp_path / "out") == content_digest(whole)
    assert (tmp_path / "out.log").read_text() == (tmp_path / "whole.log").read_text()


@pytest.mark.slow
def test_a_killed_worker_leaves_a_checkpoint_to_go_on_from(
    tiny: Any, base: Path, tmp_path: Path
) -> None:
    stages = (("sft", {"num_train_epochs": 10}),)
    whole = tiny.train(base, tmp_path / "whole", *stages)
    worker = ProcessWorker(tmp_path / "log")

    def kill(done: int, total: int, **_: object) -> None:
        assert worker._process is not None
        os.kill(worker._process.pid, signal.SIGKILL)

    request = tiny.request(base, tmp_path / "killed", stages, every=0)
    with pytest.raises(Failed, match="E813"):
        worker.call("train", kill, **request)
    assert list(tmp_path.glob("killed.checkpoints/1.sft/checkpoint-*"))
    broken = tmp_path / "killed.checkpoints" / "1.sft" / "checkpoint-1000"
    broken.mkdir()
    (broken / "trainer_state.json").write_text('{"epoch"')  # killed while it was written
    tiny.train(base, tmp_path / "killed", *stages)
    assert content_digest(tmp_path / "killed") == content_digest(whole)


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_bf16_trains_where_no_accelerator_is_visible(
    tiny: Any, base: Path, tmp_path: Path, stage: str
) -> None:
    """transformers refuses it there unless the CPU is asked for, whatever torch was built for: it
    goes by ``torch.cuda.is_available``, which is false where a CUDA build sees no GPU."""
    import torch

    if torch.accelerator.is_available():
        pytest.skip("an accelerator is visible")
    args = {"bf16": True, "num_train_epochs": 4}
    points = tiny.curve(tiny.train(base, tmp_path / "out", (stage, args)), f"1.{stage}")
    assert points[-1]["loss"] < 0.9 * points[0]["loss"]


def test_a_loss_that_is_no_number_ends_the_training(tiny: Any, base: Path, tmp_path: Path) -> None:
    wild = {"learning_rate": 1e30, "max_grad_norm": 1e30, "num_train_epochs": 3}
    with pytest.raises(Refused, match="E870"):
        tiny.train(base, tmp_path / "out", ("sft", wild))
    assert not (tmp_path / "out").exists()


def test_however_short_a_training_has_a_last_loss(tiny: Any, base: Path, tmp_path: Path) -> None:
    """With TRL's own ten steps between two lines of the log."""
    args = {"max_steps": 3, "logging_steps": 10}
    (point,) = tiny.curve(tiny.train(base, tmp_path / "out", ("sft", args)), "1.sft")
    assert point["step"] == 3
    wild = {**args, "learning_rate": 1e30, "max_grad_norm": 1e30}
    with pytest.raises(Refused, match="E870"):
        tiny.train(base, tmp_path / "wild", ("sft", wild))


def test_options_of_trl_have_their_effect(
    tiny: Any, base: Path, right: Answered, tmp_path: Path
) -> None:
    totals: dict[str, int] = {}

    def trained(name: str, **args: Any) -> Path:
        def note(done: int, total: int, **_: object) -> None:
            totals[name] = total

        stage = ("sft", {"num_train_epochs": 5, **args})
        made: Path = tiny.train(base, tmp_path / name, stage, progress=note)
        return made

    plain = trained("plain")
    prompts = trained("prompts", completion_only_loss=False)
    trained("packed", packing=True, max_length=64)
    noisy = trained("noisy", neftune_noise_alpha=50)
    # The prompts' own letters are learned only where the loss counts them.
    seen, unseen = (mean(tiny.likelihood(m, right, of_prompt=True)) for m in (prompts, plain))
    assert seen > unseen + 1
    assert totals["packed"] < totals["plain"]
    assert content_digest(noisy) != content_digest(plain)
    assert tiny.curve(noisy, "1.sft")[0]["loss"] > tiny.curve(plain, "1.sft")[0]["loss"]
    told = read_json(tmp_path / "plain.checkpoints" / "1.sft" / "done.json")
    assert told["rows"] == len(tiny.ROWS)


def test_of_several_gpus_a_process_takes_one(
    tiny: Any, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with two, as transformers sees it; TRL refuses to spread a model over both."""
    from transformers import TrainingArguments

    from dagent.runtime import training

    here = vars(TrainingArguments)["_setup_devices"].func

    def seen(args: Any) -> Any:
        device = here(args)
        args._n_gpu = 2
        return device

    two = cached_property(seen)
    two.__set_name__(TrainingArguments, "_setup_devices")
    monkeypatch.setattr(TrainingArguments, "_setup_devices", two)
    chain = (("sft", {"num_train_epochs": 1, "max_steps": 1}),)
    done = training.run(tiny.request(base, tmp_path / "out", chain), lambda *_, **__: None)
    assert done["rows"] == len(tiny.ROWS)


def test_what_the_students_context_does_not_hold_is_neither_learned_nor_answered(
    tiny: Any, base: Path, tmp_path: Path
) -> None:
    """It holds 128 tokens, and a letter is one."""
    from dagent.runtime import training
    from dagent.runtime.answering import load_tokenizer
    from dagent.runtime.prompting import prompt_texts

    rows = [*tiny.ROWS, {"prompt": "a" * 130, "answer": "B"}]
    short = {"num_train_epochs": 1, "max_steps": 1}
    asked = tiny.request(base, tmp_path / "out", (("sft", short), ("grpo", short)), rows=rows)
    done = training.run(asked, lambda *_, **__: None)
    assert [stage["rows"] for stage in done["stages"]] == [len(tiny.ROWS)] * 2
    tokenizer = load_tokenizer(str(base))
    (empty,) = tokenizer(prompt_texts(tokenizer, [""], None, None))["input_ids"]
    tight = "a" * (128 - len(empty) - 2)  # leaves room for two tokens
    alone = tiny.answers(base, ["ab"])
    both = tiny.answers(base, ["ab", "a" * 130, tight])
    assert [both[0], both[1]] == [*alone, ""]
    assert both[2] == tiny.answers(base, [tight], max_new_tokens=2)[0]


def test_packed_rows_are_counted_one_by_one(tiny: Any, base: Path, tmp_path: Path) -> None:
    from dagent.runtime import training

    stage = ("sft", {"packing": True, "max_length": 64, "max_steps": 1})
    done = training.run(tiny.request(base, tmp_path / "out", (stage,)), lambda *_, **__: None)
    assert done["stages"] == [{"stage": "sft", "rows": len(tiny.ROWS)}]


def test_answers_end_with_the_token_that_a_stage_names(base: Path) -> None:
    from dagent.runtime.answering import load_tokenizer
    from dagent.runtime.prompting import pair_texts
    from dagent.runtime.training import _end_with

    tokenizer = load_tokenizer(str(base))
    with pytest.raises(Refused, match="E619: the student's tokenizer has no token"):
        _end_with(tokenizer, "<|nope|>")
    _end_with(tokenizer, "<|user|>")
    assert pair_texts(tokenizer, [("a", "B")], "{prompt}:", None) == [("a:", "B<|user|>")]
