"""Mistakes of new users whose message must lead to the right spec, beyond its code and place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dagent.dsl.diagnostics import Diagnostic

TEACHER = {"teacher_model_name_or_path": "./model"}
CSV = "number;body;team\n" + "".join(f"{n};ticket {n};a\n" for n in range(30))


def found_in(project: Any, change: dict[str, Any]) -> list[Diagnostic]:
    return [d for d in project.found(change) if d.code != "E509"]  # its few rows are no matter here


def one(project: Any, change: dict[str, Any]) -> Diagnostic:
    found = found_in(project, change)
    assert len(found) == 1, found
    return found[0]


def dev(**keys: Any) -> dict[str, Any]:
    return {"data": {"dev": keys}}


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        (dev(columns={"skill": "skil"}), '"skil"', "did you mean `skill`?"),
        (
            dev(columns={"prompt": "text", "answer": "answer"}),
            '"text"',
            "name one of `prompt`, `answer`, `skill`, `difficulty`",
        ),
        ({"student": {"model": "./modle"}}, '"./modle"', "did you mean `./model`?"),
        ({"student": {"model": "model"}}, '"model"', "write `./model` for the folder"),
        (
            dev(where="prompt.startswith('a')"),
            "prompt.startswith",
            "write a comparison of columns, such as `len(prompt) < 200 and skill == 'index'`",
        ),
        (
            {"student": {"adapter": "lora", "lora": {"alpha": 8}}},
            '"alpha"',
            "it is called `lora_alpha` here",
        ),
        (dev(where="skill == 'z'"), None, "add rows, or let `where` keep more"),
    ],
)
def test_advice(project: Any, change: dict[str, Any], place: str | None, said: str) -> None:
    found = one(project, change)
    assert found.suggestion == said
    assert found.span is not None
    assert place is None or found.span.text == place


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"seed": 2**32}, "E204"),
        ({"seed": 10**400}, "E105"),
        ({"arms": {"seeds": [-1]}}, "E204"),
        ({"train": [{"stage": "sft", "num_train_epochs": 10**400}]}, "E603"),
    ],
)
def test_a_number_that_nothing_could_hold(project: Any, change: dict[str, Any], code: str) -> None:
    assert one(project, change).code == code


def test_a_file_without_any_of_the_columns_is_one_finding_at_the_file(project: Any) -> None:
    (project.folder / "dev.csv").write_text(CSV)
    columns = {"prompt": "body", "answer": "team"}
    found = one(project, dev(path="dev.csv", columns=columns))
    assert (found.code, found.span.text if found.span else "") == ("E306", '"dev.csv"')
    assert "set the fields apart by commas" in str(found.suggestion)
    (project.folder / "dev.csv").write_text(CSV.replace(";", ","))
    assert found_in(project, dev(path="dev.csv", columns=columns)) == []


def test_an_answer_that_is_no_choice_names_its_row_and_the_other_sets(project: Any) -> None:
    metric = {"grader": "choice", "choices": [str(n) for n in range(5)]}
    found = one(project, {"criteria": {"metric": {"accuracy": metric}}})
    assert found.message == (
        "row 6 of `dev.jsonl` has the right answer `5`, which names none of the `choices`"
    )
    assert [n.message.split("`")[1] for n in found.notes[1:]] == ["test.jsonl"]


def test_an_answer_without_a_number_cannot_be_graded_as_one(project: Any) -> None:
    rows = [json.loads(line) for line in (project.folder / "dev.jsonl").read_text().splitlines()]
    project.write_rows("dev.jsonl", [*rows, {**rows[0], "prompt": "new", "answer": "many"}])
    found = one(project, {"criteria": {"metric": {"accuracy": {"grader": "numeric"}}}})
    assert (found.code, "`many`, which holds no number" in found.message) == ("E512", True)


@pytest.mark.parametrize(
    ("targets", "severity", "said"),
    [
        (["q_proj", "c_attn"], "warning", "its linear layers: down_proj, gate_proj, k_proj"),
        (["q_prj"], "error", "did you mean `q_proj`?"),
        ("q_proj", "error", "write a list: `[q_proj]`"),
        ("all_linear", "error", "did you mean `all-linear`?"),
    ],
)
def test_lora_targets_are_modules_of_the_student(
    project: Any, targets: Any, severity: str, said: str
) -> None:
    lora = {"adapter": "lora", "lora": {"target_modules": targets}}
    found = one(project, {"student": {"model": "builtin:tiny-python", **lora}})
    assert (found.code, found.severity) == ("E617", severity)
    assert str(found.suggestion).startswith(said)


@pytest.mark.parametrize(
    "targets", [["q_proj", "lm_head"], ["self_attn.q_proj"], "all-linear", r".*\.[qv]_proj"]
)
def test_lora_targets_that_fit_are_let_be(project: Any, targets: Any) -> None:
    lora = {"adapter": "lora", "lora": {"target_modules": targets}}
    assert found_in(project, {"student": {"model": "builtin:tiny-python", **lora}}) == []


def test_a_value_that_a_name_stands_for_is_shown(project: Any) -> None:
    per = {"budget": {"per": {"round": {"rows": "$many"}}}, "let": {"many": "40 tokens"}}
    found = one(project, per)
    assert [n.span.text for n in found.notes if n.span] == ['"40 tokens"']


def test_a_misspelt_reference_is_one_finding(project: Any) -> None:
    per = {"budget": {"per": {"round": {"rows": "$mnay"}}}, "let": {"many": "40 rows"}}
    assert one(project, per).suggestion == "did you mean `many`?"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train": [{"stage": "sft", "learning_rate": -1e-4}]}, "`learning_rate` is above 0"),
        ({"train": [{"stage": "sft", "adam_beta1": 1}]}, "`adam_beta1` is at least 0 and below 1"),
        ({"train": [{"stage": "gkd", **TEACHER, "beta": 2}]}, "`beta` is at least 0 and at most 1"),
        ({"train": [{"stage": "sft", "num_train_epochs": 0}]}, "`num_train_epochs` is above 0"),
        (
            {"student": {"adapter": "lora", "lora": {"lora_dropout": 5}}},
            "`lora_dropout` is at least 0 and at most 1",
        ),
    ],
)
def test_an_argument_no_training_could_run_with_is_refused(
    project: Any, change: dict[str, Any], said: str
) -> None:
    (found,) = [d for d in found_in(project, change) if d.code != "E640"]
    assert (found.code, found.message) == ("E612", said)
    assert str(found.suggestion).startswith(("the default is", "correct the number"))


def test_a_misspelt_guard_is_one_finding(project: Any) -> None:
    change = project.join(project.GUARD, {"criteria": {"guard": {"old": None}}})
    change["criteria"]["guard"]["odl"] = {"max_drop": "2pp"}
    assert one(project, change).suggestion == "did you mean `old`?"


def test_an_import_that_is_no_spec_is_told_where_it_stands(project: Any) -> None:
    (project.folder / "a.json").write_text("{}")
    found = one(project, {"import": ["a.json"]})
    assert (found.code, found.span.text if found.span else "") == ("E006", '"a.json"')


def test_a_question_that_leaves_no_room_for_an_answer_is_warned_of(project: Any) -> None:
    rows = [json.loads(line) for line in (project.folder / "dev.jsonl").read_text().splitlines()]
    project.write_rows("dev.jsonl", [*rows, {**rows[0], "prompt": "abcdefghij" * 11}])
    student = {"model": "builtin:tiny-python", "max_new_tokens": "32 tokens"}
    found = one(project, {"student": student})
    assert (found.code, found.severity) == ("E618", "warning")
    assert found.span is not None
    assert found.span.text == '"dev.jsonl"'
    asked = int(found.message.split(" asks ")[1].split()[0])
    assert f"row {len(rows) + 1} of `dev.jsonl`" in found.message
    room = 128 - asked
    assert f"lower `max_new_tokens` of `student` to {room}" in str(found.suggestion)
    student["max_new_tokens"] = f"{room} tokens"
    assert found_in(project, {"student": student}) == []


def test_a_right_answer_that_the_student_may_not_finish_is_warned_of(project: Any) -> None:
    rows = [json.loads(line) for line in (project.folder / "dev.jsonl").read_text().splitlines()]
    project.write_rows("dev.jsonl", [*rows, {**rows[0], "prompt": "new", "answer": "abc " * 12}])
    student: dict[str, Any] = {"model": "builtin:tiny-python"}
    found = one(project, {"student": student})
    assert (found.code, found.severity) == ("E623", "warning")
    assert f"right answer of row {len(rows) + 1} of `dev.jsonl`" in found.message
    assert "may take 32" in found.message
    takes = int(found.message.split(" takes ")[1].split()[0])
    for more in (
        {"student": {**student, "max_new_tokens": f"{takes + 1} tokens"}},
        {"student": student, "criteria": {"metric": {"accuracy": {"grader": "numeric"}}}},
    ):
        assert "E623" not in [d.code for d in found_in(project, more)]


@pytest.mark.parametrize(
    ("stage", "key"),
    [("grpo", "max_completion_length"), ("gkd", "max_new_tokens"), ("sft", "max_length")],
)
def test_a_stage_is_held_to_the_students_context(project: Any, stage: str, key: str) -> None:
    teacher = TEACHER if stage == "gkd" else {}
    change = {"student": {"model": "builtin:tiny-python"}, "train": [{"stage": stage, **teacher}]}
    change["train"][0][key] = 4096
    (found,) = [d for d in found_in(project, change) if d.code != "E640"]
    assert (found.code, found.span and found.span.text) == ("E618", "4096")
    assert found.severity == ("warning" if key == "max_length" else "error")


def test_a_token_that_the_tokenizer_has_is_let_be(project: Any) -> None:
    student = {"model": "builtin:tiny-python"}
    known = {"student": student, "train": [{"stage": "sft", "eos_token": "<|end|>"}]}
    assert found_in(project, known) == []
    known["train"][0]["eos_token"] = "<|ned|>"
    assert one(project, known).suggestion == "did you mean `<|end|>`?"


def test_what_no_number_is_is_said(project: Any) -> None:
    found = one(project, {"train": [{"stage": "sft", "learning_rate": "nan"}]})
    assert found.message == "`learning_rate` takes a number, and `nan` is not finite"
