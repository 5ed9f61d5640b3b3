"""A language model judges the student's answers, over HTTP, from compile to the quoted gain."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.cli import main
from dagent.compiler.pipeline import compile
from dagent.compiler.totals import totals
from dagent.dsl.diagnostics import Refused
from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest

EXACT = "metric accuracy { grader = exact }  require accuracy >= 0.5 on test"
JUDGED = """metric quality {
    grader = judge
    lm = "openai/fake"
    api_base = "%s"
    rubric = "The sum is right."
  }
  metric accuracy { grader = exact }
  require quality >= 0.5 on test
"""


def project(stub: ModuleType, folder: Path, base: str, more: str = "") -> Path:
    text = stub.SPEC.replace(EXACT, JUDGED % base + more).replace("rounds <= 3", "rounds <= 2")
    made: Path = stub.make_project(folder, text)
    return made


def events(folder: Path) -> list[dict[str, Any]]:
    return read_events(journal_path(folder, latest(folder) or ""))


def rows(folder: Path, step: str, output: str) -> list[dict[str, Any]]:
    (path,) = [
        folder / ".dagent/store" / e["outputs"][output]["path"]
        for e in events(folder)
        if e["event"] == "step_finished" and e["step"] == step
    ]
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def judged(
    stub: ModuleType,
    engineers: ModuleType,
    lm_server: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Any]:
    with lm_server.Server(engineers.Engineer()) as server:
        folder = project(stub, tmp_path_factory.mktemp("judge"), server.base)
        stub.run_project(folder)
    return folder, server


def test_a_judge_that_knows_agrees_with_the_exact_grader_and_says_why_not(judged: Any) -> None:
    folder, _ = judged
    for step in ("r0.evaluate", "r1.evaluate", "r1.diagnose", "test.base", "test.champion"):
        for row in rows(folder, step, "answers"):
            right = row["output"] == row["answer"]
            assert row["scores"]["quality"] == right
            assert ("the sum is off (score 2 of 9)" in row.get("reasons", {}).values()) != right
    (end,) = [e for e in events(folder) if e["event"] == "execution_finished"]
    assert end["champion"]["test"] > end["base"]["test"]


def test_the_judge_is_told_the_right_answer_the_rubric_and_nothing_of_other_rows(
    judged: Any, engineers: ModuleType
) -> None:
    _, server = judged
    for request in server.requests:
        given = engineers.fields(request)
        assert given["rubric"] == "The sum is right."
        assert given["right_answer"] == engineers.right(given["question"])


def test_every_call_of_the_judge_is_metered_and_within_the_estimate(judged: Any) -> None:
    folder, server = judged
    (end,) = [e for e in events(folder) if e["event"] == "execution_finished"]
    plan = compile(folder / "sums.dagent").plan
    asked = {s.id: s.estimate for s in plan.steps if s.kind in ("calibrate", "evaluate")}
    assert asked["calibrate.quality"].calls == (48, 96)
    assert asked["test.base"].calls == (120, 240)
    assert len(server.requests) <= end["spent"]["calls"] <= totals(plan.steps).calls[1]


def test_a_run_that_goes_on_pays_no_judgement_twice(judged: Any, stub: ModuleType) -> None:
    folder, server = judged
    before = len(server.requests)
    stub.run_project(folder, force=("r0.evaluate",))
    assert len(server.requests) == before


def test_a_judge_that_cannot_tell_ends_the_run_before_anything_is_judged(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    class Lenient(engineers.Engineer):  # type: ignore[misc, name-defined]
        def judge(self, given: dict[str, str], rng: Any) -> dict[str, Any]:
            return {"working": "w", "fault": "", "score": 10}

    server = serve(Lenient())
    folder = project(stub, tmp_path / "p", server.base)
    with pytest.raises(Refused) as refused:
        stub.run_project(folder)
    (found,) = refused.value.diagnostics
    assert (found.code, "metric quality" in (found.suggestion or "")) == ("E656", True)
    assert len(server.requests) == 48


def test_a_judge_may_guard(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    server = serve(engineers.Engineer())
    guard = "  guard old { metric = quality  max_drop = 2pp }\n"
    folder = project(stub, tmp_path / "p", server.base, guard)
    spec = folder / "sums.dagent"
    spec.write_text(
        spec.read_text()
        .replace("data test", 'data old { role = guard  path = "old.jsonl" }\ndata test')
        .replace("metric quality", "metric_quality")
        .replace("  metric accuracy { grader = exact }\n", "")
        .replace("metric_quality", "metric accuracy { grader = exact }\n  metric quality")
    )
    guarded = [{"prompt": f"{a}+{a}", "answer": str(2 * a)} for a in range(700, 720)]
    (folder / "old.jsonl").write_text("".join(json.dumps(r) + "\n" for r in guarded))
    stub.run_project(folder)
    assert {tuple(r["scores"]) for r in rows(folder, "r1.guard.old", "answers")} == {("quality",)}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (('lm = "openai/fake"\n', ""), "E650"),
        (("grader = judge", "grader = exact"), "E505"),
        (("rounds <= 2", "rounds <= 2  money <= 5 USD"), "E410"),
        (("train sft", "train dpo"), "E642"),
    ],
)
def test_what_a_judge_needs_is_asked_for(
    stub: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    code: str,
) -> None:
    folder = project(stub, tmp_path / "p", "http://localhost:1/v1")
    spec = folder / "sums.dagent"
    assert change[0] in spec.read_text()
    spec.write_text(spec.read_text().replace(*change))
    assert main(["check", str(spec)]) == 1
    said = capsys.readouterr()
    assert code in said.out + said.err


def test_a_cap_on_the_judge_is_held(
    stub: ModuleType, engineers: ModuleType, serve: Any, tmp_path: Path
) -> None:
    server = serve(engineers.Engineer())
    folder = project(stub, tmp_path / "p", server.base)
    spec = folder / "sums.dagent"
    whole = "per round { rows <= 60 }"
    assert whole in spec.read_text()
    spec.write_text(spec.read_text().replace(whole, whole + " per judge { calls <= 60 }"))
    with pytest.raises(Exception, match="judge"):
        stub.run_project(folder)
    assert len(server.requests) <= 60
