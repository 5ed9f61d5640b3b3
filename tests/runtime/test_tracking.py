"""The journal in MLflow: what is there, that nothing is there twice, and that nothing gets lost."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dagent.runtime import prompts, tracking
from dagent.runtime.mirror import Mirror
from dagent.runtime.mirrored import files_of
from dagent.runtime.projection import Table, focus, row_table, training_series
from dagent.runtime.registry import register
from dagent.runtime.traces import point_at
from dagent.runtime.tracking import Cursor, RunFolder

pytest.importorskip("mlflow", reason="the extra dagent[track] is not installed")

_spec = importlib.util.spec_from_file_location(
    "made_project", Path(__file__).parent / "made_project.py"
)
made_project = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(made_project)
MadeProject = made_project.MadeProject

SELECT = (0.32, 0.3, 0.61)
DEMO = {"skill": "sums", "rows": [{"question": "1+1", "answer": "2"}]}
PROGRAM = {
    "role": "generator",
    "version": "a" * 12,
    "state": {"write": {"signature": {"instructions": "Write rows. Add."}, "demos": [DEMO]}},
}
GONE = threading.Event()
GONE.set()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database, made once: its tables take seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    # Drawing takes most of the time; one test undoes this.
    monkeypatch.setattr(Mirror, "_figures", lambda *_: None)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def project(tmp_path: Path, empty_database: Path) -> Any:
    made = MadeProject(tmp_path / "a project")
    (made.folder / ".dagent").mkdir()
    shutil.copyfile(empty_database, made.folder / ".dagent" / "mlflow.db")
    return made


def client_of(project: Any) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracking.tracking_uri(project.folder))


def mirror(project: Any, execution: str = "one") -> Cursor:
    return tracking.follow(RunFolder(project.folder, execution), GONE, poll=0.01)


def runs_of(project: Any) -> dict[str, Any]:
    client = client_of(project)
    experiment = client.get_experiment_by_name(project.name)
    found = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in found}


def history(project: Any, run: Any, metric: str) -> list[tuple[int, float]]:
    points = client_of(project).get_metric_history(run.info.run_id, metric)
    return [(p.step, p.value) for p in sorted(points, key=lambda p: (p.step, p.timestamp))]


def everything(project: Any, count: int = 4) -> Any:
    """All that MLflow knows, without the ids that it made up."""
    client = client_of(project)
    runs = runs_of(project)
    assert len(runs) == count, "a run was made twice or is missing"
    told = {}
    for name, run in runs.items():
        tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.parent")}
        tags.pop("dagent.execution")
        told[name] = {
            "status": run.info.status,
            "times": (run.info.start_time, run.info.end_time),
            "tags": tags,
            "params": run.data.params,
            "metrics": {m: history(project, run, m) for m in run.data.metrics},
            "inputs": sorted(
                (i.dataset.name, i.dataset.digest, i.tags[0].value)
                for i in run.inputs.dataset_inputs
            ),
            "files": sorted(files(client, run.info.run_id)),
        }
    versions = client.search_model_versions(f"name = '{project.name}'")
    return told, [(v.version, v.aliases, v.description) for v in versions]


def files(client: Any, run: str, folder: str | None = None) -> Iterator[str]:
    for entry in client.list_artifacts(run, folder):
        if entry.is_dir:
            yield from files(client, run, entry.path)
        else:
            yield entry.path


def test_an_execution_is_a_run_with_a_nested_run_for_each_round(project: Any) -> None:
    events = project.events(SELECT)
    project.write("one", events)
    cursor = mirror(project)
    assert (cursor.seq, cursor.error, cursor.left_out) == (events[-1]["seq"], "", ())

    runs = runs_of(project)
    parent = next(run for name, run in runs.items() if name.startswith("quickstart-s0-"))
    assert set(runs) == {parent.info.run_name, "round 0 (base)", "round 1", "round 2"}
    assert cursor.run == parent.info.run_id
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in ("round 0 (base)", "round 1", "round 2"):
        assert runs[name].data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.tags["dagent.plan_id"] == events[0]["plan_id"]
    assert parent.data.tags["dagent.state"] == "finished"
    said = {name: run.data.tags["mlflow.note.content"] for name, run in runs.items()}
    assert said["round 1"] == "Refused: not better"
    assert said["round 2"] == "Accepted: p = 0.001"
    assert said[parent.info.run_name].splitlines() == [
        events[0]["goal"],
        "",
        "accuracy on test: 31.0% → 59.0%, +28.0 points (95 % interval +24.0 to +32.0). The "
        "champion is round 2.",
    ]
    assert parent.data.params == {
        "student.model": "builtin:tiny-python",
        "engineer.planner": "error-driven",
        "train.learning_rate": "0.001",
        "train.epochs": "2",
        "data.dev": "dev.jsonl",
        "seed": "0",
        "rounds": "2",
        "metric": "accuracy",
    }
    assert runs["round 1"].data.params["accepted"] == "False"
    assert runs["round 2"].data.params["focus"] == "joining 40%, sorting 30%, slicing 20%"

    assert history(project, parent, "select/accuracy") == list(enumerate(SELECT))
    assert history(project, parent, "champion/accuracy") == [(0, 0.32), (1, 0.32), (2, 0.61)]
    assert history(project, parent, "champion/round") == [(0, 0), (1, 0), (2, 2)]
    assert history(project, parent, "rows/total") == [(0, 0), (1, 100), (2, 200)]
    assert [v for _, v in history(project, parent, "skill/slicing")] == list(SELECT)
    assert [parent.data.metrics[f"by_round/{i}"] for i in range(3)] == list(SELECT)
    assert history(project, runs["round 2"], "loss/train") == [(10, 0.2), (20, 0.1), (30, 2 / 30)]
    assert history(project, runs["round 2"], "train/loss") == [(2, 0.067)]
    assert parent.data.metrics["test/base"] == pytest.approx(0.31)
    assert parent.data.metrics["test/champion"] == pytest.approx(0.59)
    assert parent.data.metrics["test/gain_pp"] == pytest.approx(28)
    assert parent.data.metrics["test/gain_low_pp"] == pytest.approx(24)


def test_data_sets_files_and_the_model_are_there(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    project.write("one", project.events(SELECT))
    mirror(project)
    client, runs = client_of(project), runs_of(project)
    parent = next(run for name, run in runs.items() if name.startswith("quickstart-s0-"))

    inputs = {i.dataset.name: i.tags[0].value for i in parent.inputs.dataset_inputs}
    expected = {"dev": "dev", "test": "test", "dev/diagnose": "diagnose", "dev/select": "select"}
    assert inputs == expected
    (added,) = runs["round 1"].inputs.dataset_inputs
    assert (added.dataset.name, added.tags[0].value) == ("round 1 rows", "training")
    assert json.loads(added.dataset.profile) == {"num_rows": 100}

    have = set(files(client, parent.info.run_id))
    assert {
        "plan/dagent.plan.json",
        "plan/dagent.lock",
        "plan/quickstart.dagent",
        "tables/skills.json",
        "figures/learning_curve.png",
        "figures/skills.png",
        "result.json",
        "report.html",
        "model/MLmodel",
        "model/model/model.safetensors",
        "model/components/tokenizer/tokenizer.json",
    } <= have
    assert not [name for name in have if name.endswith((".pkl", ".pickle", ".bin"))]
    have = set(files(client, runs["round 1"].info.run_id))
    assert {"curriculum.json", "rows/added.jsonl", "rows/rejects.jsonl"} <= have
    rows = Path(client.download_artifacts(runs["round 1"].info.run_id, "rows", str(tmp_path)))
    assert len((rows / "added.jsonl").read_text().splitlines()) == 100
    listed = json.loads(parent.data.tags["mlflow.loggedArtifacts"])
    assert listed == [{"path": "tables/skills.json", "type": "table"}]

    version = client.get_model_version_by_alias("quickstart", "champion")
    assert version.run_id == parent.info.run_id
    said = "Round 2 of quickstart, seed 0. Test 59.0%, +28.0 pp over the base."
    assert version.description == said


def test_where_it_ran_and_what_was_prepared_is_there(project: Any) -> None:
    """Machine, packages and commit; of an optimised agent the program and its figures."""
    events = project.events(SELECT)
    made_on = {"python": "3.12.1", "machine": "Linux, 2 cores", "commit": "abc"}
    events[0] |= {"made_on": made_on, "packages": {"trl": "1.16.0", "torch": "2.13.0"}}
    ends = [e.get("kind") == "split" and e["event"] == "step_finished" for e in events]
    at = ends.index(True)
    prepared = {
        **events[at],
        "kind": "optimise",
        "step": "optimise.generator",
        "metrics": {"before": 0.5, "after": 0.8},
        "outputs": {
            "program": project.stored(json.dumps(PROGRAM)),
            "report": project.stored("{}"),
        },
    }
    events[at + 1 : at + 1] = [prepared]
    for number, event in enumerate(events, 1):
        event["seq"] = number
    project.write("one", events)
    cursor = mirror(project)
    assert (cursor.error, cursor.left_out) == ("", ())
    parent = next(r for n, r in runs_of(project).items() if n.startswith("quickstart-s0-"))
    assert linked_prompts(parent) == [("quickstart.generator", "1")]
    tags = parent.data.tags
    assert tags["dagent.packages"] == "torch 2.13.0, trl 1.16.0"
    assert tags["dagent.machine"] == "Linux, 2 cores"
    assert tags["mlflow.source.git.commit"] == "abc"
    assert parent.data.metrics["optimise.generator/after"] == 0.8
    have = set(files(client_of(project), parent.info.run_id))
    assert {"optimise.generator/program.json", "optimise.generator/report.json"} <= have


def linked_prompts(run: Any) -> list[tuple[str, str]]:
    """What the run's page shows under *Registered prompts*."""
    listed = json.loads(run.data.tags["mlflow.linkedPrompts"])
    return [(prompt["name"], prompt["version"]) for prompt in listed]


def test_prompts_that_were_optimised_are_versions_that_runs_share(project: Any) -> None:
    """Twice the same prompt, then another; a name that MLflow would refuse."""
    project.write("one", project.events(SELECT))
    mirror(project)
    client, runs = client_of(project), [r.info.run_id for r in runs_of(project).values()]
    other = json.loads(json.dumps(PROGRAM).replace("a" * 12, "b" * 12).replace("Add.", "Sum."))
    for run, program in zip(runs, (PROGRAM, PROGRAM, other), strict=False):
        prompts.register(client, run, "sums: all", program)
    found = {v.version: v for v in client.search_prompt_versions("sums--all.generator")}
    assert {n: v.tags["dagent.prompt"] for n, v in found.items()} == {1: "a" * 12, 2: "b" * 12}
    assert found[1].template == (
        "# write\n\nWrite rows. Add.\n\n## Demonstration 1\n\nskill: sums\n"
        'rows: [{"question": "1+1", "answer": "2"}]'
    )
    linked = [linked_prompts(client.get_run(run)) for run in runs[:3]]
    assert [version for ((_, version),) in linked] == ["1", "1", "2"]
    assert client.search_model_versions("name = 'sums--all.generator'") == [], "no model"


def test_mirroring_again_changes_nothing(project: Any) -> None:
    project.write("one", project.events(SELECT))
    mirror(project)
    before = everything(project)
    folder = RunFolder(project.folder, "one")
    folder.move(Cursor(1))  # as if it had been killed before any cursor was written
    mirror(project)
    assert everything(project) == before


@pytest.mark.slow
def test_killed_at_any_event_it_goes_on_in_the_same_runs(
    project: Any, tmp_path: Path, empty_database: Path
) -> None:
    events = project.events(SELECT[1:])
    project.write("one", events)
    mirror(project)
    whole = everything(project, 3)
    other = MadeProject(tmp_path / "other")
    other.events(SELECT[1:])  # fills its store
    (other.folder / ".dagent" / "mlflow.db").write_bytes(empty_database.read_bytes())
    folder = RunFolder(other.folder, "one")
    for n in range(1, len(events) + 1):
        # The tracker mirrors an event, dies before it moves its cursor, and a new one comes.
        other.write("one", events, n)
        before = folder.cursor()
        mirror(other)
        folder.move(before if n > 1 else folder.cursor())
    assert mirror(other).seq == len(events)
    assert everything(other, 3) == whole


def test_a_stop_is_told_and_a_resumed_execution_goes_on(project: Any) -> None:
    events = project.events(SELECT)
    cut = next(i for i, e in enumerate(events) if e["event"] == "step_started" and e["round"] == 1)
    begin = [*events[: cut + 1]]
    time = begin[-1]["time"]
    stop = {"event": "execution_stopped", "state": "interrupted", "reason": "Ctrl-C", "time": time}
    begin.append({**stop, "seq": len(begin) + 1})
    project.write("one", begin)
    mirror(project)
    runs = runs_of(project)
    assert {run.info.status for name, run in runs.items() if name != "round 0 (base)"} == {"KILLED"}
    told = [run.data.tags.get("mlflow.note.content", "") for run in runs.values()]
    assert any(note.endswith("\nInterrupted: Ctrl-C") for note in told)
    again = [*begin, {**events[0], "resumed": True, "settings": {"train.epochs": 9}}, *events[cut:]]
    for i, event in enumerate(again):
        again[i] = {**event, "seq": i + 1}
    project.write("one", again)
    assert not mirror(project).left_out
    runs = runs_of(project)
    assert len(runs) == 4
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parent = next(run for name, run in runs.items() if name.startswith("quickstart-s0-"))
    assert parent.data.params["train.epochs"] == "2"  # what it began with
    assert "Interrupted" not in parent.data.tags["mlflow.note.content"]


def test_an_execution_that_died_without_a_word_is_closed(project: Any) -> None:
    events = project.events(SELECT)
    project.write("one", events, 9)
    mirror(project)
    assert {r.info.status for r in runs_of(project).values()} == {"KILLED"}


def test_mlflow_away_then_back(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("one", project.events(SELECT))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = RunFolder(project.folder, "one")
    cursor = mirror(project)
    assert cursor.seq == 0
    assert cursor.error
    line = tracking.lag(folder)
    count = len(folder.events())
    assert line.startswith(f"MLflow at http://***@127.0.0.1:9 is behind by {count} events (")
    assert "refused" in line
    assert "secret" not in (folder.path / "tracking.json").read_text() + line

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    mirror(project)
    assert tracking.lag(folder) is None
    assert len(runs_of(project)) == 4


def test_a_server_that_fails_in_the_middle_is_waited_for(project: Any) -> None:
    """The executor is still there: the tracker tries again until MLflow answers."""
    events = project.events(SELECT)
    project.write("one", events)
    folder, gone, failures = RunFolder(project.folder, "one"), threading.Event(), []

    def flaky(folder: RunFolder, name: str) -> Any:
        if len(failures) < 2:
            failures.append(1)
            raise ConnectionError("away")
        gone.set()
        return tracking.connect(folder, name)

    assert tracking.follow(folder, gone, flaky, poll=0.01).seq == len(events)
    assert len(failures) == 2


@pytest.mark.parametrize(
    ("skills", "shown"),
    [
        (("",), []),
        (("", "a|b", "a?b", "../..", "日本 / é"),
         ["skill/__/__", "skill/a_b", "skill/a_b 2", "skill/no skill", "skill/日本 / é"]),
    ],
)  # fmt: skip
def test_skills_of_any_name_are_series(
    project: Any, skills: Sequence[str], shown: Sequence[str]
) -> None:
    """Rows may have no skill, all or some: MLflow would refuse the name, and the round with it."""
    events = project.events(SELECT)
    for event in events:
        if event["event"] == "round_finished":
            event["per_skill"] = dict.fromkeys(skills, 0.5)
    project.write("one", events)
    assert mirror(project).left_out == ()
    parent = next(run for name, run in runs_of(project).items() if name.startswith("quickstart-"))
    assert sorted(m for m in parent.data.metrics if m.startswith("skill/")) == shown
    assert len(history(project, parent, "select/accuracy")) == len(SELECT)


def test_an_event_that_mlflow_refuses_does_not_stop_the_rest(project: Any) -> None:
    events = project.events(SELECT)
    bad = next(e for e in events if e["event"] == "round_finished" and e["round"] == 1)
    del bad["champion_round"]
    project.write("one", events)
    cursor = mirror(project)
    assert cursor.seq == len(events)
    assert cursor.left_out[0].startswith(f"{bad['seq']} round_finished: ")
    assert "MLflow refused 1 events" in tracking.lag(RunFolder(project.folder, "one"))


def test_nothing_is_lost_with_the_database(project: Any, empty_database: Path) -> None:
    project.write("one", project.events(SELECT))
    mirror(project)
    before = everything(project)
    database = tracking.local_database(project.folder)
    database.unlink()
    folder = RunFolder(project.folder, "one")
    assert folder.behind()
    shutil.copyfile(empty_database, database)
    folder.move(Cursor())
    mirror(project)
    assert everything(project) == before


def test_the_alias_is_of_the_execution_that_ended_last(project: Any) -> None:
    project.write("one", project.events(SELECT))
    project.write("two", project.events((0.3, 0.5), 1, "2026-01-06T10:00:00+00:00"))
    mirror(project, "two")
    mirror(project, "one")
    version = client_of(project).get_model_version_by_alias("quickstart", "champion")
    assert version.description.startswith("Round 1 of quickstart, seed 1.")


def test_no_model_when_no_round_beat_the_base(project: Any) -> None:
    project.write("one", project.events((0.5, 0.4)))
    assert not mirror(project).left_out
    (note,) = (
        run.data.tags["mlflow.note.content"]
        for name, run in runs_of(project).items()
        if "round" not in name
    )
    assert note.endswith("The gate took no round's student.")
    assert "→" not in note
    assert client_of(project).search_model_versions("name = 'quickstart'") == []


def test_one_at_a_time(project: Any) -> None:
    project.write("one", project.events(SELECT))
    folder = RunFolder(project.folder, "one")
    with folder.locked(lambda: False) as mine:
        assert mine
        assert mirror(project).seq == 0
    assert mirror(project).seq


def test_the_process_follows_a_journal_that_grows(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the executor uses it; a run of somebody else's in the environment does not matter."""
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "not ours")
    events = project.events(SELECT)
    project.write("zero", project.events((0.2, 0.4), 3, "2026-01-01T00:00:00+00:00"))
    journal = project.write("one", events, 1)
    tracker = tracking.start(project.folder, "one")
    assert tracker.note == ""
    with journal.open("a") as out:
        out.writelines(json.dumps(e) + "\n" for e in events[1:])
        out.write('{"seq": 99, "ev')  # torn off by a crash
    assert tracker.finish() is None
    assert tracker.process.returncode == 0
    names = runs_of(project)
    assert sum(name.startswith("quickstart-s") for name in names) == 2  # "zero" was caught up


def test_the_process_ends_when_the_executor_is_killed(project: Any) -> None:
    project.write("one", project.events(SELECT), 9)
    code = (
        "import os, sys; sys.path.append(sys.argv[1]);"
        "from pathlib import Path; from dagent.runtime import tracking;"
        "t = tracking.start(Path(sys.argv[2]), 'one'); print(t.process.pid, flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    root = str(Path(tracking.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code, root, str(project.folder)], capture_output=True, check=False
    )
    wait_until(lambda: not alive(int(done.stdout)))
    assert RunFolder(project.folder, "one").cursor().seq == 9
    assert {r.info.status for r in runs_of(project).values()} == {"KILLED"}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def wait_until(done: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if done():
            return
        pause.wait(0.1)
    raise AssertionError("took more than a minute")


def test_without_mlflow_it_says_so_once(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "installed", lambda: False)
    tracker = tracking.start(project.folder, "one")
    assert tracker.note == tracking.MISSING
    assert tracker.finish() is None


def test_addresses_lose_their_passwords() -> None:
    assert tracking.redacted("see https://me:pw@host/x") == "see https://***@host/x"


def test_losses_of_a_chain_are_series_of_their_own() -> None:
    log = [{"stage": "1.sft", "step": 10, "loss": 2.0}, {"stage": "2.sft", "step": 10, "loss": 1.0}]
    series = {"loss/1.sft": [(10, 2.0)], "loss/2.sft": [(10, 1.0)]}
    assert training_series(log) == series
    assert training_series(log[:1]) == {"loss/train": [(10, 2.0)]}
    assert training_series([{"step": 3, "train_runtime": 4.0}]) == {}


def test_what_a_stage_measures_besides_its_loss_is_a_series_too() -> None:
    log = [
        {"stage": "1.sft", "step": 10, "loss": 2.0},
        {"stage": "2.dpo", "step": 10, "loss": 1.0, "rewards/margins": 0.1},
        {"stage": "2.dpo", "step": 20, "loss": 0.5, "rewards/margins": 0.4},
    ]
    assert training_series(log)["rewards/margins/2.dpo"] == [(10, 0.1), (20, 0.4)]
    alone = training_series([{"stage": "1.grpo", "step": 10, "loss": 0.0, "reward": 0.3}])
    assert alone == {"loss/train": [(10, 0.0)], "reward/train": [(10, 0.3)]}


def test_rows_that_are_none_make_no_table(tmp_path: Path) -> None:
    (tmp_path / "none").write_text("")
    (tmp_path / "one").write_text('{"prompt": "1+1", "reason": "wrong sum"}\n')
    event = {"kind": "verify", "step": "r1.verify", "round": 1}
    assert set(files_of(event, {"rejects": tmp_path / "none"})) == {"rows/rejects.jsonl"}
    made = files_of(event, {"rejects": tmp_path / "one"})
    assert set(made) == {"rows/rejects.jsonl", "tables/rejects.json"}


def test_focus_of_odd_curricula_is_empty() -> None:
    for curriculum in (None, {}, {"items": []}, {"items": [{"skill": "a"}]}, 3, "text"):
        assert focus(curriculum) == ""


def test_a_table_shows_only_columns_that_rows_have() -> None:
    table = row_table([{"prompt": "p", "answer": "a", "x": 1}] * 300, limit=2)
    assert table == Table(("prompt", "answer"), (("p", "a"),) * 2)


@pytest.mark.slow
def test_the_registered_model_loads_with_mlflow_and_with_plain_transformers(
    project: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="the extra dagent[train] is not installed")
    student = Path(tracking.__file__).parent / "students" / "tiny_python"
    folder = tmp_path / "model"
    shutil.copytree(student, folder)
    client = client_of(project)
    run = client.create_run(client.create_experiment("x", tmp_path.as_uri())).info.run_id
    start, end = project.events(SELECT)[0], project.events(SELECT)[-1]
    (scratch := tmp_path / "scratch").mkdir()
    register(client, run, start, end, folder, scratch)

    import mlflow
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # In a process where another test has pointed MLflow elsewhere the environment counts no more.
    point_at(tracking.tracking_uri(project.folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    uri = "models:/quickstart@champion"
    assert mlflow.transformers.load_model(uri)("x = 1", max_new_tokens=2)[0]["generated_text"]
    plain = Path(mlflow.artifacts.download_artifacts(uri)) / "model"
    assert AutoTokenizer.from_pretrained(plain)
    assert AutoModelForCausalLM.from_pretrained(plain).num_parameters() > 1000
