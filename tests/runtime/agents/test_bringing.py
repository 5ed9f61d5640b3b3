"""Rows whose answers are run to be judged: the model that writes them brings tests or tables."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.cli import main
from dagent.runtime.rehearsal.serving import inputs
from dagent.runtime.telling import telling

TEMPLATES = Path(__file__).parents[3] / "specs" / "templates"


@pytest.mark.parametrize(
    ("template", "grader", "column", "causes"),
    [
        pytest.param(
            "code",
            "code",
            "tests",
            ("its tests pass an answer that does nothing", "its own answer fails the metric's"),
            marks=pytest.mark.slow,
        ),
        ("text-to-sql", "sql", "schema_sql", ("its query finds nothing in its tables",)),
    ],
)
def test_what_a_model_brings_is_run_before_its_row_is_kept(
    stub: ModuleType, engineers: ModuleType, load: Any, serve: Any, tmp_path: Path,
    template: str, grader: str, column: str, causes: tuple[str, ...],
) -> None:  # fmt: skip
    """The stand-in copies the form of the examples, and four of ten times brings tests that pass
    anything, tests that fail its own answer, or empty tables."""
    server = serve(load("agents/pythonist.py").make(engineers, slips=0.4))
    text = stub.SPEC.replace("grader = exact", f"grader = {grader}")
    model = f'lm = "openai/x"  api_base = "{server.base}"'
    text = text.replace('program = "sums.py:generate"', model)
    text = text.replace('verifier  { program = "sums.py:verify" }', f"refiner {{ {model} }}")
    text = text.replace("rounds <= 3", "rounds <= 1").replace("rows <= 60", "rows <= 30")
    folder = stub.make_project(tmp_path / "p", text)
    for name in ("dev.jsonl", "test.jsonl"):
        shutil.copy(TEMPLATES / template / name, folder / name)

    class Ignorant(stub.StubWorker):  # type: ignore[misc, name-defined]
        def _answer(self, request: dict[str, Any]) -> list[str]:
            return ["?"] * len(request["prompts"])

    stub.run_project(folder, make_worker=Ignorant)
    played = load("agents/playing.py").Played(folder, server, engineers.asks_for)
    example = json.loads(inputs(server.requests[0])["examples"])[0]
    assert {"prompt", "answer", "tests" if grader == "code" else "database"} <= example.keys()
    verified, rejects = played.rows("r1.verify/verified"), played.rows("r1.verify/rejects")
    assert len(verified) > 5
    assert telling(grader, {}, folder)(verified) == [None] * len(verified)
    said = Counter(row["reason"] for row in rejects)
    for cause in causes:
        assert sum(n for reason, n in said.items() if reason.startswith(cause)) > 3, said
    repaired = [row for row in played.rows("r1.refine/verified") if "refined" in row]
    mended = Counter(row["refined"] for row in repaired)
    assert any(reason.startswith(causes[0]) for reason in mended), said
    assert telling(grader, {}, folder)(repaired) == [None] * len(repaired)
    kept = played.rows("r1.mix/train")
    assert kept
    known = json.loads((folder / "dev.jsonl").read_text().splitlines()[0])
    assert {type(row[column]) for row in kept} == {type(known[column])}


def test_what_a_programs_rows_are_judged_by_is_shown_to_who_repairs_them(
    stub: ModuleType, engineers: ModuleType, load: Any, serve: Any, tmp_path: Path
) -> None:
    """And stays what it is: tables that a program made are no part of what a model may change."""
    server = serve(load("agents/pythonist.py").make(engineers))
    text = stub.SPEC.replace("grader = exact", "grader = sql").replace("rounds <= 3", "rounds <= 1")
    text = text.replace('verifier  { program = "sums.py:verify" }', "").replace("<= 60", "<= 20")
    text = text.replace(
        "  planner ", f'  refiner {{ lm = "openai/x"  api_base = "{server.base}" }}\n  planner '
    )
    folder = stub.make_project(tmp_path / "p", text)
    for name in ("dev.jsonl", "test.jsonl"):
        shutil.copy(TEMPLATES / "text-to-sql" / name, folder / name)
    shutil.copy(TEMPLATES / "text-to-sql" / "programs.py", folder / "tables.py")
    (folder / "sums.py").write_text(
        "from tables import generate as right\n"
        "def generate(skill, difficulty, n, seed):\n"
        "    rows = right(skill, difficulty, n, seed)\n"
        "    return rows[1:] + [{**rows[0], 'answer': 'selekt'}]\n"
    )

    class Ignorant(stub.StubWorker):  # type: ignore[misc, name-defined]
        def _answer(self, request: dict[str, Any]) -> list[str]:
            return ["?"] * len(request["prompts"])

    stub.run_project(folder, make_worker=Ignorant)
    asked = [inputs(r) for r in server.requests]
    assert asked
    for given in asked:
        assert given["reason"].startswith("its own answer fails the metric's grader: ")
        assert "database:\ncreate table" in given["reason"]
        assert "database" not in given


@pytest.mark.slow
@pytest.mark.parametrize("template", ["code", "text-to-sql"])
def test_a_rehearsal_brings_them_too(
    template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--template", template]) == 0
    spec = tmp_path / "spec.dagent"
    text = re.sub(r"  (planner|generator|verifier) \{.*\n", "", spec.read_text())
    text = text.replace("  strategy = curriculum", '  lm = "openai/gpt-5.2"')
    text = text.replace("rounds <= 3", "rounds <= 1").replace("400 rows", "20 rows")
    spec.write_text(text)
    assert main(["compile"]) == 0
    assert main(["rehearse"]) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    found = re.search(r"r1\.verify +ok +(\d+) of (\d+) rows right", said)
    assert found, said
    assert int(found[1]) > 0.8 * int(found[2]) > 20
