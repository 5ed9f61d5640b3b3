"""A file that the plan pinned and that changes during the run stops it, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.compiler import plan as plans
from dagent.dsl.diagnostics import Refused
from dagent.runtime.frozen import pinned
from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest

GRADED = ("grader = exact", 'grader = program  program = "grade.py:grade"')
GRADE = "def grade(answer, row):\n    return float(answer == row['answer'])\n"


def events(folder: Path) -> list[dict[str, Any]]:
    return read_events(journal_path(folder, latest(folder) or ""))


def graded(stub: ModuleType, folder: Path) -> Path:
    made: Path = stub.make_project(folder, stub.SPEC.replace(*GRADED))
    (folder / "grade.py").write_text(GRADE)
    return made


def editing(stub: ModuleType, folder: Path, when: Callable[[str, int], bool], name: str) -> Any:
    """A worker beside whose ``when``-th task somebody edits a file of the project."""

    class Worker(stub.StubWorker):  # type: ignore[misc, name-defined]
        def call(self, task: str, progress: Any = None, **request: Any) -> Any:
            done = super().call(task, progress, **request)
            if when(task, self.calls[task]):
                path = folder / name
                path.write_text(path.read_text() + "\n")
            return done

    return Worker


@pytest.mark.parametrize(
    ("name", "task", "number", "noticed"),
    [
        # While round 1's student answers: the step itself is not kept.
        ("grade.py", "answer", 4, "at step r1.evaluate"),
        ("dev.jsonl", "train", 1, "at the start of round 2"),
        ("test.jsonl", "train", 1, "at the start of round 2"),
        ("student/model.safetensors", "train", 3, "before test was opened"),
        ("sums.py", "train", 2, "at the start of round 3"),
    ],
)
def test_a_change_stops_the_run_and_what_was_put_back_goes_on(
    stub: ModuleType, tmp_path: Path, name: str, task: str, number: int, noticed: str
) -> None:
    folder = graded(stub, tmp_path / "p")
    before = (folder / name).read_text()
    worker = editing(stub, folder, lambda t, n: (t, n) == (task, number), name)
    with pytest.raises(Refused) as refused:
        stub.run_project(folder, make_worker=worker)
    (found,) = refused.value.diagnostics
    assert found.code == "E804"
    assert str(folder / name).startswith(found.file or "?")
    assert found.message.endswith(noticed)
    finished = [e["step"] for e in events(folder) if e["event"] == "step_finished"]
    assert noticed.removeprefix("at step ") not in finished
    (folder / name).write_text(before)
    stub.run_project(folder)
    ran = [e["step"] for e in events(folder) if e["event"] == "step_finished" and not e["reused"]]
    assert len(ran) == len(set(ran)), "nothing is done twice"
    assert events(folder)[-1]["event"] == "execution_finished"


def test_everything_that_a_plan_pins_is_watched(stub: ModuleType, tmp_path: Path) -> None:
    folder = graded(stub, tmp_path / "p")
    stub.run_project(folder)
    plan = plans.from_json(json.loads((folder / "dagent.plan.json").read_text()))
    watched = {p.name for step in plan.steps for (_, p), _ in pinned(step.params, folder)}
    assert watched == {"dev.jsonl", "test.jsonl", "student", "sums.py", "grade.py"}


SLOW = """
import os, pathlib, time
def grade(answer, row):
    pathlib.Path("graded").touch()
    time.sleep(0.02)
    return float(answer == row["answer"])
"""


@pytest.mark.slow
def test_on_the_command_line(stub: ModuleType, tiny: ModuleType, tmp_path: Path) -> None:
    """A real worker, a real student, and an editor saving the grader in the middle."""
    folder = graded(stub, tmp_path / "p")
    (folder / "grade.py").write_text(SLOW)
    spec = folder / "sums.dagent"
    spec.write_text(spec.read_text().replace('"./student"', '"builtin:tiny-python"'))
    env = {**os.environ, "NO_COLOR": "1"}
    dagent = [sys.executable, "-m", "dagent"]
    subprocess.run([*dagent, "compile"], cwd=folder, env=env, check=True, capture_output=True)
    run = subprocess.Popen(
        [*dagent, "execute"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 120
    while not (folder / "graded").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    (folder / "grade.py").write_text(SLOW.replace("0.02", "0"))
    said = run.communicate(timeout=120)[0].decode()
    assert run.returncode == 1, said
    assert "E804" in said
    assert "the program `grade.py` changed while the plan ran" in said
    assert "Traceback" not in said
