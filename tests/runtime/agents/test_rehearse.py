"""A rehearsal finds what would break, asks no real server, and leaves nothing behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.cli import main
from dagent.runtime.graders import TRUSTING
from dagent.runtime.rehearsal.findings import contexts
from dagent.runtime.sandbox import Sandbox

PLAIN = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


@pytest.fixture
def project(stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``project(engineer, budget)``: a compiled project, the current folder."""

    def make(engineer: str, budget: str = "rounds <= 2", more: str = "", code: str = "") -> Path:
        strategy = "program" if "teacher" in engineer else "curriculum"
        text = stub.SPEC.replace(PLAIN, engineer).replace("rounds <= 3", budget)
        text = text.replace("curriculum", strategy).replace("rows <= 60", "rows <= 20") + more
        folder: Path = stub.make_project(tmp_path / "p", text)
        with (folder / "sums.py").open("a") as file:
            file.write(code)
        monkeypatch.chdir(folder)
        assert main(["compile"]) == 0
        return folder

    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return make


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.name != "__pycache__"}


# Nothing listens there: a rehearsal that asked the real server would fail.
ALL = '  lm = "openai/fake"  api_base = "http://127.0.0.1:9/v1"\n'


BATCHES = ALL + "  batch = true\n"
PROGRAMS = """  author  { lm = "openai/author"  api_base = "http://127.0.0.1:9/v1" }
  teacher { lm = "openai/teacher"  api_base = "http://127.0.0.1:9/v1" }
"""
ARMS = """arms { seeds = [1, 2]  arm uniform { control = uniform } }"""


@pytest.mark.parametrize("faults", [False, True], ids=["fine", "faults"])
@pytest.mark.parametrize(
    ("engineer", "more"),
    [
        pytest.param(ALL, "", id="models"),
        pytest.param(BATCHES, "", id="batches", marks=pytest.mark.slow),
        pytest.param(PROGRAMS, "", id="program"),
        pytest.param(PLAIN, ARMS, id="arms"),
    ],
)
def test_a_plan_is_walked_to_its_end(
    project: Any, capsys: pytest.CaptureFixture[str], engineer: str, more: str, faults: bool
) -> None:
    folder = project(engineer, more=more)
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
    assert any("calls: " in line and "the estimate says up to" in line for line in said)
    assert any("faults met" in line for line in said) == (faults and engineer != PLAIN)
    left = files(folder) - before
    assert not any(part in name for name in left for part in ("champion", "rehearsal/", "mlflow"))
    assert not any(name.startswith(".dagent/store/") for name in left)


def test_a_question_that_does_not_fit_the_students_context_is_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(PLAIN)
    spec = folder / "sums.dagent"
    own = 'model = "builtin:tiny-python"  max_new_tokens = 126 tokens'
    spec.write_text(spec.read_text().replace('model = "./student"', own))
    assert main(["compile"]) == 0
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "would break: student: its longest question takes 7 tokens" in said
    assert "its context holds 128" in said


def test_an_author_that_leaves_nothing_valid_is_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One attempt a round, and the stand-in's first program breaks off."""
    project(PROGRAMS + "  attempts = 1\n")
    capsys.readouterr()
    assert main(["rehearse", "--faults"]) == 1
    said = capsys.readouterr().out
    assert "would break: r1.author: no valid submission in 1 programs" in said


def test_a_budget_that_ends_in_round_2_is_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    project(PROGRAMS, "rounds <= 2  per teacher { calls <= 4 }")
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "would break: round 2: the budget ends: budget spent: teacher calls" in said
    assert "help: raise the cap" in said


def test_a_cap_that_leaves_rounds_without_their_rows_is_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """No call is refused: the generator writes fewer rows than were planned."""
    project(ALL, "rounds <= 2  calls <= 120")
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert re.search(
        r"would break: round 1, r1.generate: the budget ends: .* since the caps leave", said
    )
    assert "help: raise the cap" in said


def test_a_verifier_that_refuses_every_right_row_is_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = PLAIN.replace("sums.py:verify", "sums.py:refuse")
    project(strict, code='def refuse(row):\n    return "no sum: " + row["prompt"]\n')
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "would break: r1.verify: all 50 right rows of dev that were tried are refused" in said
    assert "no sum: 0+0" in said


def test_a_missing_key_and_a_budget_that_ends_at_once_are_found(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    project('  lm = "openai/gpt-4o"\n', "rounds <= 2  tokens <= 100k")
    capsys.readouterr()
    assert main(["rehearse"]) == 1
    said = capsys.readouterr().out
    assert "would break: language models: E850 `openai/gpt-4o` needs a key" in said
    assert "help: export OPENAI_API_KEY=…" in said
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
    assert re.search(r"(\d+) of (?!\1 )\d+ steps in ", said)


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


@pytest.mark.parametrize("template", ["classification", "extraction"])
def test_a_template_is_rehearsed_once_a_model_engineers_it(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Answers that are JSON, and questions that are sentences with much in common."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--template", template]) == 0
    spec = tmp_path / "spec.dagent"
    text = spec.read_text()
    start, end = text.index("engineer {"), text.index("}\n\nbudget")
    text = f"{text[:start]}engineer {{\n{ALL}{text[end:]}"
    text = re.sub(r"rounds <= \d+", "rounds <= 1", re.sub(r"rows <= \w+ rows", "rows <= 40", text))
    spec.write_text(text)
    assert main(["compile"]) == 0
    capsys.readouterr()
    code = main(["rehearse"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert " 40 rows added" in said


def test_only_a_rehearsal_grades_code_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Else each of its rows would have two processes of its own."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--template", "code"]) == 0
    spec = tmp_path / "spec.dagent"
    text = spec.read_text().replace("rounds <= 3", "rounds <= 1")
    spec.write_text(text.replace("rows <= 400 rows", "rows <= 60 rows"))
    assert main(["compile"]) == 0
    assert TRUSTING not in (tmp_path / "dagent.plan.json").read_text()
    runs = []
    run = Sandbox.run
    monkeypatch.setattr(Sandbox, "run", lambda *args, **more: runs.append(1) or run(*args, **more))
    capsys.readouterr()
    assert main(["rehearse"]) == 0, capsys.readouterr().out
    rows = int(re.search(r"r1.verify +ok +(\d+) of \1 rows right", capsys.readouterr().out)[1])  # type: ignore[index]
    assert 0 < len(runs) < rows


@pytest.mark.slow  # to import LiteLLM takes seconds
def test_contexts_are_those_that_litellm_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm import model_cost

    told = {model: known.get("max_input_tokens") for model, known in model_cost.items()}
    assert contexts() == {model: most for model, most in told.items() if isinstance(most, int)}
