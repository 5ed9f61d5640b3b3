"""The real thing, small: TRL trains the built-in student in the worker; the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.digests import content_digest
from dagent.dsl.diagnostics import Failed
from dagent.runtime.worker import ProcessWorker

ROOT = Path(__file__).parents[2]
STUDENT = ROOT / "runtime" / "students" / "tiny_python"
QUICKSTART = ROOT / "examples" / "quickstart"
ARGS = {
    "learning_rate": 1.5e-3,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 32,
    "activation_checkpointing": False,
}

pytestmark = pytest.mark.xdist_group("real")


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessWorker]:
    found = ProcessWorker(tmp_path_factory.mktemp("worker") / "log")
    found.start()
    yield found
    found.stop()


def dev() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (QUICKSTART / "dev.jsonl").read_text().splitlines()]


def request(prompts: list[str], **changed: Any) -> dict[str, Any]:
    return {
        "model": str(STUDENT),
        "prompts": prompts,
        "template": None,
        "system": None,
        "max_new_tokens": 32,
        "batch": 64,
        "generation": {"do_sample": False},
        "seed": None,
    } | changed


def answers(worker: ProcessWorker, model: Path, batch: int, **changed: Any) -> list[str]:
    prompts = [row["prompt"] for row in dev()]
    found: list[str] = worker.call(
        "answer", **request(prompts, model=str(model), batch=batch, **changed)
    )
    return found


def train(
    worker: ProcessWorker,
    folder: Path,
    name: str,
    taught: list[dict[str, Any]] | None = None,
    **changed: Any,
) -> Path:
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in taught or dev()))
    request: dict[str, Any] = {
        "model": str(STUDENT),
        "rows": str(rows),
        "out": str(folder / name),
        "log": str(folder / f"{name}.log"),
        "stages": [{"stage": "sft", "args": ARGS}],
        "adapter": "full",
        "lora": {},
        "template": None,
        "system": None,
        "seed": 1,
        "checkpoints": str(folder / f"{name}.checkpoints"),
        "every": 300,
    } | changed
    worker.call("train", **request)
    return folder / name


def right(found: list[str]) -> float:
    return sum(a == row["answer"] for a, row in zip(found, dev(), strict=True)) / len(found)


def test_the_base_knows_the_primitives_and_little_more(worker: ProcessWorker) -> None:
    assert 0.2 <= right(answers(worker, STUDENT, 256)) <= 0.4


def test_an_answer_does_not_depend_on_the_batch_it_is_in(worker: ProcessWorker) -> None:
    one, other = answers(worker, STUDENT, 256), answers(worker, STUDENT, 7)
    assert sum(a != b for a, b in zip(one, other, strict=True)) <= 2  # ties of rounding


def test_drawn_answers_come_from_the_seed(worker: ProcessWorker) -> None:
    def drawn(seed: int, **generation: Any) -> list[str]:
        generation = {"do_sample": True, **generation}
        return answers(worker, STUDENT, 256, generation=generation, seed=seed)

    assert drawn(1, temperature=2.0) == drawn(1, temperature=2.0)
    assert drawn(1, temperature=2.0) != drawn(2, temperature=2.0)
    assert drawn(1, top_k=1) == answers(
        worker, STUDENT, 256
    )  # the likeliest token is the greedy one
    assert all("a" not in a[:-1] for a in drawn(1, stop_strings=["a"]))


def test_training_is_deterministic_by_seed_and_learns_what_it_is_shown(
    worker: ProcessWorker, tmp_path: Path
) -> None:
    first, again = train(worker, tmp_path, "a"), train(worker, tmp_path, "b")
    assert content_digest(first) == content_digest(again)
    assert content_digest(first) != content_digest(train(worker, tmp_path, "c", seed=2))
    stages = [{"stage": "sft", "args": {**ARGS, "num_train_epochs": 8}}]
    longer = train(worker, tmp_path, "d", stages=stages)
    assert right(answers(worker, longer, 256)) > right(answers(worker, STUDENT, 256)) + 0.1
    points = [json.loads(line) for line in (tmp_path / "d.log").read_text().splitlines()]
    assert points[-1]["loss"] < points[0]["loss"]


def test_lora_trains_an_adapter_and_merges_it(worker: ProcessWorker, tmp_path: Path) -> None:
    merged = train(
        worker, tmp_path, "lora", adapter="lora", lora={"r": 4, "target_modules": "all-linear"}
    )
    assert (merged / "model.safetensors").is_file()
    assert not list(merged.glob("adapter*"))
    assert content_digest(merged) != content_digest(STUDENT)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of another process")
def test_a_training_without_memory_is_told_so_and_the_worker_serves_on(
    worker: ProcessWorker, tmp_path: Path
) -> None:
    import resource

    worker.call("answer", **request([dev()[0]["prompt"]]))  # everything is loaded
    assert worker._process
    process = worker._process.pid
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
    limits = resource.prlimit(process, resource.RLIMIT_AS)
    # Each thread that a library still starts takes 128 MB of addresses, used or not.
    narrow = pages * resource.getpagesize() + 300_000_000 + 128_000_000 * (os.cpu_count() or 1)
    resource.prlimit(process, resource.RLIMIT_AS, (narrow, limits[1]))
    huge = [{"stage": "sft", "args": {**ARGS, "per_device_train_batch_size": 16000}}]
    many = [{**row, "prompt": row["prompt"] * 3} for row in dev()] * 40
    with pytest.raises(Failed, match="E813") as failed:
        train(worker, tmp_path, "out", many, stages=huge)
    assert "per_device_train_batch_size" in (failed.value.diagnostics[0].suggestion or "")
    resource.prlimit(process, resource.RLIMIT_AS, limits)
    train(worker, tmp_path, "again")
    assert worker._process.pid == process


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The quickstart with two rounds of a hundred rows."""
    folder = tmp_path / "quickstart"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".dagent", "dagent.*"))
    spec = folder / "quickstart.dagent"
    text = spec.read_text()
    assert "rounds <= 5" in text
    assert "2k rows" in text
    text = text.replace("rounds <= 5", "rounds <= 2").replace("2k rows", "100 rows")
    spec.write_text("\n".join(line for line in text.splitlines() if "require" not in line) + "\n")
    return folder


def dagent(folder: Path, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dagent", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.mark.slow
def test_compile_and_execute_survive_a_kill_in_the_middle_of_a_training(small: Path) -> None:
    compiled = dagent(small, "compile")
    assert compiled.returncode == 0, compiled.stderr
    first = subprocess.Popen(
        [sys.executable, "-m", "dagent", "execute"],
        cwd=small,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    journal = None
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and first.poll() is None:
        journal = next(small.glob(".dagent/runs/*/journal.jsonl"), None)
        if journal and '"step": "r1.train"' in journal.read_text():
            break
        time.sleep(0.1)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    status = json.loads(dagent(small, "status", "--json").stdout)
    assert status["state"] == "interrupted"
    done = dagent(small, "execute")
    assert done.returncode == 0, done.stderr
    assert "opened once" in done.stdout
    assert "Traceback" not in done.stderr
    status = json.loads(dagent(small, "status", "--json").stdout)
    assert status["state"] == "finished"
    assert len(status["rounds"]) == 3
    assert (small / ".dagent/champion/model.safetensors").is_file()
    assert journal
    starts = journal.read_text().count('"event": "step_started"')
    assert starts <= status["steps"]["run"] + 1  # only the step in flight was started twice


@pytest.mark.slow
def test_a_chain_learns_from_the_students_own_answers(small: Path) -> None:
    spec = small / "quickstart.dagent"
    text = spec.read_text().replace("rounds <= 2", "rounds <= 1").replace("100 rows", "40 rows")
    spec.write_text(text + "train dpo { learning_rate = 1e-4  num_train_epochs = 1 }\n")
    assert dagent(small, "compile").returncode == 0
    done = dagent(small, "execute")
    assert done.returncode == 0, done.stderr
    (journal,) = small.glob(".dagent/runs/*/journal.jsonl")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    (note,) = [e["note"] for e in events if e.get("step") == "r1.train" and "note" in e]
    assert note.startswith("trained on 40 rows: sft on 40, then dpo on ")
    assert not (small / ".dagent/store/unfinished").exists()


@pytest.mark.slow
def test_a_training_that_diverges_costs_its_round_and_the_run_goes_on(small: Path) -> None:
    """Twice in a row ends the rounds: a third would only be paid for."""
    spec = small / "quickstart.dagent"
    text = spec.read_text().replace("rounds <= 2", "rounds <= 3").replace("100 rows", "40 rows")
    for line, wild in {
        "learning_rate = 1.5e-3": "learning_rate = 1e30  logging_steps = 1",
        "num_train_epochs = 1": "num_train_epochs = 3",
        "warmup_steps = 0.1": "",
    }.items():
        assert line in text
        text = text.replace(line, wild)
    spec.write_text(text)
    assert dagent(small, "compile").returncode == 0
    done = dagent(small, "execute")
    assert "Traceback" not in done.stderr
    status = json.loads(dagent(small, "status", "--json").stdout)
    assert status["state"] == "finished", done.stderr
    assert status["champion"]["round"] == 0
    assert [r["accepted"] for r in status["rounds"]] == [True, False, False]
    assert "lower `learning_rate`" in status["rounds"][2]["reason"]


def test_a_stale_or_edited_plan_is_refused_with_what_changed(small: Path) -> None:
    assert dagent(small, "compile").returncode == 0
    spec = small / "quickstart.dagent"
    spec.write_text(spec.read_text().replace("100 rows", "120 rows"))
    done = dagent(small, "execute", "--dry-run")
    assert done.returncode == 1
    assert "E804" in done.stderr
    assert "100" in done.stderr
    assert "120" in done.stderr
    assert dagent(small, "compile").returncode == 0
    plan = small / "dagent.plan.json"
    plan.write_text(plan.read_text().replace('"rows": 120', '"rows": 121'))
    done = dagent(small, "execute", "--dry-run")
    assert done.returncode == 1
    assert "E805" in done.stderr


def test_what_is_missing_is_said_with_its_remedy(tmp_path: Path) -> None:
    for words, code in (
        (("compile",), "E801"),
        (("execute",), "E803"),
        (("status",), "E817"),
    ):
        done = dagent(tmp_path, *words)
        assert done.returncode == 1
        assert code in done.stderr
        assert "help:" in done.stderr
        assert "Traceback" not in done.stderr
