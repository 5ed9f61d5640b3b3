"""A planted key, looked for in everything that a whole run leaves behind."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
from dagent.runtime import tracking
from dagent.runtime.history import events_of
from dagent.runtime.lm import line
from dagent.runtime.report.page import render
from dagent.runtime.status import latest

KEY = "sk-planted-5b1f0c77a9e24d38"
PROGRAMS = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""
ENGINEER = """  lm = "openai/fake"
  api_base = "BASE"
  api_key = $key
  optimise generator { optimiser = bootstrap  calls = 90 calls }
"""


@pytest.mark.slow
def test_a_key_is_used_and_is_nowhere_afterwards(
    stub: ModuleType, engineers: ModuleType, lm_server: ModuleType, serve: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Plan, lock, journal, answers, store, an optimised program, MLflow's database and artifacts,
    the report, logs and screen; of a server that repeats the key in its errors, and refuses it in
    the end."""
    pytest.importorskip("mlflow", reason="the extra dagent[track] is not installed")
    monkeypatch.setenv("TEACHER_KEY", KEY)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.DEBUG)
    line.line.cache_clear()
    expired = False

    def fault(number: int, request: Any) -> Any:
        if expired:
            return lm_server.error(401, f"the key {KEY} has expired")
        return lm_server.error(500, f"debug: Bearer {KEY}") if number % 20 == 7 else None

    server = serve(engineers.Engineer(), faults=fault)
    text = stub.SPEC.replace(PROGRAMS, ENGINEER.replace("BASE", server.base))
    text = text.replace("rounds <= 3", "rounds <= 1").replace("rows <= 60", "rows <= 20")
    text = 'param key { env = "TEACHER_KEY"  secret = true }\n' + text
    folder = stub.make_project(tmp_path / "p", text)
    stub.run_project(folder)
    assert {h["Authorization"] for h in server.headers} == {f"Bearer {KEY}"}, "it was used"

    ended = threading.Event()
    ended.set()
    execution = latest(folder)
    assert execution
    tracking.follow(tracking.RunFolder(folder, execution), ended, poll=0.01)
    (folder / "report.html").write_text(render(events_of(folder, None), folder, alive=False))

    expired = True
    (folder / "sums.dagent").write_text(text.replace("Add numbers.", "Add two numbers."))
    with pytest.raises(Refused) as refused:
        stub.run_project(folder)
    said = [str(refused.value), str(refused.value.diagnostics), caplog.text, *capfd.readouterr()]
    assert not [text for text in said if KEY in text]

    files = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    kept = {"dagent.plan.json", "dagent.lock", "journal.jsonl", "answers.jsonl", "mlflow.db"}
    assert kept <= names
    assert any("mlruns" in str(path) or "mlartifacts" in str(path) for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    logged = [p for p in files if p.parts[-2:] == ("optimise.generator", "program.json")]
    assert logged, "the optimised program is with the run in MLflow"
    assert "state" in json.loads(logged[0].read_text())
