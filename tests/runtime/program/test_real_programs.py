"""The program strategy for real: author and teacher over HTTP, the sandbox, TRL, MLflow; the
command line, killed twice. Only the models' server is no real one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.compiler.engineering import AT_ONCE

ROOT = Path(__file__).parents[3]
QUICKSTART = ROOT / "examples" / "quickstart"
SPEC = """
domain {{
  name = programs
  goal = "Predict exactly what a short Python program prints."
  answer = "The program's output and nothing else."
}}
data dev {{ role = dev  path = "dev.jsonl" }}
data test {{ role = test  path = "test.jsonl" }}
student {{ model = "builtin:tiny-python"  max_new_tokens = 32 tokens }}
engineer {{
  strategy = program
  author  {{ lm = "openai/author"  api_base = "{base}" }}
  teacher {{ lm = "openai/teacher"  api_base = "{base}" }}
}}
budget {{ rounds <= 2  calls <= 15k  per round {{ rows <= 600 rows }} }}
criteria {{ metric accuracy {{ grader = exact }}  require accuracy >= 45% on test }}
train sft {{
  learning_rate = 1.5e-3
  num_train_epochs = 6
  per_device_train_batch_size = 32
  activation_checkpointing = false
}}
"""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real")]


@pytest.fixture(scope="module")
def served(load: Callable[[str], ModuleType], lm_server: ModuleType) -> Iterator[Any]:
    sys.path.insert(0, str(QUICKSTART))
    import programs

    sys.path.remove(str(QUICKSTART))
    model = load("program/quickstart.py").Model(programs)
    with lm_server.Server(model) as server:
        yield server


def project(folder: Path, base: str) -> Path:
    folder.mkdir()
    (folder / "programs.dagent").write_text(SPEC.format(base=base))
    for name, rows in (("dev", 240), ("test", 400)):
        lines = (QUICKSTART / f"{name}.jsonl").read_text().splitlines(keepends=True)
        (folder / f"{name}.jsonl").write_text("".join(lines[:rows]))
    assert dagent(folder, "compile").returncode == 0
    return folder


def dagent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dagent", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)


def events(folder: Path) -> list[dict[str, Any]]:
    found = next(folder.glob(".dagent/runs/*/journal.jsonl"), None)
    lines = found.read_text().splitlines() if found else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def killed_once(folder: Path, reached: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Execute, and kill it all by SIGKILL once its journal says that it came so far."""
    command = [sys.executable, "-m", "dagent", "execute"]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 600
    while not reached(events(folder)):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def in_the_teachers_calls(found: list[dict[str, Any]]) -> bool:
    paid = [e for e in found if e["event"] == "settled" and "teacher" in e["scopes"]]
    return len(paid) > 300


def in_the_second_training(found: list[dict[str, Any]]) -> bool:
    return any(e["event"] == "step_started" and e["step"] == "r2.train" for e in found)


def outputs(folder: Path) -> dict[str, str]:
    return {
        f"{e['step']}/{name}": made["digest"]
        for e in events(folder)
        if e["event"] == "step_finished"
        for name, made in e["outputs"].items()
    }


@pytest.fixture(scope="module")
def whole(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Executed without a break."""
    folder = project(tmp_path_factory.mktemp("whole") / "p", served.base)
    done = dagent(folder, "execute")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_programs_teach_the_real_student(served: Any, whole: Path) -> None:
    end = events(whole)[-1]
    assert end["event"] == "execution_finished"
    assert end["gain"]["ci"][0] > 5, end["gain"]
    assert served.answer.states[:4] == ["draft", "debug", "repair", "improve"]
    took = end["programs"]
    assert (took["attempts"], took["valid"], took["mats"]) == (4, 2, 2.0)
    assert took["errors"] == {"ZeroDivisionError": 1, "too few rows": 1}
    # The author of round 2 trained and asked the real student by its tools.
    log = json.loads(next_path(whole, "r2.author", "log").read_text())
    assert log["attempts"][-1]["tools"]["train_model"] == 1


def next_path(folder: Path, step: str, output: str) -> Path:
    event = [e for e in events(folder) if e["event"] == "step_finished" and e["step"] == step][-1]
    return folder / ".dagent/store" / str(event["outputs"][output]["path"])


def test_killed_twice_it_gives_the_same_data_and_score_and_pays_once(
    served: Any, whole: Path, tmp_path: Path
) -> None:
    once = len(served.answer.asked)
    folder = project(tmp_path / "p", served.base)
    killed_once(folder, in_the_teachers_calls)
    killed_once(folder, in_the_second_training)
    done = dagent(folder, "execute")
    assert done.returncode == 0, done.stderr
    assert outputs(folder) == outputs(whole)
    first, second = events(whole)[-1], events(folder)[-1]
    assert [first[k] for k in ("base", "champion", "gain", "programs")] == [
        second[k] for k in ("base", "champion", "gain", "programs")
    ]
    # What was in flight when it was killed is asked again, and charged again; nothing else is.
    first_time, again = served.answer.asked[:once], served.answer.asked[once:]
    assert set(again) == set(first_time)
    assert 0 <= len(again) - len(first_time) <= AT_ONCE[0]
    assert second["spent"]["calls"] >= len(again)


def test_report_and_mlflow_show_the_curves(whole: Path) -> None:
    from mlflow.tracking import MlflowClient

    assert dagent(whole, "report").returncode == 0
    text = (whole / "report.html").read_text()
    assert "The author wrote 4 programs, 2.0 for each valid submission." in text
    assert "1 ZeroDivisionError" in text
    database = next(whole.glob(".dagent/**/*.db"))
    client = MlflowClient(f"sqlite:///{database}")
    runs = [
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id])
    ]
    (parent,) = [r for r in runs if "programs/mats" in r.data.metrics]
    assert parent.data.metrics["programs/mats"] == 2.0
    assert parent.data.metrics["programs/error_ZeroDivisionError"] == 1
    for series, steps in (
        ("diagnose/accuracy", [0, 1, 2]),
        ("select/accuracy", [0, 1, 2]),
        ("author/distinct_prompt", [1, 2]),
        ("author/mats", [1, 2]),
    ):
        assert [m.step for m in client.get_metric_history(parent.info.run_id, series)] == steps


def test_every_row_that_was_trained_on_names_the_calls_that_made_it(whole: Path) -> None:
    rows = [json.loads(line) for line in next_path(whole, "r2.submit", "added").open()]
    assert len(rows) == 600
    assert all(row["calls"] and row["origin"] == "openai/teacher" for row in rows)
