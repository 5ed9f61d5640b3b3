"""A small project and a stand-in for the worker, so that the runtime is tested without torch.

The stand-in's student is a file that holds how many rows of each skill it was trained on; it
answers a prompt rightly once that count passes a threshold which depends on the prompt alone. So
it learns from rows, forgets nothing, and is the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

UNTRAINED = (2).to_bytes(8, "little") + b"{}"  # a safetensors file without tensors
SPEC = """\
domain { name = sums  goal = "Add numbers." }
data dev  { role = dev   path = "dev.jsonl" }
data test { role = test  path = "test.jsonl" }
student { model = "./student" }
engineer {
  strategy = curriculum
  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
}
budget { rounds <= 3  per round { rows <= 60 } }
criteria { metric accuracy { grader = exact }  require accuracy >= 0.5 on test }
train sft { learning_rate = 1e-3 }
"""

PROGRAM = """
import random
SKILLS = ("add", "double")
def generate(skill, difficulty, n, seed, start=1000):
    rng = random.Random(f"{skill}{difficulty}{seed}")
    rows = []
    for _ in range(n):
        a, b = rng.randrange(start, 10**6), rng.randrange(10 ** difficulty)
        b = a if skill == "double" else b
        rows.append({"prompt": f"{a}+{b}", "answer": str(a + b)})
    return rows
def verify(row):
    return None if eval(row["prompt"]) == int(row["answer"]) else "wrong sum"
"""


def make_project(folder: Path, spec: str = SPEC) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sums.dagent").write_text(spec)
    (folder / "sums.py").write_text(PROGRAM)
    student = folder / "student"
    student.mkdir()
    (student / "config.json").write_text('{"model_type": "stub"}')
    (student / "model.safetensors").write_bytes(UNTRAINED)
    for name, first, size in (("dev", 0, 80), ("test", 400, 120)):
        rows = []
        for i in range(size):
            skill, level = ("add", "double")[i % 2], 1 + i % 3
            a = first + i
            b = a if skill == "double" else i % 7
            rows.append(
                {"prompt": f"{a}+{b}", "answer": str(a + b), "skill": skill, "difficulty": level}
            )
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


class StubWorker:
    """In place of ``runtime.worker.ProcessWorker``; ``calls`` counts what it was asked for."""

    def __init__(self, log: Path, wall_left: Any) -> None:
        self.calls: Counter[str] = Counter()

    def start(self) -> None: ...
    def stop(self) -> None: ...

    def call(self, task: str, progress: Any = None, **request: Any) -> Any:
        self.calls[task] += 1
        return self._train(request) if task == "train" else self._answer(request)

    def _train(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [json.loads(line) for line in Path(request["rows"]).read_text().splitlines()]
        known = self._known(request["model"]) + Counter(row["skill"] for row in rows)
        out = Path(request["out"])
        out.mkdir()
        (out / "config.json").write_text('{"model_type": "stub"}')
        (out / "model.safetensors").write_text(json.dumps(dict(known), sort_keys=True))
        Path(request["log"]).write_text('{"stage": "1.sft", "step": 1, "loss": 0.5}\n')
        return {
            "rows": len(rows),
            "loss": 0.5,
            "stages": [{"stage": "sft", "rows": len(rows)}],
            "memory": 0,
        }

    def _known(self, model: str) -> Counter[str]:
        told = (Path(model) / "model.safetensors").read_bytes()
        return Counter() if told == UNTRAINED else Counter(json.loads(told))

    def _answer(self, request: dict[str, Any]) -> list[str]:
        known = self._known(request["model"])
        answers = []
        for prompt in request["prompts"]:
            a, b = map(int, prompt.split("+"))
            needed = 20 + hashlib.sha256(prompt.encode()).digest()[0] % 100
            learned = known["double" if a == b else "add"]
            answers.append(str(a + b) if learned >= needed or needed < 45 else "?")
        return answers


class Quiet:
    """A view that shows nothing."""

    def __init__(self, plan: Any, meter: Any) -> None: ...
    def __enter__(self) -> Quiet:
        return self

    def __exit__(self, *error: object) -> None: ...
    def step(self, step: Any, reused: bool) -> None: ...
    def progress(self, done: int, total: int, **shown: object) -> None: ...
    def step_done(self, step: Any, action: Any, seconds: float, reused: bool) -> None: ...
    def round_done(self, event: Any) -> None: ...


def run_project(folder: Path, force: tuple[str, ...] = (), make_worker: Any = StubWorker) -> Any:
    """Compile the folder's spec and execute it with the stand-in, untracked."""
    from dagent.compiler import lock
    from dagent.compiler import plan as plans
    from dagent.compiler.pipeline import compile
    from dagent.runtime import execution, tracking

    compiled = compile(folder / "sums.dagent")
    plan = compiled.plan
    (folder / "dagent.plan.json").write_text(plans.dumps(plan))
    (folder / "dagent.lock").write_text(lock.dumps(compiled.lock))
    with (
        patch.object(tracking, "start", _untracked),
        patch.object(tracking, "catch_up", lambda project: []),
    ):
        return execution.execute(
            plan, folder, "dagent.plan.json", Quiet, force=force, make_worker=make_worker
        )


def _untracked(project: Path, execution: str) -> Any:
    from dagent.runtime import tracking

    return tracking.Tracker(tracking.RunFolder(project, execution))


def main() -> None:
    """``stub.py FOLDER N``: execute, and die by SIGKILL after the N-th event; 0 is never."""
    from dagent.runtime.journal import Journal

    left = int(sys.argv[2]) or -1
    append = Journal.append

    def killed(self: Journal, event: str, **fields: Any) -> Any:
        nonlocal left
        body = append(self, event, **fields)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return body

    Journal.append = killed  # type: ignore[method-assign]
    run_project(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
