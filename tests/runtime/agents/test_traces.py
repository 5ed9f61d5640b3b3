"""What agents asked and were answered, as traces in a real MLflow on SQLite."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest

from dagent.runtime import tracking
from dagent.runtime.lm.samples import MOST
from dagent.runtime.mirror import Mirror
from dagent.runtime.status import latest
from dagent.runtime.tracking import Cursor, RunFolder

pytest.importorskip("mlflow", reason="the extra dagent[track] is not installed")


def test_the_first_calls_of_a_step_are_traces_of_its_run_and_are_not_doubled(
    play: Any, engineers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setattr(Mirror, "_figures", lambda *_: None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    prices = json.dumps({"models": {"openai/fake": {"input": 10, "output": 100}}})
    budget = 'prices = "prices.json"'
    played = play(engineers.Engineer(), files={"prices.json": prices}, budget=budget, rows=40)
    folder = RunFolder(played.folder, latest(played.folder) or "")
    gone = threading.Event()
    gone.set()
    cursor = tracking.follow(folder, gone, poll=0.01)
    assert (cursor.error, cursor.left_out) == ("", ())
    client = MlflowClient(tracking_uri=tracking.tracking_uri(played.folder))

    def traces() -> list[Any]:
        return list(client.search_traces([cursor.experiment], max_results=500))

    found = traces()
    asked = Counter(map(engineers.asks_for, played.server.requests))
    named = Counter(trace.info.tags["mlflow.traceName"] for trace in found)
    steps = {"diagnoser": 1, "planner": 1, "generator": 1, "refiner": 1, "verifier": 3}
    assert named == {
        role: min(asked["judge" if role == "verifier" else role], steps[role] * MOST)
        for role in steps
    }
    names = {run.info.run_id: run.info.run_name for run in client.search_runs([cursor.experiment])}
    for trace in found:
        within = names[trace.info.trace_metadata["mlflow.sourceRun"]]
        assert (within == "round 1") == (trace.info.tags["dagent.step"] != "calibrate")
        (span,) = trace.data.spans
        assert span.inputs in played.server.requests
        assert span.outputs["usage"]["total_tokens"] == trace.info.token_usage["total_tokens"]
        assert span.attributes["mlflow.llm.cost"]["total_cost"] > 0

    folder.move(Cursor())
    tracking.follow(folder, gone, poll=0.01)
    assert {t.info.trace_id for t in traces()} == {t.info.trace_id for t in found}
