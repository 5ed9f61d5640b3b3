"""Language models alone engineer the built-in student, with one key, from a template."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

KEY = "sk-planted-0f3d9a6611c2"
PROGRAMS = """engineer {
  strategy = curriculum
  planner { policy = error-driven }
  generator { program = "programs.py:generate" }
  verifier { program = "programs.py:verify" }
}
"""


@pytest.mark.slow
@pytest.mark.xdist_group("real")
def test_models_alone_lift_the_student_on_test_with_a_key_and_nothing_else(
    load: Any, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    """The stand-in knows Python, and of the domain what prompts say; a tenth of its rows and of its
    judgements is wrong. Nothing that the run leaves holds the key, not the worker's log either."""
    server = serve(load("agents/pythonist.py").make(engineers))
    environment = {**os.environ, "OUR_KEY": KEY}

    def dagent(*words: str) -> str:
        run = [sys.executable, "-m", "dagent", *words]
        done = subprocess.run(
            run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    dagent("init")
    spec = tmp_path / "spec.dagent"
    text = spec.read_text()
    assert PROGRAMS in text
    asked = f'engineer {{ lm = "openai/any"  api_base = "{server.base}"  api_key = $key }}\n'
    text = text.replace(PROGRAMS, 'param key { env = "OUR_KEY"  secret = true }\n' + asked)
    spec.write_text(text.replace("rounds <= 3", "rounds <= 1").replace("1k rows", "600 rows"))
    said = [dagent(*words.split()) for words in ("compile", "execute", "status", "report")]

    found = json.loads(dagent("status", "--json"))
    assert found["champion"]["round"] == 1, found["rounds"]
    assert found["gain"]["ci"][0] > 20, "points on test"
    assert {h["Authorization"] for h in server.headers} == {f"Bearer {KEY}"}
    roles = Counter(engineers.asks_for(request) for request in server.requests)
    assert set(roles) == {"diagnoser", "planner", "generator", "judge", "refiner"}
    assert found["spent"]["calls"] == len(server.requests)

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"worker.log", "dagent.lock", "report.html"} <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert not [text for text in said if KEY in text]
