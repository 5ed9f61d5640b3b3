"""A rehearsal finds what would break, asks no real server, and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.cli import main

PLAIN = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


@pytest.fixture
def project(stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``project(engineer, budget)``: a compiled project, the current folder."""

    def make(engineer: str, budget: str = "rounds <= 2") -> Path:
        text = stub.SPEC.replace(PLAIN, engineer).replace("rounds <= 3", budget)
        text = text.replace("rows <= 60", "rows <= 20")
        folder: Path = stub.make_project(tmp_path / "p", text)
        monkeypatch.chdir(folder)
        assert main(["compile"]) == 0
        return folder

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return make


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.name != "__pycache__"}


# Nothing listens there: a rehearsal that asked the real server would fail.
ALL = '  lm = "openai/fake"  api_base = "http://127.0.0.1:9/v1"\n'


@pytest.mark.parametrize("faults", [False, True])
def test_a_plan_of_models_alone_is_walked_to_its_end(
    project: Any, capsys: pytest.CaptureFixture[str], faults: bool
) -> None:
    folder = project(ALL)
    before = files(folder)
    capsys.readouterr()
    code = main(["rehearse", *(["--faults"] if faults else [])])
    said = capsys.readouterr().out.splitlines()
    assert code == 0, said
    assert all(line.startswith("[stand-in] ") for line in said)
    steps = json.loads((folder / "dagent.plan.json").read_text())["steps"]
    shown = {line.split()[1]: line.split()[2] for line in said}
    assert {s["id"] for s in steps} <= set(shown)
    assert {shown[s["id"]] for s in steps} == {"ok"}
    assert any("calls: " in line and "at most" in line for line in said)
    assert any("faults met" in line for line in said) == faults
    left = files(folder) - before
    assert not any(part in name for name in left for part in ("champion", "rehearsal/", "mlflow"))
    assert not any(name.startswith(".dagent/store/") for name in left)


def test_a_missing_key_and_a_budget_that_ends_are_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    project('  lm = "openai/gpt-4o"\n', "rounds <= 2  tokens <= 100k")
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "would break: E850" in said
    assert "OPENAI_API_KEY" in said
    assert "the budget ends" in said


def test_a_program_that_fails_on_a_row_of_a_new_form_is_found_at_its_step(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stub's verifier evaluates the question: what is no sum raises in it."""
    project(
        """  planner   { policy = error-driven }
  generator { lm = "openai/fake"  api_base = "http://127.0.0.1:9/v1" }
  verifier  { program = "sums.py:verify" }
"""
    )
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "would break: r1.generate: E815" in said
    assert "not reached: " in said


def test_a_call_that_does_not_fit_the_context_is_found(
    project: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "never sent")
    project('  lm = "openai/gpt-4"\n', "rounds <= 1")  # a context of 8192, an answer of 16000
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "its context holds 8,192" in said
    assert said.count("would break") == 1
