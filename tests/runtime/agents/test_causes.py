"""Every way to verify a row, each with its own cause, alone and in one spec; and answers that
cannot be read, of every role. Whole runs over HTTP."""

from __future__ import annotations

import json
import random
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused

# What is wrong with a row, and what it is rejected for.
FLAWS = {
    "": None,
    "in words": "number: no number in it",
    "zeros": "shape: the pattern is not in it",
    "large": "typed: $: ",
    "untrue": "tested: tests, line 1: AssertionError at `assert 1 + 1 == 3`",
    "sum": "wrong sum",
    "unclear": "judge: it can be read in two ways (score 2, 9 needed)",
    "unsure": "consistency: 0 of 3 independent answers agree",
}
FLAWED = f"""
FLAWS = {list(FLAWS)}
DIGITS = {{"unclear": 7, "unsure": 3}}
def flawed(skill, difficulty, n, seed):
    rng = random.Random(f"{{skill}}{{difficulty}}{{seed}}")
    for number in range(n):
        flaw = FLAWS[number % len(FLAWS)]
        a = 10 * rng.randrange(1000, 10**5) + DIGITS.get(flaw, 1) + 10**8 * (flaw == "large")
        b = a if skill == "double" else rng.randrange(1000)
        answer = str(a + b + (flaw == "sum"))
        answer = {{"in words": "many", "zeros": "0" + answer}}.get(flaw, answer)
        tests = "assert 1 + 1 == 3" if flaw == "untrue" else f"assert {{a}} + {{b}} == {{a + b}}"
        yield {{"prompt": f"{{a}}+{{b}}", "answer": answer, "tests": tests, "flaw": flaw}}
def queries(skill, difficulty, n, seed):
    for row in flawed(skill, difficulty, n, seed):
        wrong = row["flaw"] == "sum"
        answer = "select missing" if wrong else "select " + row["prompt"]
        yield {{"prompt": row["prompt"], "answer": answer, "flaw": row["flaw"],
               "schema_sql": "create table t (a int)"}}
"""
ALL = """
  generator { program = "sums.py:flawed" }
  verifier { lm = "openai/fake"  program = "sums.py:verify"  samples = 3 }
  verify number { grader = numeric }
  verify shape { grader = regex  pattern = "^[1-9][0-9]*$" }
  verify typed { grader = json  schema = "small.json" }
  verify tested { grader = code }
"""
SMALL = json.dumps({"type": "integer", "maximum": 10**7})


def digit(given: dict[str, str]) -> int | None:
    """The last of the first number, of rows that were generated."""
    a = int(given["question"].split("+")[0])
    return a % 10 if a >= 1000 else None


@pytest.fixture
def doubter(engineers: ModuleType) -> Any:
    class Doubter(engineers.Engineer):  # type: ignore[misc,name-defined]
        def judge(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            said: dict[str, Any] = super().judge(given, rng)
            if digit(given) == 7:
                said |= {"score": 2, "fault": "it can be read in two ways"}
            return said

        def solver(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            said: dict[str, Any] = super().solver(given, rng)
            return said if digit(given) != 3 else {**said, "answer": str(rng.random())}

    return Doubter()


def test_one_spec_combines_every_check_and_each_reject_has_its_own_cause(
    stub: ModuleType, doubter: Any, play: Any
) -> None:
    files = {"sums.py": stub.PROGRAM + FLAWED, "small.json": SMALL}
    played = play(doubter, ALL, files, rows=60)
    made = played.rows("r1.generate/candidates")
    sound, lost = played.rows("r1.verify/verified"), played.rows("r1.verify/rejects")
    assert {r["flaw"] for r in made} == set(FLAWS)
    assert {r["id"] for r in made} == {r["id"] for r in sound} | {r["id"] for r in lost}
    assert {r["flaw"] for r in sound} == {""}
    for row in lost:
        assert row["reason"].startswith(FLAWS[row["flaw"]] or "?"), row
    said = ["sums.py:verify", "number", "shape", "tested", "typed", "judge", "consistency"]
    assert all([v["by"] for v in row["verdicts"]] == said for row in sound)
    # Only what passes the checks that cost nothing is asked about.
    cheap = [r for r in made if r["flaw"] in ("", "unclear", "unsure")]
    calibration = 48
    refined = played.rows("r1.refine/verified")
    assert len(played.asked("judge")) == calibration + len(cheap) + len(refined) - len(sound)


def test_queries_are_run(stub: ModuleType, doubter: Any, play: Any) -> None:
    more = """
  generator { program = "sums.py:queries" }
  verifier { program = "sums.py:any" }
  verify runs { grader = sql }
"""
    accept = "\ndef any(row):\n    return None\n"
    played = play(doubter, more, {"sums.py": stub.PROGRAM + FLAWED + accept}, rows=60)
    lost = played.rows("r1.verify/rejects")
    assert {(r["flaw"], r["reason"]) for r in lost} == {
        ("sum", "runs: the right query fails: no such column: missing")
    }


@pytest.mark.parametrize(("off", "agree"), [(0.4, True), (0.6, False)])
def test_independent_answers_agree_within_the_tolerance(
    engineers: ModuleType, play: Any, off: float, agree: bool
) -> None:
    class Rough(engineers.Engineer):  # type: ignore[misc,name-defined]
        def solver(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            right = int(engineers.right(given["question"]))
            return {"working": "w", "answer": f"about {right + off}"}

    more = '  verifier { lm = "openai/fake"  judge = false  samples = 3 }\n'
    numeric = "numeric  tolerance = 0.5"
    played = play(Rough(wrong=0.0), more, rows=12, grader=numeric)
    sound, lost = played.rows("r1.verify/verified"), played.rows("r1.verify/rejects")
    assert bool(sound) == agree
    causes = {r["reason"] for r in lost if not r["reason"].startswith("near-duplicate")}
    assert causes == (set() if agree else {"consistency: 0 of 3 independent answers agree"})


# --- answers that cannot be read -----------------------------------------------------------------

CHATTER = "I would rather talk about the weather."
UNREADABLE = f"the model's answer could not be read: {CHATTER}"


@pytest.fixture
def babbling(engineers: ModuleType) -> Any:
    """``babbling(role, always)``: of each question of a role the first answer is chatter, or all
    are. What is asked about dev rows is answered."""

    def make(role: str, always: bool) -> Any:
        class Babbling(engineers.Engineer):  # type: ignore[misc,name-defined]
            def __call__(self, request: dict[str, Any]) -> str:
                given = engineers.fields(request)
                told = "could not be read" in given.get("remark", "")
                known = role == "judge" and digit(given) is None if "question" in given else False
                if engineers.asks_for(request) == role and (always or not told) and not known:
                    return CHATTER
                answer: str = super().__call__(request)
                return answer

        return Babbling(wrong=0.0 if role == "generator" else 0.2)

    return make


SAMPLED = '  verifier { lm = "openai/fake"  samples = 2 }\n'
ROLES = ("diagnoser", "planner", "generator", "judge", "solver", "refiner")


@pytest.mark.parametrize("role", ROLES)
def test_an_unreadable_answer_is_asked_for_once_more_and_then_is_as_good_as_any(
    babbling: Any, play: Any, role: str
) -> None:
    played = play(babbling(role, always=False), SAMPLED, rows=12)
    asked = played.asked(role)
    again = [given for given in asked if UNREADABLE in given["remark"]]
    assert again
    assert len(asked) == (2 * len(again) if role != "judge" else 2 * len(again) + 48)
    rejects = played.rows("r1.refine/rejects")
    assert not [r for r in rejects if "could not be read" in r["reason"]]
    assert not played.read("r1.diagnose/diagnosis")["refused"][2:]
    assert played.read("r1.plan/curriculum")["planner"] == "openai/fake"
    assert played.rows("r1.mix/added")


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_never_answers_readably_is_written_down_and_the_run_ends_in_order(
    babbling: Any, play: Any, role: str
) -> None:
    played = play(babbling(role, always=True), SAMPLED, rows=12)
    (end,) = [e for e in played.events if e["event"] == "execution_finished"]
    assert end["state"] == "finished"
    lost = [r["reason"] for r in played.rows("r1.refine/rejects")]
    added = played.rows("r1.mix/added")
    match role:
        case "diagnoser":
            refused = played.read("r1.diagnose/diagnosis")["refused"]
            assert refused == [{"skill": s, "reason": UNREADABLE} for s in ("add", "double")]
            assert added
        case "planner":
            plan = played.read("r1.plan/curriculum")
            assert plan["refused"] == [{"reason": UNREADABLE}]
            assert plan["planner"].startswith("error-driven, since")
            assert added
        case "generator":
            assert set(lost) == {UNREADABLE}
            assert not added
            assert "no rows were added" in played.read("r1.gate/decision")["reason"]
        case "judge":
            assert f"not judged: {UNREADABLE}; the refiner changed nothing" in lost
            assert not added
        case "solver":
            assert "consistency: no answer could be read; the refiner changed nothing" in lost
            assert not added
        case "refiner":
            assert any(reason.endswith(f"; {UNREADABLE}") for reason in lost)
            assert added


def test_a_judge_that_says_nothing_readable_is_not_called_a_bad_judge(
    engineers: ModuleType, play: Any
) -> None:
    class Silent(engineers.Engineer):  # type: ignore[misc,name-defined]
        def __call__(self, request: dict[str, Any]) -> str:
            answer: str = super().__call__(request)
            return CHATTER if engineers.asks_for(request) == "judge" else answer

    with pytest.raises(Refused) as refused:
        play(Silent())
    (found,) = refused.value.diagnostics
    assert found.code == "E656"
    assert "none of its 48 answers could be used" in found.message
    assert CHATTER in found.message


def test_a_key_for_another_server_is_not_sent_to_openai(
    stub: ModuleType, load: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = "http://127.0.0.1:1/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "the-gateways")
    monkeypatch.setenv("OPENAI_BASE_URL", gateway)
    text = load("agents/playing.py").spec(stub, gateway)
    folder = stub.make_project(tmp_path / "p", text.replace(f'  api_base = "{gateway}"\n', ""))
    with pytest.raises(Refused) as refused:
        stub.run_project(folder)
    (found,) = refused.value.diagnostics
    assert found.code == "E862"
    assert f'api_base = "{gateway}"' in str(found.suggestion)


def test_what_a_model_lacks_is_said_before_anything_is_done(
    stub: ModuleType, load: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    playing = load("agents/playing.py")
    base = "http://127.0.0.1:1/v1"
    more = '  planner { lm = "openai/gpt-4o" }\n'
    more += f'  refiner {{ lm = "openai/o3"  api_base = "{base}"  temperature = 0.5 }}\n'
    folder = stub.make_project(tmp_path / "p", playing.spec(stub, base, more))
    with pytest.raises(Refused) as refused:
        stub.run_project(folder)
    assert {d.code for d in refused.value.diagnostics} == {"E850", "E856"}
    played = playing.Played(folder, None, None)
    assert not [e for e in played.events if e["event"].startswith("step_")]
