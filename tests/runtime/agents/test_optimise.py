"""An optimised agent is better, because its prompt is: the stand-in learns from demonstrations."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
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


def judged(stub: ModuleType, folder: Path, base: str, calls: int) -> Path:
    """A generator that is optimised by a judge's word: a score takes four calls."""
    how = f"  optimise generator {{ optimiser = bootstrap  calls = {calls} calls }}\n"
    made = project(stub, folder, base, how)
    spec, program = made / "sums.dagent", 'verifier  { program = "sums.py:verify" }'
    assert program in spec.read_text()
    judge = f'verifier  {{ lm = "openai/fake"  api_base = "{base}" }}'
    spec.write_text(spec.read_text().replace(program, judge))
    return made


def test_a_cap_that_pays_for_no_optimisation_leaves_the_plain_agent(
    stub: ModuleType, learner: Any, serve: Any, tmp_path: Path
) -> None:
    folder = judged(stub, tmp_path / "p", serve(learner).base, calls=12)
    stub.run_project(folder)
    optimised = finished(folder)["optimise.generator"]
    assert "the plain one is used" in optimised["note"]
    assert optimised["metrics"]["before"] == optimised["metrics"]["after"]
    assert "result" in finished(folder)


def test_a_cap_that_ends_a_run_before_it_has_a_result_says_which_and_what_is_kept(
    stub: ModuleType, learner: Any, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler would refuse so small a cap."""
    monkeypatch.setattr("dagent.compiler.passes.check_engineer.LEAST_SCORES", 0)
    server = serve(learner)
    folder = judged(stub, tmp_path / "p", server.base, calls=3)
    with pytest.raises(Refused) as refused:
        stub.run_project(folder)
    (found,) = refused.value.diagnostics
    kept = set(finished(folder))
    assert found.code == "E861"
    where = "does not reach past step `optimise.generator`: optimise.generator calls: 3 of 3 spent"
    assert where in found.message
    assert f"{len(kept)} finished steps are kept" in found.notes[0].message
    assert "raise that cap" in (found.suggestion or "")
    assert len(server.requests) == 3
    spec = folder / "sums.dagent"
    spec.write_text(spec.read_text().replace("calls = 3 calls", "calls = 30 calls"))
    stub.run_project(folder)
    again = finished(folder)
    assert "result" in again
    assert all(again[step]["reused"] for step in kept)


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
