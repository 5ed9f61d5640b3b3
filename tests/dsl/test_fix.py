"""`check --fix`: what is certain is mended, the rest is left alone."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from dagent.cli import main
from dagent.compiler.pipeline import check
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Edit
from dagent.dsl.fix import mend
from dagent.dsl.parse import parse
from dagent.dsl.source import Source
from dagent.dsl.structure import check_structure

QUICKSTART = Path(__file__).resolve().parents[2] / "examples" / "quickstart"
TWIN = QUICKSTART.parents[1] / "docs" / "quickstart.yaml"
CHANGES = {
    "quickstart.dagent": [
        ("name = program-output", "name: program-output"),
        ('"dev.jsonl" }', "'dev.jsonl' }  # the dev rows"),
        ("32 tokens", "32 token"),
        ("strategy = curriculum", "stategy = curriculum;"),
        ("planner {", "planner uniform {"),
        ("rounds <= 5", "rounds == 5"),
        ("2k rows", "2K rows"),
        ("grader = exact", "grader = exat"),
        ("learning_rate = 1.5e-3", "learning_rate 1.5e-3"),
        ("activation_checkpointing = false", "activation_checkpointing = false;"),
    ],
    "quickstart.yaml": [
        ("max_new_tokens: 32 tokens", "max_new_tokens: 32 tokns  # few"),
        ("strategy:", "stategy:"),
        ("rounds: 5", "ronds: 5"),
        ("grader: exact", "grader: exat"),
        ("2k rows", "2K rows"),
    ],
}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("dev.jsonl", "test.jsonl", "programs.py"):
        shutil.copy(QUICKSTART / name, tmp_path)
    monkeypatch.chdir(tmp_path)


def broken(name: str) -> str:
    text = (TWIN if name.endswith("yaml") else QUICKSTART / name).read_text()
    for right, wrong in CHANGES[name]:
        assert right in text
        text = text.replace(right, wrong, 1)
    return text


@pytest.mark.parametrize("name", CHANGES)
def test_mistakes_and_then_clean(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(name)
    path.write_text(broken(name))
    assert len([d for d in check(path) if d.severity == "error"]) >= 5
    assert main(["check", "--fix", name]) == 0
    said = capsys.readouterr().err
    assert "fixes made" in said
    assert "nothing is wrong" in said
    comments = [line.partition("#")[2] for line in broken(name).splitlines() if "#" in line]
    assert all(comment in path.read_text() for comment in comments)
    after = path.read_bytes()
    assert main(["check", "--fix", name]) == 0
    assert path.read_bytes() == after


def test_diff_shows_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("a.dagent")
    path.write_text(broken("quickstart.dagent"))
    before = path.read_bytes()
    assert main(["check", "--diff", "a.dagent"]) == 1
    out = capsys.readouterr().out
    assert {"-  stategy = curriculum;", "+  strategy = curriculum"} <= set(out.splitlines())
    assert path.read_bytes() == before
    assert [p.name for p in Path().iterdir() if p.name.startswith(".")] == []


def structure(source: Source) -> tuple[Diagnostic, ...]:
    diagnostics = Diagnostics()
    root = parse(source, diagnostics)
    if root is not None:
        check_structure(root, diagnostics)
    return tuple(d for d in diagnostics if d.code not in ("E103", "E104"))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("student { model = Qwen/Qwen3-0.6B }", 'student { model = "Qwen/Qwen3-0.6B" }'),
        ("domain { goal = be good now }", 'domain { goal = "be good now" }'),
        ('domain { goal = "a \\d" }', 'domain { goal = "a \\\\d" }'),
        ('domain { goal = "a }', 'domain { goal = "a" }'),
        ("domain { skills = index }", "domain { skills = [index] }"),
        ('seed = "3"', "seed = 3"),
        ("student { trust_remote_code = yes }", "student { trust_remote_code = true }"),
        ('data "dev" { role = dev }', "data dev { role = dev }"),
        ("criteria { metrics a { grader = exact } }", "criteria { metric a { grader = exact } }"),
        ("student { model <= x }", "student { model = x }"),
        ("model { x = 1 }", None),  # nothing is close
        ("seed = 1\nseed = 2", None),  # which of the two?
        ("domain { skills = [a, a] }", None),  # a typo, or too many?
        ("student { modelx = a  modely = b }", None),  # at most one of them
        ("domain { goal = 'say \"hi\"' }", None),
        ("student { adapter = ora }", "student { adapter = lora }"),
        ("seed: 3", "seed = 3"),
    ],
)
def test_each(wrong: str, right: str | None) -> None:
    mended = mend(Source("a.dagent", wrong), structure)
    assert mended.source.text == (wrong if right is None else right)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("student: {trust_remote_code: yes}", "student: {trust_remote_code: true}"),
        ("domain:\n  skills: index, slice  # two", "domain:\n  skills: [index, slice]  # two"),
        ("seed: '3'", "seed: 3"),
        ('"sed": 3', "seed: 3"),
        ("let: {a: &x 1, b: *x}", None),
    ],
)
def test_each_in_yaml(wrong: str, right: str | None) -> None:
    mended = mend(Source("a.yaml", wrong), structure)
    assert mended.source.text == (wrong if right is None else right)


def test_a_fix_that_moves_the_trouble_is_not_made() -> None:
    def check(source: Source) -> tuple[Diagnostic, ...]:
        found = []
        for word, other in (("a", "b"), ("b", "c"), ("x", "y")):
            at = source.text.find(word)
            if at >= 0:
                span = source.span(at, at + 1)
                found.append(Diagnostic("E101", word, span, fix=(Edit(span, other),)))
        return tuple(found)

    mended = mend(Source("s", "a x"), check)
    assert mended.source.text == "a y"
    assert [d.message for d in mended.left] == ["a"]


def test_json_holds_the_fix(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.yaml").write_text("sede: 3\n")
    main(["check", "a.yaml", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    (fix,) = [d["fix"] for d in found if d["code"] == "E102"]
    place = {"file": "a.yaml", "line": 1, "column": 1, "end_line": 1, "end_column": 5}
    assert fix == [{**place, "text": "seed"}]


# --- standard input ------------------------------------------------------------------------------


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(text: str | bytes) -> None:
        raw = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return give


@pytest.mark.parametrize("name", CHANGES)
def test_standard_input(stdin: Any, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    good = (TWIN if name.endswith("yaml") else QUICKSTART / name).read_text()
    stdin(good)
    assert main(["check", "-"]) == 0
    assert capsys.readouterr().err == "<stdin>: nothing is wrong\n"
    stdin(broken(name))
    assert main(["check", "-", "--fix"]) == 0
    assert parse(Source(name, capsys.readouterr().out), Diagnostics()) is not None
    stdin("sede = 3")
    assert main(["check", "-", "--format", "concise"]) == 1
    assert "<stdin>:1:1: error[E102]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "flags", "code"),
    [
        ("seed = ", ["--syntax", "dagent"], "E021"),
        ("seed = ", ["--syntax", "yaml"], "E035"),
        ("", [], "E003"),
        (b"\xff", [], "E004"),
        ("seed: 1", ["--fix", "--format", "json"], "E831"),
        ("seed: 1", ["--fix", "--diff"], "E831"),
    ],
)
def test_odd_standard_input(
    stdin: Any, text: str | bytes, flags: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin(text)
    assert main(["check", "-", *flags]) == 1
    said = capsys.readouterr()
    assert code in said.err + said.out


def test_the_syntax_is_for_standard_input_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "a.dagent", "--syntax", "yaml"]) == 1
    assert "E831" in capsys.readouterr().err


# --- colour --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "flag", "coloured"),
    [
        ({}, [], False),  # a test's output is no terminal
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "0"}, [], False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"NO_COLOR": "1"}, ["--color", "always"], True),
        ({"FORCE_COLOR": "1"}, ["--color", "never"], False),
        ({"FORCE_COLOR": "1"}, ["--color", "auto"], True),
    ],
)
def test_colour_only_where_wanted(
    env: dict[str, str],
    flag: list[str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.setenv(name, env.get(name, ""))
    assert main(["check", "none.dagent", *flag]) == 1
    assert ("\x1b[" in capsys.readouterr().err) is coloured
