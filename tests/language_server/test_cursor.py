"""Which block and key the cursor is in, in both syntaxes, in texts that are not whole."""

from __future__ import annotations

import pytest

from dagent.dsl.source import Source
from dagent.language_server.cursor import Cursor, cursor_at
from dagent.language_server.lines import Lines


def cursor(name: str, text: str) -> Cursor | None:
    assert text.count("|") == 1, "one cursor"
    return cursor_at(Source(name, text.replace("|", "")), text.index("|"))


DAGENT = [
    ("bud|", (), None, "bud"),
    ("budget { ro| }", ("budget",), None, "ro"),
    ("budget { rounds <= | }", ("budget",), "rounds", ""),
    ("budget { rounds <= 5 | }", ("budget",), "rounds", ""),
    ("budget {\n  rounds <= 5\n  |\n}", ("budget",), None, ""),
    ("budget { per round { rows <= 2|k rows } }", ("budget", "per", "round"), "rows", "2k"),
    ("data dev { role = d| }", ("data", "dev"), "role", "d"),
    ('data dev { path = "de|v" }', ("data", "dev"), "path", "dev"),
    ('data dev { path = "de|', ("data", "dev"), "path", "de"),
    ("train sft { }\ntrain dpo { be| }", ("train", 1), None, "be"),
    ("domain { skills = [a, b|] }", ("domain",), "skills", "b"),
    ("data dev { columns = { prompt = | } }", ("data", "dev", "columns"), "prompt", ""),
    ("criteria { require acc| }", ("criteria",), "require", "acc"),
    ("criteria {\n  require accuracy >= 60% on t|\n}", ("criteria",), "require", "t"),
    ("student { model = $m|o }", ("student",), "model", "$mo"),
    ("student {\n  lo|\n  batch = 3\n}\nbudget {}", ("student",), None, "lo"),
]
YAML = [
    ("bud|", (), None, "bud"),
    ("budget:\n  ro|", ("budget",), None, "ro"),
    ("budget:\n  rounds: |", ("budget",), "rounds", ""),
    ("budget:\n  per:\n    round:\n      rows: 2|k rows", ("budget", "per", "round"), "rows", "2k"),
    ("data:\n  dev:\n    role: d|", ("data", "dev"), "role", "d"),
    ("data:\n  dev: { role: dev, path: | }", ("data", "dev"), "path", ""),
    ("train:\n  - stage: sft\n    lear|", ("train", 0), None, "lear"),
    ("train:\n- stage: sft\n- stage: dpo\n  be|", ("train", 1), None, "be"),
    ("train:\n  - stage: s|", ("train", 0), "stage", "s"),
    ("criteria:\n  require:\n    - acc|", ("criteria",), "require", "acc"),
    ("criteria:\n  require:\n    - accuracy >= 60% on t|", ("criteria",), "require", "t"),
    ("domain:\n  goal: >\n    words: many\n  na|", ("domain",), None, "na"),
    ("student:\n  |\nbudget:\n  rounds: 5", ("student",), None, ""),
    ('data:\n  dev:\n    path: "de|v"', ("data", "dev"), "path", "dev"),
]


@pytest.mark.parametrize(("text", "block", "key", "word"), DAGENT)
def test_in_dagent(text: str, block: tuple[str | int, ...], key: str | None, word: str) -> None:
    found = cursor("a.dagent", text)
    assert found is not None
    assert (found.block, found.key, found.word.text) == (block, key, word)


@pytest.mark.parametrize(("text", "block", "key", "word"), YAML)
def test_in_yaml(text: str, block: tuple[str | int, ...], key: str | None, word: str) -> None:
    found = cursor("a.yaml", text)
    assert found is not None
    assert (found.block, found.key, found.word.text) == (block, key, word)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.dagent", "# bud|get"),
        ("a.dagent", 'domain { goal = """\n  bud|get {\n""" }'),
        ("a.yaml", "budget: # rou|nds"),
        ("a.yaml", "domain:\n  goal: |-\n    bud§get:\n".replace("|", ">").replace("§", "|")),
    ],
)
def test_nothing_is_said_in_comments_and_prose(name: str, text: str) -> None:
    assert cursor(name, text) is None


def test_keys_before_and_after_the_cursor_are_given() -> None:
    found = cursor("a.dagent", "student {\n  model = a\n  |\n  batch = 3\n}")
    assert found is not None
    assert found.given == {"model", "batch"}
    found = cursor("a.yaml", "student:\n  model: a\n  |\n  batch: 3\nseed: 1\n")
    assert found is not None
    assert found.given == {"model", "batch"}


def test_places_count_in_utf_16() -> None:
    text = 'a = "😀"\r\nb = 1\rc'
    lines = Lines(text)
    assert lines.place(text.index("b")) == (1, 0)
    assert lines.place(text.index("c")) == (2, 0)
    assert lines.place(text.index('"\r')) == (0, 7)
    for offset in range(len(text)):
        if text[offset] != "\n":
            assert lines.offset(*lines.place(offset)) == offset
    assert lines.offset(0, 99) == text.index("\r")
    assert lines.offset(99, 0) == len(text)
