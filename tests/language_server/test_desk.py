"""What is checked: unsaved texts, in the specs that they belong to, without reading data twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagent.compiler import pipeline
from dagent.compiler.passes import check_rows
from dagent.language_server.desk import Desk

from .conftest import SPEC, TWIN


def codes(desk: Desk, path: Path) -> dict[str, list[str]]:
    found = desk.check(path)
    return {file.name: [d.code for d in diagnostics] for file, diagnostics in found.items()}


@pytest.mark.parametrize(("name", "text"), [("a.dagent", SPEC), ("a.yaml", TWIN)])
def test_the_unsaved_text_is_what_is_checked(
    desk: Desk, folder: Path, name: str, text: str
) -> None:
    path = folder / name
    path.write_text("nonsense")
    desk.texts[path] = text
    assert codes(desk, path) == {name: []}
    desk.texts[path] = text.replace("curriculum", "curiculum")
    assert codes(desk, path) == {name: ["E106"]}
    desk.texts[path] = text.replace("dev.jsonl", "dove.jsonl")
    assert codes(desk, path) == {name: ["E301"]}


def test_as_the_command_says(desk: Desk, folder: Path) -> None:
    """The same findings in the same order as `dagent check` of the saved text."""
    path = folder / "a.dagent"
    for text in (SPEC, SPEC.replace("60%", "160%"), SPEC.replace("}", "", 1), "seed = = 3\n"):
        path.write_text(text)
        desk.texts[path] = text
        said = [(d.code, d.message, d.severity) for d in pipeline.check(path)]
        assert [(d.code, d.message, d.severity) for d in desk.check(path)[path]] == said


def test_an_open_import_is_read_as_it_is_typed(desk: Desk, folder: Path) -> None:
    spec, base = folder / "a.dagent", folder / "base.dagent"
    head, budget, tail = SPEC.partition("budget {")
    inside, brace, rest = tail.partition("\n}\n")
    base.write_text(budget + inside + brace)
    desk.texts[spec] = f'import "base.dagent"\n{head}{rest}'
    assert codes(desk, spec) == {"a.dagent": []}
    desk.texts[base] = (budget + inside + brace).replace("rounds", "round")
    assert codes(desk, spec) == {"a.dagent": [], "base.dagent": ["E101"]}
    assert desk.roots(base) == [spec], "a base is checked as part of the spec that imports it"


def test_a_yaml_file_that_is_no_spec_is_left_alone(desk: Desk, folder: Path) -> None:
    other = folder / "docker-compose.yaml"
    desk.texts[other] = "services:\n  web: {}\n"
    assert not desk.is_spec(other)
    desk.texts[folder / "a.yaml"] = TWIN
    assert desk.is_spec(folder / "a.yaml")
    desk.texts[other] = "# yaml-language-server: $schema=x/spec.schema.json\nbudget: {}\n"
    assert desk.is_spec(other)


def test_data_is_read_once_until_it_changes(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = folder / "a.dagent", []
    rows = check_rows.read_file

    def counted(file: Path, *arguments):
        read.append(file.name)
        return rows(file, *arguments)

    monkeypatch.setattr(check_rows, "read_file", counted)
    desk.texts[path] = SPEC
    desk.check(path)
    desk.texts[path] = SPEC.replace("rounds <= 5", "rounds <= 4")
    desk.check(path)
    assert sorted(read) == ["dev.jsonl", "test.jsonl"]
    dev = folder / "dev.jsonl"
    dev.write_text(dev.read_text() + "not JSON\n")
    os.utime(dev, ns=(1, 1))
    assert codes(desk, path) == {"a.dagent": ["E302"]}
    assert sorted(read) == ["dev.jsonl", "dev.jsonl", "test.jsonl"]
