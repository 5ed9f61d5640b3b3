"""Language models engineer the data of a small project, over HTTP, from compile to champion."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest

STUB = Path(__file__).parents[1] / "stub.py"
PROGRAMS = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


def spec(stub: ModuleType, base: str, more: str = "", rounds: int = 1, rows: int = 30) -> str:
    text: str = stub.SPEC.replace(PROGRAMS, f'  lm = "openai/fake"\n  api_base = "{base}"\n{more}')
    assert base in text
    text = text.replace("rounds <= 3", f"rounds <= {rounds}")
    return text.replace("rows <= 60", f"rows <= {rows}")


def events(folder: Path) -> list[dict[str, Any]]:
    return read_events(journal_path(folder, latest(folder) or ""))


def outputs(folder: Path) -> dict[str, Path]:
    """Every output of every step."""
    return {
        f"{e['step']}/{name}": folder / ".dagent/store" / output["path"]
        for e in events(folder)
        if e["event"] == "step_finished"
        for name, output in e["outputs"].items()
    }


def rows(folder: Path, output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outputs(folder)[output].read_text().splitlines()]


@pytest.fixture(scope="module")
def engineered(
    stub: ModuleType,
    engineers: ModuleType,
    lm_server: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Any, Any]:
    """A project that a model engineered whole, the model, and the server with its requests."""
    engineer = engineers.Engineer(wrong=0.2, junk=0.04)
    with lm_server.Server(engineer) as server:
        text = spec(stub, server.base, rounds=2, rows=60)
        folder = stub.make_project(tmp_path_factory.mktemp("lm"), text)
        stub.run_project(folder)
    return folder, engineer, server


def test_the_student_learns_from_what_a_model_made(engineered: Any) -> None:
    folder, engineer, _ = engineered
    (end,) = [e for e in events(folder) if e["event"] == "execution_finished"]
    assert end["champion"]["test"] > end["base"]["test"]
    roles = {"diagnoser", "planner", "generator", "judge", "refiner"}
    assert roles <= set(engineer.spoken)
    assert end["spent"]["calls"] == sum(engineer.spoken.values())


def test_a_wrong_row_is_never_trained_on_and_never_lost(engineered: Any) -> None:
    folder, _, _ = engineered
    for number in (1, 2):
        made = rows(folder, f"r{number}.generate/candidates")
        kept = rows(folder, f"r{number}.refine/verified")
        lost = rows(folder, f"r{number}.refine/rejects")
        assert {r["id"] for r in made} == {r["id"] for r in kept} | {r["id"] for r in lost}
        assert all(eval(r["prompt"]) == int(r["answer"]) for r in kept)
        assert all(r["reason"] for r in lost)
        wrong = [r for r in made if r["prompt"] and eval(r["prompt"]) != int(r["answer"])]
        assert wrong
        repaired = {r["refined_from"] for r in kept if "refined" in r}
        assert {r["id"] for r in wrong} <= repaired | {r["id"] for r in lost}
        assert repaired


def test_an_answer_that_cannot_be_read_is_a_reject_with_its_text(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    server = serve(engineers.Engineer(junk=0.4))
    folder = stub.make_project(tmp_path / "p", spec(stub, server.base))
    stub.run_project(folder)
    lost = [r["reason"] for r in rows(folder, "r1.refine/rejects")]
    assert any("could not be read: I would rather talk about the weather" in r for r in lost)
    told = [r for r in server.requests if "could not be read" in r["messages"][-1]["content"]]
    assert told, "the second attempt says what was wrong with the first"


def test_every_kept_row_says_where_it_comes_from(engineered: Any) -> None:
    folder, _, _ = engineered
    items = {
        item["id"]: item
        for number in (1, 2)
        for item in json.loads(outputs(folder)[f"r{number}.plan/curriculum"].read_text())["items"]
    }
    for row in rows(folder, "r2.mix/train"):
        assert row["item"] in items
        assert row["weakness"] == items[row["item"]].get("weakness", "")
        assert (row["origin"], len(row["prompt_version"])) == ("openai/fake", 12)
        assert row["verdicts"][-1]["by"] == "judge"
        assert row["round"] == int(row["item"][1])
    assert any(item.get("weakness") for item in items.values())


def test_what_a_planner_may_not_is_refused_with_reasons(engineered: Any) -> None:
    folder, _, _ = engineered
    for number in (1, 2):
        plan = json.loads(outputs(folder)[f"r{number}.plan/curriculum"].read_text())
        assert sum(item["count"] for item in plan["items"]) == 60
        assert "juggling" in plan["refused"][0]["reason"]
        diagnosis = json.loads(outputs(folder)[f"r{number}.diagnose/diagnosis"].read_text())
        assert all("no-such-row" not in w["evidence"] for w in diagnosis["weaknesses"])
        assert diagnosis["refused"][0]["reason"] == "cites no failure that it was shown"
    archive = json.loads(outputs(folder)["r2.gate/archive"].read_text())
    assert [e["refused"][0]["skill"] for e in archive] == ["juggling", "juggling"]
    assert all(i["made"] >= i["verified"] >= i["added"] for e in archive for i in e["tried"])


def test_no_agent_ever_sees_a_select_or_a_test_row(engineered: Any) -> None:
    folder, _, server = engineered
    sent = "\n".join(m["content"] for r in server.requests for m in r["messages"])
    asked = set(re.findall(r"\b\d+\+\d+\b", sent))
    hidden = {r["prompt"] for r in rows(folder, "data.test/rows")}
    hidden |= {r["prompt"] for r in rows(folder, "split/select")}
    shown = {r["prompt"] for r in rows(folder, "split/diagnose")}
    assert not hidden & asked
    assert shown & asked, "the same search finds the rows that agents may see"


def test_killed_while_generating_a_run_pays_no_answer_twice(
    stub: ModuleType, engineers: ModuleType, lm_server: ModuleType, serve: Any, tmp_path: Path
) -> None:
    whole = serve(engineers.Engineer())
    stub.run_project(stub.make_project(tmp_path / "whole", spec(stub, whole.base)))
    seen: list[int] = []
    resumed = False

    def faults(number: int, request: dict[str, Any]) -> Any:
        """The first session gets three answers of the generator, and waits for the others."""
        if resumed or engineers.asks_for(request) != "generator":
            return None
        seen.append(number)
        return lm_server.Fault(hang=60, drop="before") if len(seen) > 3 else None

    server = serve(engineers.Engineer(), faults=faults)
    folder = stub.make_project(tmp_path / "killed", spec(stub, server.base))
    command = [sys.executable, str(STUB), str(folder), "0"]
    process = subprocess.Popen(command)
    while len(seen) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(0.3)  # the three answers reach the disk
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (log,) = folder.glob(".dagent/runs/*/answers.jsonl")
    paid = sum(line.endswith("\n") for line in log.open())
    assert paid >= server.answered - 3 > 40
    assert "r1.generate" not in {e["step"] for e in events(folder) if e["event"] == "step_finished"}
    before, resumed = len(server.requests), True
    assert subprocess.run(command, check=False).returncode == 0
    assert len(server.requests) - before == len(whole.requests) - paid
    for name, path in outputs(tmp_path / "whole").items():
        if "plan" not in name.split("/")[0]:
            assert outputs(folder)[name].name == path.name, name


def test_a_judge_that_cannot_tell_is_found_out_before_anything_is_generated(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    class Lenient(engineers.Engineer):  # type: ignore[misc,name-defined]
        def judge(self, given: dict[str, str], rng: Any) -> dict[str, Any]:
            return {"working": "w", "own_answer": "", "fault": "", "score": 10}

    server = serve(Lenient())
    folder = stub.make_project(tmp_path / "p", spec(stub, server.base))
    with pytest.raises(Refused, match="E656"):
        stub.run_project(folder)
    assert all(engineers.asks_for(r) == "judge" for r in server.requests)


def test_independent_answers_reject_what_a_lenient_judge_lets_pass(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    server = serve(engineers.Engineer(wrong=0.3))
    more = '  verifier { lm = "openai/fake"  judge = false  samples = 3 }\n'
    folder = stub.make_project(tmp_path / "p", spec(stub, server.base, more))
    stub.run_project(folder)
    kept = rows(folder, "r1.refine/verified")
    assert all(r["verdicts"][-1] | {"agree": 3, "of": 3} == r["verdicts"][-1] for r in kept)
    causes = {r["reason"] for r in rows(folder, "r1.verify/rejects")}
    assert "consistency: 0 of 3 independent answers agree" in causes


def test_a_program_goes_before_the_model_and_spares_its_calls(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    engineer = engineers.Engineer(wrong=0.3)
    server = serve(engineer)
    more = '  verifier { lm = "openai/fake"  program = "sums.py:verify" }\n'
    folder = stub.make_project(tmp_path / "p", spec(stub, server.base, more))
    stub.run_project(folder)
    judged = [r for r in server.requests if engineers.asks_for(r) == "judge"]
    sound = rows(folder, "r1.refine/verified")
    assert len(judged) == 48 + len(sound), "only what the program let pass, and the calibration"
    assert [v["by"] for v in sound[0]["verdicts"]] == ["sums.py:verify", "judge"]
    made = rows(folder, "r1.generate/candidates")
    assert len(sound) >= 60, "what the program rejects was asked for again"
    assert len(made) > 60


def test_every_second_round_takes_another_policy_where_the_spec_says_explore(
    stub: ModuleType, tmp_path: Path
) -> None:
    text = stub.SPEC.replace("strategy = curriculum", "strategy = curriculum\n  explore = 2 rounds")
    folder = stub.make_project(tmp_path / "p", text.replace("rounds <= 3", "rounds <= 4"))
    stub.run_project(folder)
    made = outputs(folder)
    planners = [
        json.loads(made[f"r{n}.plan/curriculum"].read_text())["planner"] for n in (1, 2, 3, 4)
    ]
    assert planners == ["error-driven", "matched", "error-driven", "uniform"]
