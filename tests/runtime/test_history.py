"""What can be asked of a finished execution: a step, a row's lineage, estimate against actual."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

import dagent.specs
from dagent.cli import main
from dagent.compiler.pipeline import compile
from dagent.compiler.plan import dumps
from dagent.runtime.history import STORE, executed, keep_plan, last_events, learn, seconds_of
from dagent.runtime.status import execution_id, plan_path


@pytest.fixture(scope="module")
def done(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = stub.make_project(tmp_path_factory.mktemp("done"))
    stub.run_project(folder)
    plan = compile(folder / "sums.dagent").plan
    (folder / "dagent.plan.json").write_text(dumps(plan), encoding="utf-8")
    return folder


def rows(folder: Path, step: str, output: str) -> list[dict[str, Any]]:
    found = executed(compile(folder / "sums.dagent").plan, _step(folder, step), folder)
    assert found
    return [json.loads(line) for line in (folder / found["outputs"][output]).open()]


def _step(folder: Path, id: str) -> Any:
    return compile(folder / "sums.dagent").plan.step(id)


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["show", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_step_and_what_became_of_it(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(done)
    found = ask(capsys, "r1.mix")
    assert {t["input"]: t["from"] for t in found["takes"]}["rows"] == "r1.decontaminate/rows"
    assert found["gives"] == {"train": ["r1.train"], "added": ["r1.gate"]}
    assert found["executed"]["state"] == "done"
    assert found["executed"]["metrics"]["added"] == 60
    for path in found["executed"]["outputs"].values():
        assert (done / path).is_file()
        assert path.startswith(STORE.as_posix())
    assert main(["show", "r1.mix"]) == 0
    text = capsys.readouterr().out
    for words in ("r1.mix: chooses this round's rows", "for r1.train", "seconds", "rows added"):
        assert words in text
    assert main(["show", "r1.mx"]) == 1
    assert "did you mean `r1.mix`?" in capsys.readouterr().err


def test_a_kept_row_tells_its_way_from_weakness_to_model(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(done)
    row = rows(done, "r2.mix", "added")[0]
    found = ask(capsys, "row", row["id"][:10])
    assert found["row"]["prompt"] == row["prompt"]
    steps = [p["step"] for p in found["lineage"]]
    assert steps[:4] == ["r2.diagnose", "r2.plan", "r2.generate", "r2.verify"]
    assert next(p for p in found["lineage"] if p["says"] == "chosen")["step"] == "r2.mix"
    assert any(p["step"] == "r2.mix…r3.mix" and p["says"] == "trained on" for p in found["lineage"])
    asked = next(p for p in found["lineage"] if p["step"] == "r2.plan")
    assert row["item"] in asked["says"]


def test_rows_that_nobody_asked_for(
    done: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(done)
    test = rows(done, "data.test", "rows")[0]
    assert [p["step"] for p in ask(capsys, "row", test["id"])["lineage"]] == ["data.test"]
    for words in (["row", "zzzzzz"], ["row", "ab"], ["row"], ["r1.mix", "r2.mix"]):
        assert main(["show", *words]) == 1
        assert capsys.readouterr().err.startswith("error[E")


def test_the_journal_keeps_to_its_schema(done: Path) -> None:
    schema = json.loads((Path(dagent.specs.__path__[0]) / "events.schema.json").read_text())
    for event in last_events(done):
        jsonschema.validate(event, schema)
    described = {rule["if"]["properties"]["event"].get("const") for rule in schema["allOf"]}
    told = {e["event"] for e in last_events(done)} - {"reserved", "settled"}
    assert told <= described


def test_the_journal_is_that_of_the_latest_execution(done: Path, tmp_path: Path) -> None:
    assert last_events(done)[-1]["event"] == "execution_finished"
    assert last_events(tmp_path) == ()


def test_what_was_learned_narrows_what_is_shown_and_not_the_plan(
    stub: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder: Path = stub.make_project(tmp_path / "p")
    stub.run_project(folder)
    monkeypatch.chdir(folder)
    plan = compile(folder / "sums.dagent").plan
    keep_plan(plan, folder)
    assert main(["compile", "--json"]) == 0
    before, written = json.loads(capsys.readouterr().out), Path("dagent.plan.json").read_bytes()
    learn(plan, folder)
    assert main(["compile", "--json"]) == 0
    after = json.loads(capsys.readouterr().out)
    assert Path("dagent.plan.json").read_bytes() == written
    assert before["seconds"] is None, "a student of unknown size"
    found = after["seconds"]
    assert found["learned"]
    actual = sum(seconds_of(last_events(folder)).values())
    assert found["low"] <= actual <= found["high"]
    # Each kind takes again what it took, but for first steps that waited for the worker.
    assert actual / 2 < found["likely"] <= 1.1 * actual
    assert main(["status"]) == 0
    assert "no estimate for the steps that ran; they took" in capsys.readouterr().out
    path = plan_path(folder, execution_id(plan.id)).with_name("expected.json")
    path.write_text(json.dumps({step.id: [1, 2, 3] for step in plan.steps}))
    assert main(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["seconds"]
    assert told["actual"] == pytest.approx(actual, abs=0.1)
    ran = len(seconds_of(last_events(folder)))
    assert told["estimated"] == [ran, 2 * ran, 3 * ran], "what was told before it ran"
    (folder / ".dagent/rates.json").write_text('{"format": 1')  # a damaged file teaches nothing
    assert main(["compile", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == before["seconds"]


def test_a_budget_that_may_not_be_enough(
    stub: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder: Path = stub.make_project(tmp_path / "p")
    monkeypatch.chdir(folder)
    spec = folder / "sums.dagent"
    assert main(["compile", "--budget-check"]) == 0
    spec.write_text(spec.read_text().replace("rounds <= 3", "rounds <= 3\n  wall <= 10 s", 1))
    assert main(["compile"]) == 0
    assert main(["compile", "--budget-check", "--json"]) == 1
    assert "E718" in capsys.readouterr().out
