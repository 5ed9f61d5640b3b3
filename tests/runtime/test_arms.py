"""Arms executed: each as if alone, what they share once, resumed to the same comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.compiler.pipeline import compile
from dagent.runtime.executor import forecast
from dagent.runtime.journal import Journal, read_events
from dagent.runtime.lanes import lanes, of_variant
from dagent.runtime.statistics import difference_over_seeds, holm
from dagent.runtime.status import journal_path, latest, read_status
from dagent.runtime.store import Store

STUB = Path(__file__).parent / "stub.py"
ARMS = """
arms {
  seeds = [1, 2]
  arm uniform { control = uniform }
  arm one_shot { control = one_shot }
  arm ungated { control = ungated }
}
"""


def spec_of(stub: ModuleType) -> str:
    text: str = stub.SPEC
    return text + ARMS


def journal(folder: Path) -> list[dict[str, Any]]:
    return read_events(journal_path(folder, latest(folder) or ""))


def outputs(folder: Path) -> dict[str, str]:
    return {
        f"{e['step']}/{name}": output["digest"]
        for e in journal(folder)
        if e["event"] == "step_finished"
        for name, output in e["outputs"].items()
    }


@pytest.fixture(scope="module")
def whole(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = stub.make_project(tmp_path_factory.mktemp("arms"), spec_of(stub))
    stub.run_project(folder)
    return folder


def test_a_variant_ends_as_it_would_alone(whole: Path, stub: ModuleType, tmp_path: Path) -> None:
    alone = stub.make_project(tmp_path / "alone", "seed = 2\n" + stub.SPEC)
    stub.run_project(alone)
    mine, theirs = outputs(alone), outputs(whole)
    for name in ("r3.train/model", "r3.gate/kept", "result/result"):
        assert mine[name] == theirs[f"loop/s2/{name}"]
    status = read_status(whole, latest(whole) or "", alive=False)
    apart = read_status(alone, latest(alone) or "", alive=False)
    (variant,) = (a for a in status["arms"] if (a["arm"], a["seed"]) == ("loop", 2))
    for what in ("base", "champion", "gain", "rounds"):
        assert variant[what] == apart[what]
    assert variant["spent"]["rows"] == apart["spent"]["rows"]
    assert variant["spent"]["calls"] == apart["spent"]["calls"]


def test_a_shared_step_runs_once_and_is_charged_to_each(whole: Path) -> None:
    events = journal(whole)
    # The gate comes into play after the first training.
    done = [e for e in events if e["event"] == "step_finished" and "r1.generate" in e["step"]]
    assert ["loop/s1", "ungated/s1"] in [e["variants"] for e in done]
    for id in ("loop/s1", "ungated/s1"):
        held = {e["key"]: e["amounts"] for e in of_variant(events, id) if "amounts" in e}
        assert sum(a.get("calls", 0) for a in held.values()) == 3 * 120


def test_the_comparison_says_who_is_ahead_of_whom(whole: Path) -> None:
    status = read_status(whole, latest(whole) or "", alive=False)
    found = status["comparison"]
    assert [a["arm"] for a in found["arms"]] == ["loop", "one_shot", "ungated", "uniform"]
    for arm in found["arms"]:
        tests = [a["champion"]["test"] for a in status["arms"] if a["arm"] == arm["arm"]]
        assert arm["by_seed"] == tests
        assert arm["test"] == pytest.approx(sum(tests) / 2)
    ahead = {o["arm"]: o["pp"] for o in found["loop_minus"]}
    means = {a["arm"]: a["test"] for a in found["arms"]}
    assert ahead["uniform"] == pytest.approx(100 * (means["loop"] - means["uniform"]))


def test_the_champion_is_a_student_of_the_loop(whole: Path) -> None:
    end = journal(whole)[-1]
    assert end["best"].startswith("loop/")
    assert all(
        end["by_variant"][end["best"]]["champion"]["select"] >= ends["champion"]["select"]
        for id, ends in end["by_variant"].items()
        if id.startswith("loop/")
    )


def test_ungated_takes_every_student(whole: Path) -> None:
    status = read_status(whole, latest(whole) or "", alive=False)
    for arm in status["arms"]:
        if arm["arm"] == "ungated":
            assert all(r["accepted"] for r in arm["rounds"])
            assert arm["champion"]["round"] == 3


def test_an_arm_that_stops_does_not_stop_the_others(stub: ModuleType, tmp_path: Path) -> None:
    """Each lane has its own caps: here the whole budget of calls is that of one variant."""
    capped = spec_of(stub).replace("rounds <= 3", "rounds <= 3  calls <= 360")
    folder = stub.make_project(tmp_path / "p", capped)
    stub.run_project(folder)
    status = read_status(folder, latest(folder) or "", alive=False)
    assert {a["spent"]["calls"] for a in status["arms"]} == {360}
    assert all(len(a["rounds"]) == 4 for a in status["arms"])


@pytest.mark.slow
def test_a_killed_comparison_resumes_to_the_same(
    whole: Path, stub: ModuleType, tmp_path: Path
) -> None:
    events = [e for e in journal(whole) if e["event"] == "step_finished"]
    for number, at in enumerate((len(events) // 3, 2 * len(events) // 3)):
        folder = stub.make_project(tmp_path / str(number), spec_of(stub))
        seq = events[at]["seq"]
        killed = subprocess.run(
            [sys.executable, STUB, folder, str(seq)], capture_output=True, check=False
        )
        assert killed.returncode == -9, killed.stderr
        stub.run_project(folder)
        assert outputs(folder) == outputs(whole)
        again = read_status(folder, latest(folder) or "", alive=False)
        assert (
            again["comparison"]
            == read_status(whole, latest(whole) or "", alive=False)["comparison"]
        )


def test_a_dry_run_foresees_arms(whole: Path) -> None:
    plan = compile(whole / "sums.dagent").plan
    store = Store(whole / ".dagent/store")
    assert {f.action for f in forecast(plan, store)} == {"reuse"}


def test_a_lane_counts_its_own_seconds(whole: Path, tmp_path: Path) -> None:
    plan = compile(whole / "sums.dagent").plan
    time = [0.0]
    found = lanes(plan, Journal(tmp_path / "journal.jsonl"), lambda: time[0])
    by_id = {s.id: s for s in plan.steps}
    with found.at_work(found.of(by_id["loop/s1/r2.plan"]), by_id["loop/s1/r2.plan"]):
        time[0] += 7
    time[0] += 100
    with found.at_work(found.of(by_id["s1/r0.evaluate"]), by_id["s1/r0.evaluate"]):
        time[0] += 2
    assert found.by_id["loop/s1"].meter.elapsed == 9
    assert found.by_id["uniform/s1"].meter.elapsed == 2
    assert found.by_id["loop/s2"].meter.elapsed == 0


def test_differences_over_seeds() -> None:
    found = difference_over_seeds([0.5, 0.6, 0.7], [0.7, 0.7, 0.8])
    assert found.mean == pytest.approx(0.4 / 3)
    assert found.p == pytest.approx(0.0572, abs=1e-4)  # t = 4, two degrees of freedom
    assert found.low is not None
    assert found.low < 0 < found.mean
    same = difference_over_seeds([0.5, 0.6], [0.6, 0.7])
    assert (same.low, same.p) == (None, 1.0)
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_journals_hold_json(whole: Path) -> None:
    json.dumps(journal(whole), allow_nan=False)
