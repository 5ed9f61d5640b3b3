"""Guards, from every round to what comes out: base, champion, and how sure the difference is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import jsonschema
import pytest
from scipy import stats

import dagent.specs as specs
from dagent.compiler.pipeline import compile
from dagent.runtime.cards import model_card
from dagent.runtime.executor import Run
from dagent.runtime.history import keep_plan
from dagent.runtime.journal import read_events
from dagent.runtime.lanes import Lane, of_variant
from dagent.runtime.outcome import outcome
from dagent.runtime.projection import final_metrics, round_series
from dagent.runtime.report.page import render
from dagent.runtime.status import journal_path, latest
from dagent.runtime.steps import benchmark
from dagent.runtime.view import summary

GUARDS = """\
data old  { role = guard  path = "old.jsonl" }
data rare { role = guard  path = "rare.jsonl" }
data test"""
WATCHED = "guard old { max_drop = 60pp }  guard rare { max_drop = 5pp }  require"
REQUIRED = f"{WATCHED} accuracy >= 60% on old  require accuracy >= 99% on rare  require"


def guarded(stub: ModuleType, folder: Path, watched: str = WATCHED, more: str = "") -> Path:
    spec = stub.SPEC.replace("data test", GUARDS).replace("require", watched) + more
    made: Path = stub.make_project(folder, spec)
    for name, first in (("old", 700), ("rare", 800)):
        rows = [{"prompt": f"{a}+1", "answer": str(a + 1)} for a in range(first, first + 60)]
        (made / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return made


def forgets(stub: ModuleType, wrong: Callable[[int], bool]) -> type[Any]:
    """A worker whose students, once trained, answer guard rows wrongly where ``wrong`` says so; the
    base answers all of them rightly but one in thirty."""

    class Forgets(stub.StubWorker):  # type: ignore[misc, name-defined]
        def _answer(self, request: dict[str, Any]) -> list[str]:
            trained = (Path(request["model"]) / "model.safetensors").read_bytes() != stub.UNTRAINED
            answers = super()._answer(request)
            for n, prompt in enumerate(request["prompts"]):
                a = int(prompt.partition("+")[0])
                if 700 <= a < 900:
                    missed = wrong(a) if trained else a % 30 == 0
                    answers[n] = "?" if missed else str(eval(prompt))
            return answers

    return Forgets


def journal(folder: Path) -> list[dict[str, Any]]:
    return read_events(journal_path(folder, latest(folder) or ""))


def scores(folder: Path, step: str) -> list[float]:
    (event,) = [e for e in journal(folder) if e["event"] == "step_finished" and e["step"] == step]
    lines = (folder / ".dagent/store" / event["outputs"]["answers"]["path"]).read_text()
    return [json.loads(line)["scores"]["accuracy"] for line in lines.splitlines()]


@pytest.fixture(scope="module")
def done(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = guarded(stub, tmp_path_factory.mktemp("guards"), REQUIRED)
    stub.run_project(folder, make_worker=forgets(stub, lambda a: a < 800 and a % 3 == 0))
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    return folder


def test_every_guard_is_quoted_with_its_interval_and_test(done: Path) -> None:
    end = journal(done)[-1]
    assert end["champion"]["round"] > 0
    old, rare = end["watched"]
    assert (old["name"], old["metric"], old["rows"]) == ("old", "accuracy", 60)
    assert (old["max_drop_pp"], rare["max_drop_pp"]) == (60, 5)
    for name, told in (("old", old), ("rare", rare)):
        base, champion = scores(done, f"r0.guard.{name}"), scores(done, f"champion.guard.{name}")
        assert champion == scores(done, f"r{end['champion']['round']}.guard.{name}")
        assert (told["base"], told["champion"]) == (sum(base) / 60, sum(champion) / 60)
        fixed = sum(n > o for o, n in zip(base, champion, strict=True))
        broken = sum(n < o for o, n in zip(base, champion, strict=True))
        assert told["p"] == pytest.approx(stats.binomtest(fixed, fixed + broken).pvalue)
        low, high = told["ci"]
        assert low <= told["gain_pp"] <= high
    assert old["ci"][1] < 0, "it answered a third of them wrongly"
    assert rare["gain_pp"] == pytest.approx(100 * 2 / 60)
    assert old["p_holm"] == pytest.approx(2 * old["p"])
    assert rare["p_holm"] == rare["p"] == 0.5
    schema = json.loads((Path(specs.__path__[0]) / "events.schema.json").read_text())
    for event in journal(done):
        jsonschema.validate(event, schema)


def test_it_is_said_wherever_a_result_is_shown(done: Path) -> None:
    end, plan = journal(done)[-1], compile(done / "sums.dagent").plan
    old, _ = end["watched"]
    low, high = old["ci"]
    interval, points = f"{low:+.1f} to {high:+.1f}", f"{old['gain_pp']:+.1f} points"
    screen = next(x for x in summary(end, plan).splitlines() if x.startswith("  guard     old"))
    assert f"96.7 % → 66.7 %, {points} ({interval}), two-sided p = " in screen
    assert screen.endswith("adjusted (Holm); may lose 60.0")
    card = model_card(outcome(journal(done), done), "sums", adapter=False)
    assert f"| `old` | accuracy | 60 | 96.7 % | 66.7 % | {points}, 95 % interval {interval}" in card
    page = render(journal(done), done)
    assert "Guards and tasks" in page
    assert interval in page
    assert final_metrics(end)["end/old/champion"] == old["champion"]
    assert final_metrics(end)["end/old/gain_low_pp"] == low


def test_a_goal_on_a_guard_is_judged_on_the_champion(done: Path) -> None:
    end, plan = journal(done)[-1], compile(done / "sums.dagent").plan
    champion = sum(scores(done, "champion.guard.old")) / 60
    said = {r["says"]: (r["set"], r["met"], r["value"]) for r in end["requirements"]}
    assert said[f"accuracy >= 0.6 on old: reached {champion:.3f}"] == ("old", True, champion)
    assert said["accuracy >= 0.99 on rare: reached 1.000"] == ("rare", True, 1.0)
    assert "  met       accuracy >= 0.6 on old: reached 0.667" in summary(end, plan).splitlines()


def test_a_goal_on_a_guard_that_is_missed_is_said_and_refuses_no_round(
    stub: ModuleType, tmp_path: Path
) -> None:
    folder = guarded(stub, tmp_path / "p", REQUIRED.replace("60% on old", "99.9% on old"))
    stub.run_project(folder, make_worker=forgets(stub, lambda a: a % 30 == 0))
    end = journal(folder)[-1]
    assert [r["met"] for r in end["requirements"]] == [False, False, True]
    assert (end["met"], end["champion"]["round"] > 0) == (False, True)


def test_the_champion_is_not_asked_again(done: Path) -> None:
    asked = {e["step"] for e in journal(done) if e["event"] == "step_started"}
    assert {"r0.guard.old", "r1.guard.old"} < asked
    assert not {"champion.guard.old", "champion.guard.rare"} & asked


def test_every_round_tells_what_its_student_reached(done: Path) -> None:
    rounds = [e for e in journal(done) if e["event"] == "round_finished"]
    for event in rounds:
        got = scores(done, f"r{event['round']}.guard.old")
        assert event["guards"]["old"] == sum(got) / 60
        assert round_series(event, journal(done))["guard/old"] == event["guards"]["old"]


def test_a_reason_quotes_the_interval_of_the_fall(stub: ModuleType, tmp_path: Path) -> None:
    folder = guarded(stub, tmp_path / "p")
    stub.run_project(folder, make_worker=forgets(stub, lambda a: a >= 800 and a % 3 == 0))
    events = journal(folder)
    (reason,) = {e["reason"] for e in events if e.get("round") == 1 and "reason" in e}
    (gate,) = [e for e in events if e["event"] == "step_finished" and e["step"] == "r1.gate"]
    decision = folder / ".dagent/store" / gate["outputs"]["decision"]["path"]
    found = json.loads(decision.read_text())["guards"]["rare"]
    low, high = found["ci"]
    fell = -100 * (found["value"] - found["base"])
    assert low < -fell < high < 0
    assert (
        f"guard rare fell by {fell:.1f} points (95 % interval {-high:.1f} to {-low:.1f}), "
        "5.0 allowed" in reason
    )
    end = events[-1]
    assert (end["champion"]["round"], end["watched"][1]["ci"]) == (0, [0, 0])


@pytest.mark.slow
def test_a_judge_guards_among_arms_and_each_is_charged_what_it_took(
    stub: ModuleType, serve: Any, load: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    """48 answers calibrate it; of the base it judges 40 on select, 60 of the guard and 120 on test,
    of each arm's student 40 and 60. Nothing is judged twice for the champion."""
    before = 48 + 40 + 60 + 120
    server = serve(load("agents/engineer.py").Engineer())
    judge = f'metric quality {{ grader = judge  lm = "openai/fake"  api_base = "{server.base}" }}'
    watched = f"{judge}  guard old {{ metric = quality  max_drop = 99pp }}  guard rare {{"
    folder = guarded(
        stub,
        tmp_path / "p",
        WATCHED.replace("guard old { max_drop = 60pp }  guard rare {", watched),
        "arms { seeds = [1]  arm blind { control = blind } }",
    )
    spec = folder / "sums.dagent"
    spec.write_text(spec.read_text().replace("rounds <= 3", "rounds <= 1"))
    stub.run_project(folder)
    events = journal(folder)
    for variant in ("loop/s1", "blind/s1"):
        own = of_variant(events, variant)
        calls = {e["key"] for e in own if "amounts" in e and e["key"].startswith("call:")}
        assert len(calls) == before + 100
    assert len(server.requests) == before + 2 * 100


METRIC = """\
metric maths {
    task = "lm_eval:maths"  tasks = "tasks"  shots = 2  limit = 20 rows  metric = exact_match
  }
  require maths >= 40%
  require"""


@pytest.fixture(scope="module")
def asked(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """A task as a metric: the base answers 5 of its 20 rows rightly, what was trained 10."""
    folder: Path = stub.make_project(
        tmp_path_factory.mktemp("task"), stub.SPEC.replace("require", METRIC)
    )
    (folder / "tasks").mkdir()
    (folder / "tasks" / "maths.yaml").write_text("task: maths")
    requests: list[dict[str, Any]] = []

    class Worker(stub.StubWorker):  # type: ignore[misc, name-defined]
        def call(self, task: str, progress: Any = None, **request: Any) -> Any:
            if task != "benchmark":
                return super().call(task, progress, **request)
            requests.append(request)
            trained = (Path(request["model"]) / "model.safetensors").read_bytes() != stub.UNTRAINED
            right = 10 if trained else 5
            return [{"id": f"maths:{n}", "scores": {"maths": float(n < right)}} for n in range(20)]

    with patch.object(benchmark, "check", lambda step, project: ()):
        stub.run_project(folder, make_worker=Worker)
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    return folder, requests


def test_a_task_may_be_a_metric_and_have_a_goal(asked: tuple[Path, list[Any]]) -> None:
    folder, requests = asked
    end, plan = journal(folder)[-1], compile(folder / "sums.dagent").plan
    assert end["champion"]["round"] > 0
    (maths,) = end["watched"]
    assert (maths["base"], maths["champion"], maths["rows"]) == (0.25, 0.5, 20)
    assert maths["p"] == pytest.approx(stats.binomtest(5, 5).pvalue)
    assert maths["ci"][0] > 0
    assert maths["max_drop_pp"] is None
    goal = end["requirements"][0]
    assert (goal["says"], goal["met"]) == ("maths >= 0.4: reached 0.500", True)
    said = summary(end, plan)
    assert "  also      maths 25.0 % → 50.0 %, +25.0 points (" in said
    assert "  met       maths >= 0.4: reached 0.500" in said
    assert final_metrics(end)["end/maths/champion"] == 0.5
    card = model_card(outcome(journal(folder), folder), "sums", adapter=False)
    assert "| `maths` | maths | 20 | 25.0 % | 50.0 % |" in card
    assert "No guard set was watched" in card
    assert "Guards and tasks" in render(journal(folder), folder)
    told = {k: requests[0]["asked"][k] for k in ("task", "tasks", "shots", "limit", "metric")}
    assert told == {
        "task": "maths", "tasks": "tasks", "shots": 2, "limit": 20, "metric": "exact_match"
    }  # fmt: skip


def test_a_task_that_is_a_metric_is_measured_at_both_ends_alone(
    asked: tuple[Path, list[Any]],
) -> None:
    folder, requests = asked
    steps = [e["step"] for e in journal(folder) if e["event"] == "step_finished"]
    assert [s for s in steps if "maths" in s] == ["r0.task.maths", "champion.task.maths"]
    assert steps.index("r0.task.maths") < steps.index("r1.plan"), "before anything is paid"
    assert len(requests) == 2
    rounds = [e for e in journal(folder) if e["event"] == "round_finished"]
    assert [e["guards"] for e in rounds] == [{}] * len(rounds)


def test_rounds_leave_the_time_that_a_task_takes_at_the_end(
    stub: ModuleType, tmp_path: Path
) -> None:
    folder = stub.make_project(tmp_path / "p", stub.SPEC.replace("require", METRIC))
    (folder / "tasks").mkdir()
    kept: list[dict[str, float]] = []

    class Worker(stub.StubWorker):  # type: ignore[misc, name-defined]
        def call(self, task: str, progress: Any = None, **request: Any) -> Any:
            if task != "benchmark":
                return super().call(task, progress, **request)
            time.sleep(1)
            return [{"id": "maths:0", "scores": {"maths": 1.0}}]

    def noted(run: Run, lane: Lane) -> dict[str, float]:
        kept.append(reserved(run, lane))
        return kept[-1]

    reserved = Run._kept
    ready = patch.object(benchmark, "check", lambda step, project: ())
    with ready, patch.object(Run, "_kept", noted):
        stub.run_project(folder, make_worker=Worker)
    seconds = {e["step"]: e["seconds"] for e in journal(folder) if e["event"] == "step_finished"}
    (wall,) = {k["wall"] for k in kept}
    test = 2 * seconds["r0.evaluate"] * 120 / 40  # of base and champion
    assert wall == pytest.approx(1.25 * (seconds["r0.task.maths"] + test))


def test_among_arms_the_champions_answers_are_charged_once(
    stub: ModuleType, tmp_path: Path
) -> None:
    def timed(log: Path, timing: Any) -> Any:
        class Worker(stub.StubWorker):  # type: ignore[misc, name-defined]
            def call(self, task: str, progress: Any = None, **request: Any) -> Any:
                with timing.holding(1):
                    timing.check(task)
                    time.sleep(0.002)
                    return super().call(task, progress, **request)

        return Worker(log, timing)

    arms = "arms { seeds = [1]  arm blind { control = blind } }"
    folder = guarded(stub, tmp_path / "p", more=arms)
    stub.run_project(folder, make_worker=timed)
    for variant in ("loop/s1", "blind/s1"):
        own = of_variant(journal(folder), variant)
        held = {e["key"] for e in own if e.get("amounts", {}).get("gpu")}
        assert [key for key in held if "r1.guard.old" in key]
        assert not [key for key in held if "champion.guard" in key]
