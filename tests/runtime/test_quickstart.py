"""The quickstart's data, its generator and verifier, and the student that dagent ships."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
STUDENT = ROOT / "runtime" / "students" / "tiny_python"


@pytest.fixture(scope="module")
def programs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("programs", QUICKSTART / "programs.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["programs"] = module
    spec.loader.exec_module(module)
    return module


def rows_of(part: str) -> list[dict[str, Any]]:
    lines = (QUICKSTART / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("part", "size"), [("dev", 400), ("test", 1200)])
def test_data_is_right_distinct_and_of_its_own_partition(
    programs: ModuleType, part: str, size: int
) -> None:
    rows = rows_of(part)
    assert len({row["id"] for row in rows}) == len({row["prompt"] for row in rows}) == size
    assert [row for row in rows if programs.verify(row)] == []
    assert {programs.partition(row["prompt"]) for row in rows} == {part}
    assert {row["skill"] for row in rows} == set(programs.SKILLS)


def test_every_cell_generates_right_distinct_training_rows(programs: ModuleType) -> None:
    for skill, difficulty in itertools.product(programs.SKILLS, programs.DIFFICULTIES):
        rows = programs.generate(skill, difficulty, 100, 3)
        assert len({row["prompt"] for row in rows}) == 100
        assert {(row["skill"], row["difficulty"]) for row in rows} == {(skill, difficulty)}
        assert {programs.partition(row["prompt"]) for row in rows} == {"train"}
        assert [row for row in rows if programs.verify(row)] == []
        assert rows == programs.generate(skill, difficulty, 100, 3)
        assert rows != programs.generate(skill, difficulty, 100, 4)


@pytest.mark.parametrize(
    ("prompt", "answer", "reason"),
    [
        ('print("ab"[::-1])', "ab", "prints 'ba', the answer says 'ab'"),
        ('print("ab"[5])', "b", "IndexError"),
        ('print("ab"', "ab", "SyntaxError"),
        ("x = 1", "1", "prints nothing"),
        ("import os\nprint(1)", "1", "statement not allowed: Import"),
        ("while True: print(1)", "1", "statement not allowed: While"),
        ("print(open('x').read())", "", "NameError"),
        ("print(().__class__)", "", "attribute not allowed: __class__"),
        (f'print("{"a" * 300}")', "a" * 300, "longer than 200"),
    ],
)
def test_wrong_and_forbidden_rows_are_refused_in_words(
    programs: ModuleType, prompt: str, answer: str, reason: str
) -> None:
    found = programs.verify({"prompt": prompt, "answer": answer})
    assert found is not None
    assert reason in found


def test_pretraining_never_sees_a_reserved_program(programs: ModuleType) -> None:
    from dagent.runtime.students.primitives import is_reserved, primitives

    for row in rows_of("dev") + rows_of("test"):
        assert is_reserved(row["prompt"])
    for program, output in itertools.islice(primitives(0), 500):
        assert programs.partition(program) == "train"
        assert programs.run(program) == output


def test_the_shipped_tokenizer_is_the_built_one_and_loses_nothing() -> None:
    from transformers import AutoTokenizer

    from dagent.runtime.students.tokenizer import build_tokenizer

    shipped, built = AutoTokenizer.from_pretrained(STUDENT), build_tokenizer()
    assert shipped.get_vocab() == built.get_vocab()
    assert shipped.chat_template == built.chat_template
    texts = [text for row in rows_of("test") for text in (row["prompt"], row["answer"])]
    texts += ["".join(map(chr, range(32, 127))), "\n\t  a ,  b\n\n", ""]
    for text in texts:
        assert shipped.decode(shipped(text).input_ids) == text
    assert shipped.unk_token_id in shipped("é").input_ids


def test_a_chat_prompt_is_the_beginning_of_the_whole_chat() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(STUDENT)
    chat = [{"role": "user", "content": "print(1)"}, {"role": "assistant", "content": "1"}]
    asked = tokenizer.apply_chat_template(chat[:1], tokenize=False, add_generation_prompt=True)
    whole = tokenizer.apply_chat_template(chat, tokenize=False)
    assert whole == asked + "1" + tokenizer.eos_token
