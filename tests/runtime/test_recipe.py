"""Report and card alone let a reviewer make a result again, and say how often select was seen."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent import __version__
from dagent.cli import main
from dagent.compiler.pipeline import compile
from dagent.runtime import provenance
from dagent.runtime.cards import model_card
from dagent.runtime.history import events_of, keep_plan
from dagent.runtime.outcome import outcome
from dagent.runtime.report import recipe
from dagent.runtime.report.learned import prepared, trainings
from dagent.runtime.report.page import render
from dagent.runtime.rows import write_rows
from dagent.runtime.view import summary


@pytest.fixture(scope="module")
def done(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = stub.make_project(tmp_path_factory.mktemp("recipe"))
    (folder / "student" / "README.md").write_text("---\nlicense: mit\n---\n")
    stub.run_project(folder)
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    return folder


def told(done: Path) -> dict[str, str]:
    events = events_of(done)
    return {
        "report": render(events, done),
        "card": model_card(outcome(events, done), "sums", adapter=False),
    }


@pytest.mark.parametrize("where", ["report", "card"])
def test_the_commands_make_the_plan_that_is_named(
    done: Path, where: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(done)[where]
    plan = events_of(done)[0]["plan_id"]
    assert plan in said
    (compiling,) = [line for line in said.splitlines() if "dagent compile" in line]
    monkeypatch.chdir(done)
    assert main(shlex.split(compiling.rpartition(">")[2])[1:]) == 0
    assert f"plan {plan[:12]}" in capsys.readouterr().out
    assert "\ndagent execute\n" in said


@pytest.mark.parametrize("where", ["report", "card"])
def test_what_it_was_made_with_is_as_the_execution_found_it(done: Path, where: str) -> None:
    said = told(done)[where]
    for package in ("scipy", "statsmodels"):
        assert f"{package} {version(package)}" in said
    assert __version__ in said
    assert provenance.made_on(done)["machine"] in said


@pytest.mark.parametrize("where", ["report", "card"])
def test_how_often_select_was_looked_at_is_one_figure(done: Path, where: str) -> None:
    rounds = sum(e["event"] == "round_finished" for e in events_of(done))
    assert rounds > 2
    assert f"Select was looked at {rounds} times, the base included" in told(done)[where]


def test_the_licence_is_in_the_report_too(done: Path) -> None:
    assert "base: mit, as its card says" in told(done)["report"]


def test_the_card_says_how_sure_and_names_the_files(done: Path) -> None:
    card, lock = told(done)["card"], json.loads((done / "dagent.lock").read_text())
    low, high = events_of(done)[-1]["gain"]["ci"]
    assert low > 0
    assert f"interval {low:+.1f} to {high:+.1f}, two-sided p < 0.001 (exact McNemar test): " in card
    for name, digest in (*lock["sources"].items(), *lock["programs"].items()):
        assert f"`{name}`: `{digest}`" in card


def start(**changed: Any) -> dict[str, Any]:
    return {
        "event": "execution_started",
        "plan_id": "0" * 64,
        "seed": 1,
        "settings": {},
        "version": "0.1.0",
        **changed,
    }


def test_commands_hold_what_was_chosen_when_compiling() -> None:
    lock = {"spec": "a b.dagent", "set": {"rate": "1e-3"}, "variant": "blind/s2"}
    first = start(unsandboxed=True, made_on={"commit": "abc"})
    assert recipe.commands(first, lock).splitlines() == [
        "git checkout abc",
        "dagent compile 'a b.dagent' --set rate=1e-3 --variant blind/s2",
        "dagent execute --allow-unsandboxed",
        "dagent report",
    ]
    changed = start(made_on={"commit": "abc, with changes in this folder"})
    assert "git" not in recipe.commands(changed, lock)


def test_a_session_with_other_packages_is_told_of() -> None:
    past = [
        start(packages={"torch": "2.13.0"}, made_on={"machine": "one"}),
        start(packages={"torch": "2.13.0"}, made_on={"machine": "one"}),
        start(packages={"torch": "2.14.0"}, made_on={"machine": "two"}),
    ]
    said = dict(recipe.made_with(past, {"packages": {"torch": "2.12.0"}}))
    assert said["packages"] == "torch 2.13.0; then torch 2.14.0"
    assert said["machine"] == "one; then two"
    old = dict(recipe.made_with([start()], {"packages": {"torch": "2.12.0", "dagent": "0"}}))
    assert old["packages"] == "torch 2.12.0"


def test_the_commit_of_dagent_is_that_of_its_own_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a repository in which it is merely installed."""
    package = tmp_path / "venv" / "dagent"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance.dagent, "__file__", str(package / "__init__.py"))
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], [*name, "commit", "-qm", "one", "--allow-empty"]):
        subprocess.run(["git", *words], check=True, cwd=tmp_path)
    assert "dagent" not in provenance.made_on(tmp_path)
    for words in (["add", "."], [*name, "commit", "-qm", "two"]):
        subprocess.run(["git", *words], check=True, cwd=tmp_path)
    found = provenance.made_on(tmp_path)
    assert found["dagent"] == found["commit"]


def test_every_stage_is_told_with_its_rows_and_what_it_measured(tmp_path: Path) -> None:
    log = [
        {"stage": "2.dpo", "step": 10, "loss": 0.7, "rewards/margins": 0.01},
        {"stage": "2.dpo", "step": 20, "loss": 0.5, "rewards/margins": 0.4},
    ]
    folder = tmp_path / ".dagent" / "store"
    folder.mkdir(parents=True)
    write_rows(folder / "log", log)
    trained = {
        "event": "step_finished",
        "kind": "train",
        "step": "r1.train",
        "round": 1,
        "metrics": {"rows": 90, "rows/1.sft": 90, "rows/2.dpo": 31},
        "outputs": {"log": {"path": "log"}},
    }
    ended = {"event": "round_finished", "round": 1}
    shown = str(trainings([trained, ended], tmp_path))
    for cells in (
        ("1.sft", "90", "", "not logged", ""),
        ("2.dpo", "31", "20", "0.7 → 0.5", "rewards/margins 0.01 → 0.4"),
    ):
        assert "".join(f"<td>{c}</td>" for c in cells) in shown.replace(' class="n"', "")
    assert trainings([ended], tmp_path) is None


def test_agents_that_were_optimised_or_calibrated_are_told_of() -> None:
    done = {"event": "step_finished", "kind": "calibrate", "step": "loop/s1/calibrate"}
    told = str(prepared([{**done, "note": "agrees with 92% of 40 labelled rows at 0.5"}]))
    assert "agrees with 92% of 40 labelled rows" in told
    assert ">calibrate<" in told
    assert prepared([]) is None


def test_what_is_recorded_is_as_the_schema_of_events_says(done: Path) -> None:
    import jsonschema

    schema = json.loads((Path(__file__).parents[2] / "specs" / "events.schema.json").read_text())
    known = schema["definitions"]["execution_started"]["properties"]
    (first,) = [e for e in events_of(done) if e["event"] == "execution_started"]
    assert set(first["packages"]) >= {"dagent", "scipy"}
    jsonschema.validate(first["packages"], known["packages"])
    jsonschema.validate(first["made_on"], known["made_on"])


def test_one_is_one(stub: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the screen, in the journal, the report and the card."""
    spec = stub.SPEC.replace("rounds <= 3  per round { rows <= 60 }", "rounds <= 1  rows <= 1")
    folder = stub.make_project(tmp_path / "p", spec)
    stub.run_project(folder)
    plan = compile(folder / "sums.dagent").plan
    keep_plan(plan, folder)
    assert main(["status", str(folder)]) == 0
    status = capsys.readouterr().out
    assert "+1 row  " in status
    assert "1 row, 1 round, " in status
    events = events_of(folder)
    said = [status, summary(events[-1], plan), *told(folder).values()]
    said += [e["note"] for e in events if "note" in e]
    said += [e["reason"] for e in events if e["event"] == "round_finished"]
    for text in said:
        words = re.sub(r"<[^>]+>", " ", text)
        assert not re.search(r"(?<![\d,.])1 (rows|rounds|calls|steps|candidates|reasons)\b", words)
