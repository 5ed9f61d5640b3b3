"""An optimised agent is better, because its prompt is: the stand-in learns from demonstrations."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest

ENGINEER = """  planner   {{ policy = error-driven }}
  generator {{ lm = "openai/fake"  api_base = "{base}" }}
  verifier  {{ program = "sums.py:verify" }}
"""
PLAIN = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""
CALLS = 90


@pytest.fixture
def learner(engineers: ModuleType) -> Any:
    """Gets half of the sums wrong, unless earlier turns of the prompt hold worked and right ones:
    each of up to three such turns takes some mistakes away. It sees text and nothing else.
    """

    class Learner(engineers.Engineer):  # type: ignore[misc,name-defined]
        def __call__(self, request: dict[str, Any]) -> str:
            turns = [m["content"] for m in request["messages"] if m["role"] == "assistant"]
            good = 0
            for turn in turns:
                shown = json.loads(turn).get("rows") or []
                shown = json.loads(shown) if isinstance(shown, str) else shown
                worked = [r for r in shown if r["reasoning"]]
                good += bool(worked) and all(
                    engineers.right(r["question"]) == r["result"] for r in worked
                )
            self.wrong = 0.5 - 0.15 * min(3, good)
            answer: str = super().__call__(request)
            return answer

    return Learner()


def project(stub: ModuleType, folder: Path, base: str, optimise: str = "") -> Path:
    text = stub.SPEC.replace(PLAIN, ENGINEER.format(base=base) + optimise)
    text = text.replace("rounds <= 3", "rounds <= 1").replace("rows <= 60", "rows <= 20")
    made: Path = stub.make_project(folder, text)
    return made


def finished(folder: Path) -> dict[str, dict[str, Any]]:
    events = read_events(journal_path(folder, latest(folder) or ""))
    return {e["step"]: e for e in events if e["event"] == "step_finished"}


def verified_yield(folder: Path) -> float:
    said = finished(folder)["r1.verify"]["metrics"]
    return float(said["verified"] / (said["verified"] + said["rejected"]))


def test_an_optimised_generator_has_a_higher_verified_yield_and_keeps_to_its_calls(
    stub: ModuleType, engineers: ModuleType, learner: Any, serve: Any, tmp_path: Path
) -> None:
    server = serve(learner)
    plain = project(stub, tmp_path / "plain", server.base)
    stub.run_project(plain)
    before = len(server.requests)
    how = f"  optimise generator {{ optimiser = bootstrap  calls = {CALLS} calls }}\n"
    better = project(stub, tmp_path / "better", server.base, how)
    stub.run_project(better)
    assert verified_yield(better) > verified_yield(plain) + 0.2

    steps = finished(better)
    optimised = steps["optimise.generator"]
    assert optimised["metrics"]["after"] > optimised["metrics"]["before"]
    made = steps["r1.generate"]["metrics"]["calls"]
    assert len(server.requests) - before - made <= CALLS

    store = better / ".dagent/store"
    program = json.loads((store / optimised["outputs"]["program"]["path"]).read_text())
    (state,) = program["state"].values()
    assert 0 < len(state["demos"]) <= 4
    report = json.loads((store / optimised["outputs"]["report"]["path"]).read_text())
    assert report["used"]
    candidates = store / steps["r1.generate"]["outputs"]["candidates"]["path"]
    versions = {json.loads(line)["prompt_version"] for line in candidates.open()}
    assert versions == {report["version"]}, "rows name the optimised prompt"

    # A plan that changes only the rounds finds the program in the store.
    spec = better / "sums.dagent"
    spec.write_text(spec.read_text().replace("rows <= 20", "rows <= 10"))
    stub.run_project(better)
    assert finished(better)["optimise.generator"]["reused"]


@pytest.mark.parametrize("optimiser", ["miprov2", "simba", "gepa"])
@pytest.mark.slow
def test_every_optimiser_keeps_to_its_calls_and_reports(
    stub: ModuleType, learner: Any, serve: Any, tmp_path: Path, optimiser: str
) -> None:
    server = serve(learner)
    how = f"  optimise generator {{ optimiser = {optimiser}  calls = {CALLS} calls }}\n"
    folder = project(stub, tmp_path / "p", server.base, how)
    stub.run_project(folder)
    steps = finished(folder)
    made = steps["r1.generate"]["metrics"]["calls"]
    assert len(server.requests) - made <= CALLS
    said = steps["optimise.generator"]["metrics"]
    assert 0 <= said["before"] <= 1
    assert 0 <= said["after"] <= 1
