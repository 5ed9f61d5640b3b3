"""Caps on time: of accelerators, and of a round."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.runtime.accelerators import AHEAD, Holding, free_key
from dagent.runtime.journal import Journal
from dagent.runtime.meter import Meter, OutOfBudget
from dagent.runtime.status import latest, read_status, spent
from dagent.runtime.worker import ProcessWorker


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(tmp_path / "journal.jsonl")
    yield found
    found.close()


def test_accelerators_are_paid_ahead_and_settled(journal: Journal) -> None:
    now, meter = [0.0], Meter({"run": {}}, journal)
    holding = Holding(meter, "gpu:r1.train.1", ("round:1",), 2, lambda: now[0], 0.0)
    assert holding.check() is None
    assert meter.spent("gpu") == 2 * AHEAD
    now[0] = 100.0
    holding.check()
    assert meter.spent("gpu", "round:1") == 2 * (100 + AHEAD)
    assert holding.end() == 200.0
    assert meter.spent("gpu") == spent(journal.events)["gpu"] == 200.0


def test_a_killed_task_keeps_what_it_reserved_and_the_next_one_pays_anew(journal: Journal) -> None:
    now, meter = [0.0], Meter({"run": {"gpu": 50}}, journal)
    Holding(meter, free_key(meter, "r1.train"), (), 1, lambda: now[0], 0.0).check()
    again = Meter({"run": {"gpu": 50}}, journal)
    key = free_key(again, "r1.train")
    assert key == "gpu:r1.train.2"
    holding = Holding(again, key, (), 1, lambda: now[0], 0.0)
    assert holding.check() == 50 - AHEAD
    now[0] = 50 - AHEAD
    with pytest.raises(OutOfBudget, match="run gpu"):
        holding.check()
    holding.end()
    assert again.spent("gpu") == 50


class Accelerated:
    """The stand-in's worker on two accelerators; a task takes ``seconds``."""

    def __init__(self, stub: ModuleType, seconds: float) -> None:
        self.stub, self.seconds = stub, seconds

    def __call__(self, log: Path, timing: Any) -> Any:
        seconds = self.seconds

        class Worker(self.stub.StubWorker):  # type: ignore[misc,name-defined]
            def call(self, task: str, progress: Any = None, **request: Any) -> Any:
                with timing.holding(2):
                    until = time.monotonic() + seconds
                    while (left := until - time.monotonic()) > 0:
                        cap = timing.check(task)
                        time.sleep(left if cap is None else min(left, max(cap, 0.001)))
                    timing.check(task)
                    return super().call(task, progress, **request)

        return Worker(log, timing)


def test_rounds_end_at_the_cap_on_accelerators_and_leave_what_test_takes(
    stub: ModuleType, tmp_path: Path
) -> None:
    spec = stub.SPEC.replace("rounds <= 3", "rounds <= 3  gpu <= 2 s")
    outcome = stub.run_project(
        stub.make_project(tmp_path / "p", spec), make_worker=Accelerated(stub, 0.05)
    )
    assert "gpu" in outcome.event["stop"]
    assert 0 < outcome.event["spent"]["gpu"] <= 2
    assert outcome.event["champion"]["test"] is not None


def test_the_cap_on_a_round_does_not_hold_for_test(stub: ModuleType, tmp_path: Path) -> None:
    spec = stub.SPEC.replace("rows <= 60", "rows <= 60  wall <= 0.1 s")
    outcome = stub.run_project(
        stub.make_project(tmp_path / "p", spec), make_worker=Accelerated(stub, 0.06)
    )
    assert outcome.event["stop"].startswith("budget spent: round:1 wall")
    assert outcome.event["champion"]["round"] == 0
    assert outcome.event["base"]["test"] is not None


class Ticking:
    """The stand-in's worker on two accelerators; the clock stands still but for its tasks, each of
    which takes a second."""

    def __init__(self, stub: ModuleType) -> None:
        self.stub = stub
        self.tasks = 0

    def __call__(self, log: Path, timing: Any) -> Any:
        outer, now = self, [0.0]
        timing.clock = lambda: now[0]

        class Worker(self.stub.StubWorker):  # type: ignore[misc,name-defined]
            def call(self, task: str, progress: Any = None, **request: Any) -> Any:
                with timing.holding(2):
                    timing.check(task)
                    now[0] += 1.0
                    timing.check(task)
                    outer.tasks += 1
                    return super().call(task, progress, **request)

        return Worker(log, timing)


CALM = "arms { arm calm { set { engineer.prefer_wrong = 0 } } }"


def spent_by_arm(folder: Path) -> dict[str, dict[str, float]]:
    status = read_status(folder, latest(folder) or "", alive=False)
    return {arm["arm"]: arm["spent"] for arm in status["arms"]}


def test_every_variant_has_its_own_cap_on_accelerators(stub: ModuleType, tmp_path: Path) -> None:
    # A round of the loop asks the student four times, one of `calm` three times: 8 s and 6 s. The
    # base takes 2 s, and 15 s are kept for test, which has six times its rows.
    spec = stub.SPEC.replace("rounds <= 3", "rounds <= 3  gpu <= 37 s") + CALM
    folder, worker = stub.make_project(tmp_path / "p", spec), Ticking(stub)
    ends = stub.run_project(folder, make_worker=worker).event["by_variant"]
    assert ends["loop/s0"]["stop"].startswith("budget spent: run gpu")
    assert ends["calm/s0"]["stop"] is None
    spent = spent_by_arm(folder)
    assert {arm: s["rounds"] for arm, s in spent.items()} == {"loop": 2, "calm": 3}
    # Base on select, the rounds, base and champion on test.
    assert spent["loop"]["gpu"] == 2 + 2 * 8 + 4
    assert spent["calm"]["gpu"] == 2 + 3 * 6 + 4
    # What both need was done once and charged to each: the base's two, the first diagnosis, and
    # since both teach as many rows of each skill, which is all that a stand-in learns, its answers
    # after rounds 1 and 2 but for those to the candidates.
    assert spent["loop"]["gpu"] + spent["calm"]["gpu"] == 2 * worker.tasks + 6 * 2


def test_a_cap_on_a_round_ends_the_arms_that_exceed_it(stub: ModuleType, tmp_path: Path) -> None:
    spec = stub.SPEC.replace("rows <= 60", "rows <= 60  gpu <= 7 s") + CALM
    folder = stub.make_project(tmp_path / "p", spec)
    ends = stub.run_project(folder, make_worker=Ticking(stub)).event["by_variant"]
    assert ends["loop/s0"]["stop"].startswith("budget spent: round:1 gpu")
    assert ends["loop/s0"]["champion"]["round"] == 0
    assert spent_by_arm(folder)["calm"]["rounds"] == 3
    assert all(end["champion"]["test"] is not None for end in ends.values())


def test_a_cap_on_a_round_does_not_hold_for_the_base(stub: ModuleType, tmp_path: Path) -> None:
    spec = stub.SPEC.replace("rows <= 60", "rows <= 60  gpu <= 1 s")
    outcome = stub.run_project(stub.make_project(tmp_path / "p", spec), make_worker=Ticking(stub))
    assert outcome.event["stop"].startswith("budget spent: round:1 gpu")
    assert outcome.event["base"]["test"] is not None


def test_a_worker_is_stopped_when_its_accelerators_are_spent(
    journal: Journal, tmp_path: Path
) -> None:
    from dagent.compiler.plan import Step
    from dagent.runtime.lanes import Lane, Lanes

    endless = "import time; print('{\"holds\": 3}', flush=True); time.sleep(60)"
    lane = Lane("", Meter({"run": {"gpu": 1.5}}, journal))
    lanes = Lanes({"": lane}, {})
    worker = ProcessWorker(tmp_path / "log", lanes, (sys.executable, "-c", endless))
    step = Step("r1.train", "train", 1, {}, round=1)
    with lanes.at_work([lane], step), pytest.raises(OutOfBudget, match="run gpu"):
        worker.call("train")
    assert worker._process is None
    assert lane.meter.spent("gpu", "round:1") == lanes.held == 1.5
