"""Whole runs, from compile to champion, whose models are asked in batches over real HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.cli import main
from dagent.runtime.journal import read_events
from dagent.runtime.lm.batch_log import waited_for
from dagent.runtime.lm.pace import Patience
from dagent.runtime.meter import Meter
from dagent.runtime.status import journal_path, latest

QUICK = Patience(first=0.01, most=0.05, silence=30.0, connect=20.0, linger=0.2)
PROGRAMS = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


def project(stub: ModuleType, folder: Path, base: str, more: str = "") -> Path:
    engineer = f'  lm = "openai/fake"\n  api_base = "{base}"\n  {more}\n'
    text = stub.SPEC.replace(PROGRAMS, engineer)
    text = text.replace("rounds <= 3", "rounds <= 1").replace("rows <= 60", "rows <= 30")
    made: Path = stub.make_project(folder, text)
    return made


def events(folder: Path) -> list[dict[str, Any]]:
    return read_events(journal_path(folder, latest(folder) or ""))


def outputs(folder: Path) -> dict[str, str]:
    """The content of every output of every step, but for plans: they name the server's port."""
    return {
        f"{e['step']}/{name}": output["path"]
        for e in events(folder)
        if e["event"] == "step_finished" and not e["step"].endswith(".plan")
        for name, output in e["outputs"].items()
    }


def calls(folder: Path) -> float:
    (end,) = [e for e in events(folder) if e["event"] == "execution_finished"]
    return float(end["spent"]["calls"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagent.runtime.lm.connect.Patience", lambda: QUICK)


@pytest.mark.usefixtures("quick")
def test_a_run_in_batches_gives_the_same_bytes_as_one_that_asks_directly(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    direct, batched = serve(engineers.Engineer()), serve(engineers.Engineer())
    plain = project(stub, tmp_path / "plain", direct.base)
    stub.run_project(plain)
    folder = project(stub, tmp_path / "batched", batched.base, "batch = true")
    stub.run_project(folder)
    assert outputs(folder) == outputs(plain)
    assert calls(folder) == calls(plain)
    roles = [
        {engineers.asks_for(line["body"]) for line in batched.batches.lines(batch)}
        for batch in batched.batches.begun
    ]
    assert {frozenset(r) for r in roles} == {
        frozenset({role}) for role in ("generator", "judge", "refiner")
    }
    inside = sum(len(batched.batches.lines(b)) for b in batched.batches.begun)
    asked = Counter(map(engineers.asks_for, batched.requests))
    assert inside == asked["generator"] + asked["judge"] + asked["refiner"]
    assert len(batched.batches.begun) < inside / 3


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import stub
from dagent.runtime.lm import connect
from dagent.runtime.lm.pace import Patience
patience = Patience(first=0.01, most=0.05, silence=30.0, connect=20.0, linger=0.2)
connect.Patience = lambda: patience
stub.run_project(Path(sys.argv[2]))
"""


@pytest.mark.usefixtures("quick")
def test_a_run_that_is_killed_in_a_wave_goes_on_with_the_same_batch(
    stub: ModuleType,
    engineers: ModuleType,
    serve: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = serve(engineers.Engineer())
    undisturbed = project(stub, tmp_path / "whole", whole.base, "batch = true")
    stub.run_project(undisturbed)

    holding = True

    def ending(batches: Any, batch: Any, looks: int) -> None:
        role = engineers.asks_for(batches.lines(batch)[0]["body"])
        if not holding or role != "generator":
            batches.end(batch, "completed")

    server = serve(engineers.Engineer(), ending=ending)
    folder = project(stub, tmp_path / "killed", server.base, "batch = true")
    run = [sys.executable, "-c", SCRIPT, str(Path(stub.__file__).parent), str(folder)]
    with subprocess.Popen(run, cwd=folder) as process:
        while not any(looks > 3 for looks in server.batches.looks.values()):
            assert process.poll() is None
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    begun = len(server.batches.begun)
    held = server.batches.begun[-1]
    waits = f"{len(server.batches.lines(held)):,} calls wait for {held['id']} at the provider"
    capsys.readouterr()
    assert main(["status", str(folder)]) == 0
    assert waits in capsys.readouterr().out
    holding = False
    stub.run_project(folder)
    assert main(["status", str(folder)]) == 0
    assert "calls wait for" not in capsys.readouterr().out
    assert outputs(folder) == outputs(undisturbed)
    assert calls(folder) == calls(undisturbed)
    assert server.answered == whole.answered, "nothing is asked for twice"
    assert len(server.batches.begun) > begun


def sent(server: Any) -> list[str]:
    batches = server.batches
    return sorted(line["custom_id"] for b in batches.begun for line in batches.lines(b))


@pytest.mark.usefixtures("quick")
def test_a_cap_on_time_ends_the_wait_and_a_higher_one_takes_the_batch_up(
    stub: ModuleType,
    engineers: ModuleType,
    serve: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The batch goes on at the provider, and the execution of the next plan pays for it no more."""
    whole = serve(engineers.Engineer())
    undisturbed = project(stub, tmp_path / "whole", whole.base, "batch = true")
    stub.run_project(undisturbed)

    late = [0.0]  # seconds that the clock of the run has jumped
    elapsed = Meter.elapsed.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Meter, "elapsed", property(lambda self: elapsed(self) + late[0]))
    holding = True

    def ending(batches: Any, batch: Any, looks: int) -> None:
        role = engineers.asks_for(batches.lines(batch)[0]["body"])
        if not holding or role != "generator":
            batches.end(batch, "completed")
        elif looks > 3:
            batch["request_counts"] = {"completed": 2}
        if holding and role == "generator" and looks > 8:
            late[0] = 3600.0

    server = serve(engineers.Engineer(), ending=ending)
    folder = project(stub, tmp_path / "capped", server.base, "batch = true")
    spec = folder / "sums.dagent"
    text = spec.read_text()
    spec.write_text(text.replace("rounds <= 1", "rounds <= 1  wall <= 3000 s"))
    outcome = stub.run_project(folder)
    assert "wall: the time is spent, and a batch is at the provider" in outcome.event["stop"]
    assert outcome.event["champion"]["test"] is not None
    held = server.batches.begun[-1]
    log = [e for e in events(folder) if e["event"] == "reserved"]
    found = waited_for(journal_path(folder, latest(folder) or "").with_name("batches.jsonl"), log)
    assert [batch["done"] for batch in found if batch["batch"] == held["id"]] == [2]

    holding, late[0] = False, 0.0
    spec.write_text(text.replace("rounds <= 1", "rounds <= 1  wall <= 9000 s"))
    stub.run_project(folder)
    assert outputs(folder) == outputs(undisturbed)
    assert server.answered == whole.answered, "nothing is asked for twice"
    assert held["status"] == "completed"
    assert sent(server) == sent(whole), "a call is in one batch"
    spent = {e["key"]: e["amounts"] for e in events(folder) if e["event"] == "settled"}
    assert all(spent[call["custom_id"]]["calls"] for call in server.batches.lines(held))


@pytest.mark.usefixtures("quick")
def test_an_optimiser_asks_directly(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    server = serve(engineers.Engineer())
    more = "batch = true\n  optimise generator { optimiser = bootstrap  calls = 120 calls }"
    folder = project(stub, tmp_path / "p", server.base, more)
    stub.run_project(folder)
    spent = [e for e in events(folder) if e["event"] == "settled"]
    optimising = [e for e in spent if "optimise.generator" in e["scopes"]]
    assert optimising
    inside = {line["custom_id"] for b in server.batches.begun for line in server.batches.lines(b)}
    assert inside
    assert not inside & {e["key"] for e in optimising}


def test_patience_for_a_wave_is_not_that_for_an_answer() -> None:
    """A day for the batch; a few batches at most for a call."""
    usual = Patience()
    batched = usual.of_batches
    assert batched.timeout(16_000) == usual.window > 24 * 3600
    assert batched.silence > usual.window
    assert batched.tries < usual.tries
    looks = [usual.look(n) for n in range(40)]
    assert looks == sorted(looks)
    assert looks[-1] == usual.most
