"""Arms in a real MLflow on SQLite: a run for the execution, below it the variants and rounds."""

from __future__ import annotations

import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.runtime import tracking
from dagent.runtime.journal import read_events
from dagent.runtime.mirror import Mirror
from dagent.runtime.status import journal_path, latest, read_status
from dagent.runtime.tracking import RunFolder

pytest.importorskip("mlflow", reason="the extra dagent[track] is not installed")

ARMS = """
arms {
  seeds = [1, 2]
  arm matched { control = matched }
}
"""


@pytest.fixture(scope="module")
def tracked(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An executed comparison, mirrored from its journal; with the client that reads it."""
    from mlflow import MlflowClient

    folder: Path = tmp_path_factory.mktemp("arms") / "p"
    stub.make_project(folder, stub.SPEC.replace("rounds <= 3", "rounds <= 2") + ARMS)
    stub.run_project(folder)
    gone = threading.Event()
    gone.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mirror, "_figures", lambda *_: None)  # drawing takes most of the time
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        cursor = tracking.follow(RunFolder(folder, latest(folder) or ""), gone, poll=0.01)
        assert cursor.error == ""
        assert cursor.left_out == ()
        assert cursor.seq == read_events(journal_path(folder, latest(folder) or ""))[-1]["seq"]
        client = MlflowClient(tracking_uri=tracking.tracking_uri(folder))
    runs = client.search_runs([cursor.experiment], max_results=1000)
    return folder, client, {run.info.run_id: run for run in runs}


def parent(run: Any) -> str | None:
    found: str | None = run.data.tags.get("mlflow.parentRunId")
    return found


def data_sets(run: Any) -> list[str]:
    return sorted(used.dataset.name for used in run.inputs.dataset_inputs)


def test_the_runs_are_nested_by_variant_and_round(tracked: Any) -> None:
    _, _, runs = tracked
    (top,) = (run for run in runs.values() if parent(run) is None)
    assert "-2arms-2seeds-" in top.info.run_name, "one seed's name would be untrue"
    assert (top.data.params["arms"], top.data.params["seed"]) == ("loop, matched", "1, 2")
    variants = [run for run in runs.values() if parent(run) == top.info.run_id]
    assert sorted(run.info.run_name for run in variants) == [
        "loop/s1",
        "loop/s2",
        "matched/s1",
        "matched/s2",
    ]
    for variant in variants:
        rounds = [r.info.run_name for r in runs.values() if parent(r) == variant.info.run_id]
        assert sorted(rounds) == ["round 0 (base)", "round 1", "round 2"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_arms_can_be_compared_by_their_params_and_metrics(tracked: Any) -> None:
    folder, client, runs = tracked
    status = read_status(folder, latest(folder) or "", alive=False)
    by_name = {run.info.run_name: run for run in runs.values()}
    for arm in status["arms"]:
        run = by_name[f"{arm['arm']}/s{arm['seed']}"]
        assert (run.data.params["arm"], run.data.params["seed"]) == (arm["arm"], str(arm["seed"]))
        assert run.data.metrics["test/champion"] == pytest.approx(arm["champion"]["test"])
        series = client.get_metric_history(run.info.run_id, "select/accuracy")
        assert {m.step: m.value for m in series} == pytest.approx(
            {r["round"]: r["select"] for r in arm["rounds"]}
        )
    assert by_name["matched/s1"].data.params["engineer.planner"] == "matched"
    assert by_name["loop/s1"].data.params["engineer.planner"] == "error-driven"


def test_the_sets_that_all_arms_share_stand_with_the_execution(tracked: Any) -> None:
    """The halves of dev are another for each seed, so they stand with the arms."""
    _, _, runs = tracked
    (top,) = (run for run in runs.values() if parent(run) is None)
    names = {run.info.run_name: data_sets(run) for run in runs.values()}
    assert names[top.info.run_name] == ["dev", "test"]
    assert names["matched/s2"] == ["dev", "dev/diagnose", "dev/select", "test"]


def test_the_execution_has_the_comparison(tracked: Any) -> None:
    folder, client, runs = tracked
    found = read_status(folder, latest(folder) or "", alive=False)["comparison"]
    (top,) = (run for run in runs.values() if parent(run) is None)
    (ahead,) = found["loop_minus"]
    assert top.data.metrics["loop_minus_pp/matched"] == pytest.approx(ahead["pp"])
    assert top.data.metrics["loop_minus_p_holm/matched"] == pytest.approx(ahead["p_holm"])
    note = top.data.tags["mlflow.note.content"]
    for arm in found["arms"]:
        assert f"{arm['arm']} {arm['test']:.1%}" in note
    assert "tables/arms.json" in [f.path for f in client.list_artifacts(top.info.run_id, "tables")]
    versions = client.search_model_versions("name = 'sums'")
    assert len(versions) == 1, "only the best student of the loop is registered"
