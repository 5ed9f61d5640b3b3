"""An execution as a whole: it learns, resumes to the same result, and keeps to the budget."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from dagent import specs
from dagent.cli import main
from dagent.compiler.digests import content_digest
from dagent.compiler.pipeline import compile
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.executor import forecast
from dagent.runtime.journal import read_events
from dagent.runtime.projection import final_metrics
from dagent.runtime.status import execution_id, journal_path, latest, read_status
from dagent.runtime.store import Store
from dagent.runtime.view import summary

STUB = Path(__file__).parent / "stub.py"


def journal(folder: Path) -> list[dict[str, Any]]:
    execution = latest(folder)
    assert execution
    return read_events(journal_path(folder, execution))


def digests(folder: Path) -> dict[str, str]:
    """Every output of every step, by the last word of the journal on it."""
    return {
        f"{e['step']}/{name}": output["digest"]
        for e in journal(folder)
        if e["event"] == "step_finished"
        for name, output in e["outputs"].items()
    }


@pytest.fixture(scope="module")
def whole(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was executed without interruption."""
    folder: Path = stub.make_project(tmp_path_factory.mktemp("whole"))
    stub.run_project(folder)
    return folder


def test_a_student_learns_and_the_gain_is_quoted(whole: Path) -> None:
    status = read_status(whole, latest(whole) or "", alive=False)
    assert status["state"] == "finished"
    assert status["champion"]["test"] > status["base"]["test"]
    assert status["gain"]["ci"][0] > 0
    assert status["gain"]["ci"][0] <= status["gain"]["test_pp"] <= status["gain"]["ci"][1]
    assert [r["round"] for r in status["rounds"]] == [0, 1, 2, 3]
    assert status["spent"]["rows"] == sum(r["rows"] for r in status["rounds"]) == 180
    assert status["spent"]["rounds"] == 3
    assert status["steps"]["reused"] == 0
    assert content_digest(whole / ".dagent/champion")


def test_rows_add_up_and_carry_their_lineage(whole: Path) -> None:
    made = digests(whole)
    store = Store(whole / ".dagent/store")
    for number in (1, 2, 3):
        train = store.get(made[f"r{number}.mix/train"])
        assert train
        rows = [json.loads(line) for line in train.path.read_text().splitlines()]
        assert len(rows) == 60 * number
        assert {row["round"] for row in rows} == set(range(1, number + 1))
        assert all(row["item"].startswith(f"r{row['round']}.") for row in rows)


def test_no_step_that_an_agent_feeds_reads_test_or_select(whole: Path) -> None:
    plan = compile(whole / "sums.dagent").plan
    readers = {
        s.kind
        for s in plan.steps
        for ref in s.inputs.values()
        if ref in ("split/select", "data.test/rows")
    }
    assert readers == {"evaluate", "decontaminate"}
    opened = [e["step"] for e in journal(whole) if e["event"] == "step_started"]
    assert opened[-3:] == ["test.base", "test.champion", "result"]


def test_executing_again_does_nothing(whole: Path, stub: ModuleType) -> None:
    before = len(journal(whole))
    outcome = stub.run_project(whole)
    assert outcome.already
    assert len(journal(whole)) == before


def test_forcing_a_step_runs_it_and_what_did_not_change_is_reused(
    stub: ModuleType, tmp_path: Path
) -> None:
    folder = stub.make_project(tmp_path / "p")
    stub.run_project(folder)
    before = digests(folder)
    trained: list[int] = []

    class Counting(stub.StubWorker):  # type: ignore[misc,name-defined]
        def _train(self, request: dict[str, Any]) -> dict[str, Any]:
            trained.append(1)
            found: dict[str, Any] = super()._train(request)
            return found

    stub.run_project(folder, force=("r2.train",), make_worker=Counting)
    assert len(trained) == 1
    assert digests(folder) == before


def test_another_seed_shares_what_does_not_depend_on_it(stub: ModuleType, tmp_path: Path) -> None:
    folder = stub.make_project(tmp_path / "p")
    stub.run_project(folder)
    spec = folder / "sums.dagent"
    spec.write_text("seed = 1\n" + spec.read_text())
    stub.run_project(folder)
    reused = {e["step"] for e in journal(folder) if e["event"] == "step_finished" and e["reused"]}
    assert {"data.dev", "data.test", "student", "test.base"} <= reused
    assert "r1.train" not in reused


def test_a_dry_run_foresees_what_happens(stub: ModuleType, tmp_path: Path) -> None:
    folder = stub.make_project(tmp_path / "p")
    plan = compile(folder / "sums.dagent").plan
    store = Store(folder / ".dagent/store")
    assert {f.action for f in forecast(plan, store)} == {"run"}
    stub.run_project(folder)
    assert {f.action for f in forecast(plan, store)} == {"reuse"}
    forced = {f.step.id: f.action for f in forecast(plan, store, ("r3.train",))}
    assert forced["r3.train"] == "run"
    assert forced["r3.mix"] == "reuse"


def test_the_cap_on_calls_ends_the_rounds_and_is_not_exceeded(
    stub: ModuleType, tmp_path: Path
) -> None:
    folder = stub.make_project(tmp_path / "p")
    plan = compile(folder / "sums.dagent").plan
    calls = read_calls(stub, folder)
    capped = stub.make_project(tmp_path / "capped")
    spec = capped / "sums.dagent"
    spec.write_text(spec.read_text().replace("rounds <= 3", f"rounds <= 3  calls <= {calls}"))
    stub.run_project(capped)
    status = read_status(capped, latest(capped) or "", alive=False)
    assert status["spent"]["calls"] <= calls
    assert status["state"] == "finished"
    assert plan.rounds == 3


def read_calls(stub: ModuleType, folder: Path) -> int:
    """The calls of a run without a cap: exactly enough, and what the compiler finds enough."""
    stub.run_project(folder)
    return int(read_status(folder, latest(folder) or "", alive=False)["spent"]["calls"])


def test_a_training_that_diverges_costs_its_round_alone(stub: ModuleType, tmp_path: Path) -> None:
    class Diverging(stub.StubWorker):  # type: ignore[name-defined,misc]
        def _train(self, request: dict[str, Any]) -> dict[str, Any]:
            if self.calls["train"] == 2:
                raise Refused(Diagnostic("E870", "the loss is nan at step 4", suggestion="wait"))
            return dict(super()._train(request))

    folder = stub.make_project(tmp_path / "diverging")
    stub.run_project(folder, make_worker=Diverging)
    rounds = [e for e in journal(folder) if e["event"] == "round_finished"]
    assert [r["round"] for r in rounds] == [0, 1, 2, 3]
    assert "the loss is nan at step 4: wait" in rounds[2]["reason"]
    assert not rounds[2]["accepted"]
    assert rounds[2]["champion_round"] == rounds[1]["champion_round"]
    assert rounds[3]["rows_total"] == 180  # its rows were not at fault, and are trained on later
    assert rounds[3]["accepted"]


def test_a_program_that_raises_is_named_with_its_line(
    stub: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stub.make_project(tmp_path / "p")
    program = folder / "sums.py"
    program.write_text(program.read_text().replace("rows = []", "rows = [1 / 0]"))
    with pytest.raises(Refused) as refused:
        stub.run_project(folder)
    (finding,) = refused.value.diagnostics
    assert finding.code == "E815"
    assert "ZeroDivisionError" in finding.message
    assert "sums.py:6" in finding.notes[0].message
    assert journal(folder)[-1]["event"] == "execution_stopped"
    assert main(["status", str(folder)]) == 0
    assert f"  E815: {finding.message}" in capsys.readouterr().out


def killed_after(folder: Path, events: int) -> bool:
    """Execute in a process that dies after so many events; whether it died."""
    done = subprocess.run(
        [sys.executable, str(STUB), str(folder), str(events)], capture_output=True, timeout=120
    )
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode == -9


def check_killed(stub: ModuleType, whole: Path, folder: Path, events: int) -> None:
    stub.make_project(folder)
    assert killed_after(folder, events)
    trained_before = {
        e["step"] for e in journal(folder) if e["event"] == "step_finished" and e["kind"] == "train"
    }
    assert not killed_after(folder, 0)
    assert digests(folder) == digests(whole)
    finished = [e for e in journal(folder) if e["event"] == "execution_finished"]
    assert len(finished) == 1
    reference = next(e for e in journal(whole) if e["event"] == "execution_finished")
    for field in ("base", "champion", "gain", "requirements"):
        assert finished[0][field] == reference[field]
    for unit in ("rows", "rounds", "calls"):
        assert finished[0]["spent"][unit] == reference["spent"][unit]
    # Nothing trained twice that was complete.
    starts = [e["step"] for e in journal(folder) if e["event"] == "step_started"]
    assert all(starts.count(step) == 1 for step in trained_before)
    rounds = [e["round"] for e in journal(folder) if e["event"] == "round_finished"]
    assert rounds == [0, 1, 2, 3]


def test_killed_at_some_events_a_run_resumes_to_the_same_result(
    stub: ModuleType, whole: Path, tmp_path: Path
) -> None:
    size = len(journal(whole))
    for events in sorted({2, size // 2, size - 1}):
        check_killed(stub, whole, tmp_path / str(events), events)


@pytest.mark.slow
def test_killed_at_every_event_a_run_resumes_to_the_same_result(
    stub: ModuleType, whole: Path, tmp_path: Path
) -> None:
    for events in range(1, len(journal(whole))):
        check_killed(stub, whole, tmp_path / str(events), events)


def test_two_executions_of_one_folder_do_not_mix(stub: ModuleType, tmp_path: Path) -> None:
    from dagent.runtime.execution import locked

    folder = stub.make_project(tmp_path / "p")
    with locked(folder), pytest.raises(Refused) as refused:
        stub.run_project(folder)
    assert refused.value.diagnostics[0].code == "E816"


def test_an_execution_is_named_after_its_plan(whole: Path) -> None:
    assert latest(whole) == execution_id(compile(whole / "sums.dagent").plan.id)


def test_of_several_metrics_each_is_quoted_with_a_p_adjusted_for_their_number(
    stub: ModuleType, tmp_path: Path
) -> None:
    spec = stub.SPEC.replace(
        "criteria { metric accuracy { grader = exact }",
        "criteria { metric accuracy { grader = exact }  metric near { grader = numeric  "
        "tolerance = 5 }",
    )
    folder = stub.make_project(tmp_path / "several", spec)
    stub.run_project(folder)
    end = journal(folder)[-1]
    first, second = end["metrics"]
    assert (first["name"], second["name"]) == ("accuracy", "near")
    assert first["champion"] == end["champion"]["test"]
    assert first["gain_pp"] == pytest.approx(end["gain"]["test_pp"])
    smaller, larger = sorted((first, second), key=lambda m: float(m["p"]))
    assert smaller["p_holm"] == pytest.approx(min(1.0, 2 * smaller["p"]))
    assert larger["p_holm"] == pytest.approx(max(larger["p"], smaller["p_holm"]))
    assert final_metrics(end)["test/near/p_holm"] == second["p_holm"]
    said = summary(end, compile(folder / "sums.dagent").plan)
    assert "also      near" in said
    schema = json.loads((Path(specs.__path__[0]) / "events.schema.json").read_text())
    for event in journal(folder):
        jsonschema.validate(event, schema)
