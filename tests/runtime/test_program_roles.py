"""Programs of the user as diagnoser and as refiner: what they are given, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest

PROGRAMS = """
def some_wrong(skill, difficulty, n, seed):
    for i, row in enumerate(generate(skill, difficulty, n, seed)):
        if i % 3 == 0:
            row["answer"] = str(int(row["answer"]) + 1 + i % 4)
        yield row

def diagnose(rows, skill="double"):
    rows[0]["prompt"] = "0+0"  # its own copy
    wrong = [r for r in rows if r["scores"]["accuracy"] < 1]
    assert {r["output"] for r in wrong} == {"?"} and all(r["reasons"] for r in wrong)
    cited = [r["id"] for r in wrong if r["skill"] == skill]
    return [{"name": "carries", "cause": "drops the carry", "evidence": cited}] if cited else []

def plan(task):
    assert task.weaknesses[0]["name"] == "carries", task
    return {cell: task.diagnosis[cell].wrong for cell in task.cells}

def refine(row):
    assert row["reason"] == "wrong sum"
    a, b = map(int, row["prompt"].split("+"))
    off = int(row["answer"]) - a - b
    if off == 1:
        return {"prompt": row["prompt"], "answer": str(a + b), "skill": "mine", "round": 99}
    if off == 2:
        return {**row, "answer": str(a - b - 1)}
    return row if off == 3 else None
"""
DIAGNOSER = '  diagnoser { program = "sums.py:diagnose" }\n'
REFINER = '  refiner { program = "sums.py:refine" }\n'


def engineered(stub: ModuleType, folder: Path, roles: str, programs: str = PROGRAMS) -> Path:
    """A project whose every round has ``roles`` besides, after one round of it."""
    spec = stub.SPEC.replace("rounds <= 3", "rounds <= 1").replace("  planner", f"{roles}  planner")
    spec = spec.replace("sums.py:generate", "sums.py:some_wrong")
    project: Path = stub.make_project(folder, spec)
    with (project / "sums.py").open("a") as program:
        program.write(programs)
    stub.run_project(project)
    return project


def output(folder: Path, step: str, name: str) -> Any:
    (event,) = [
        e
        for e in read_events(journal_path(folder, latest(folder) or ""))
        if e["event"] == "step_finished" and e["step"] == step
    ]
    text = (folder / ".dagent/store" / event["outputs"][name]["path"]).read_text()
    return json.loads(text) if name in ("diagnosis", "curriculum") else rows(text)


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def planned(folder: Path) -> dict[str, int]:
    """How many rows of each skill the curriculum asks for."""
    counts = {"add": 0, "double": 0}
    for item in output(folder, "r1.plan", "curriculum")["items"]:
        counts[item["skill"]] += item["count"]
    return counts


def test_the_planner_reads_the_failures_that_a_program_cites(
    stub: ModuleType, tmp_path: Path
) -> None:
    folder = engineered(stub, tmp_path / "p", DIAGNOSER)
    counted = planned(engineered(stub, tmp_path / "counted", ""))
    assert abs(counted["add"] - counted["double"]) < 20
    assert planned(folder)["double"] > 2 * planned(folder)["add"]
    found = output(folder, "r1.diagnose", "diagnosis")
    failures = {
        r["id"] for r in output(folder, "r1.diagnose", "answers") if r["scores"]["accuracy"] < 1
    }
    (weakness,) = found["weaknesses"]
    assert (weakness["id"], weakness["skill"]) == ("w1", "double")
    assert (weakness["name"], weakness["cause"]) == ("carries", "drops the carry")
    assert weakness["difficulties"] == ["1", "2", "3"]
    assert set(weakness["evidence"]) < failures
    wrong = {c["skill"]: c["wrong"] for c in found["cells"] if c["difficulty"] == 1}
    assert wrong["add"] == 0 < wrong["double"]
    assert "0+0" not in {r["prompt"] for r in output(folder, "r1.diagnose", "answers")}


def test_a_program_that_plans_is_told_what_a_program_diagnosed(
    stub: ModuleType, tmp_path: Path
) -> None:
    diagnoser = DIAGNOSER.replace(" }", "  options { skill = add } }")
    planner = 'planner { program = "sums.py:plan" }'
    spec = stub.SPEC.replace("rounds <= 3", "rounds <= 1").replace("strategy = curriculum", "")
    spec = spec.replace("  planner   { policy = error-driven }", f"{diagnoser}  {planner}")
    folder = stub.make_project(tmp_path / "p", spec)
    with (folder / "sums.py").open("a") as program:
        program.write(PROGRAMS)
    stub.run_project(folder)
    assert planned(folder)["add"] > planned(folder)["double"]


def test_rows_that_a_program_mends_are_verified_again(stub: ModuleType, tmp_path: Path) -> None:
    folder = engineered(stub, tmp_path / "p", REFINER)
    rejected = {r["id"]: r for r in output(folder, "r1.verify", "rejects")}
    kept, lost = output(folder, "r1.refine", "verified"), output(folder, "r1.refine", "rejects")
    mended = [r for r in kept if "refined" in r]
    assert mended
    assert all(eval(r["prompt"]) == int(r["answer"]) for r in kept)
    for row in mended:
        before = rejected[row["refined_from"]]
        assert row["refined"] == before["reason"] == "wrong sum"
        assert {k: row[k] for k in ("skill", "round", "item", "origin")} == {
            k: before[k] for k in ("skill", "round", "item", "origin")
        }
        assert "reason" not in row
    assert {r["reason"] for r in lost} == {
        "wrong sum; repaired once, was: wrong sum",
        "wrong sum; the refiner changed nothing",
        "wrong sum; the refiner gave it up",
    }
    assert len(mended) + len(lost) == len(rejected)
    trained = {r["id"] for r in output(folder, "r1.mix", "train")}
    assert trained & {r["id"] for r in mended}
    assert not trained & {r["id"] for r in lost}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("{}", "must return a list of"),
        ("['carries']", "must return a list of"),
        ("[{'name': 'n', 'evidence': []}]", "must return a list of"),
        ("[{'name': ' ', 'evidence': [rows[0]['id']]}]", "must return a list of"),
        ("[{'name': 'n', 'evidence': [rows[0]['id']], 'level': 1}]", "must return a list of"),
        ("[{'name': 'n', 'evidence': ['zz']}]", "cites `zz` for `n`, which is no row"),
        (
            "[{'name': 'n', 'evidence': [r['id'] for r in rows if r['output'] != '?']}]",
            "which was answered rightly",
        ),
        ("rows[10 ** 6]", "raised IndexError"),
    ],
)
def test_what_a_diagnoser_must_return(
    stub: ModuleType, tmp_path: Path, returned: str, said: str
) -> None:
    program = f"\ndef diagnose(rows):\n    return {returned}\n"
    with pytest.raises(Refused) as refused:
        engineered(stub, tmp_path / "p", DIAGNOSER, PROGRAMS + program)
    (finding,) = refused.value.diagnostics
    assert finding.code == "E815"
    assert "sums.py:diagnose" in finding.message
    assert said in finding.message


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("'wrong'", "must return a row with texts `prompt` and `answer`, or None"),
        ("{**row, 'answer': 5}", "must return a row"),
        ("row['none']", "raised KeyError"),
    ],
)
def test_what_a_refiner_must_return(
    stub: ModuleType, tmp_path: Path, returned: str, said: str
) -> None:
    program = f"\ndef refine(row):\n    return {returned}\n"
    with pytest.raises(Refused) as refused:
        engineered(stub, tmp_path / "p", REFINER, PROGRAMS + program)
    (finding,) = refused.value.diagnostics
    assert finding.code == "E815"
    assert "sums.py:refine" in finding.message
    assert said in finding.message


HALVES = """
def some_wrong(skill, difficulty, n, seed):
    for i, row in enumerate(generate(skill, difficulty, n, seed)):
        yield row | {"note": "cut \\ud83d", "prompt": row["prompt"] + "\\ud83d" * (i % 5 == 0)}

def strict(row):
    return "\\ufffd" in row["prompt"] and "odd: \\ud83d" or None

def grade(answer, row):
    return answer == row["answer"], "no \\ud83d"
"""


def test_half_a_character_in_what_a_program_says_ends_nothing(
    stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file can hold it: it is the replacement character, as in a model's rows."""
    said = stub.SPEC.replace("sums.py:verify", "sums.py:strict")
    grader = 'grader = program program = "sums.py:grade"'
    monkeypatch.setattr(stub, "SPEC", said.replace("grader = exact", grader))
    folder = engineered(stub, tmp_path / "p", "", HALVES)
    assert {r["note"] for r in output(folder, "r1.verify", "verified")} == {"cut \ufffd"}
    assert {r["reason"] for r in output(folder, "r1.verify", "rejects")} == {"odd: \ufffd"}
    reasons = [r.get("reasons") for r in output(folder, "r0.evaluate", "answers")]
    assert {"accuracy": "no \ufffd"} in reasons


STRICT = """
some_wrong = generate

def grade(answer, row):
    return answer == row["answer"] and not answer.startswith("7"), "no sevens"
"""


def test_right_answers_that_their_own_grader_finds_wrong_are_told(
    stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grader = 'grader = program program = "sums.py:grade"'
    monkeypatch.setattr(stub, "SPEC", stub.SPEC.replace("grader = exact", grader))
    folder = engineered(stub, tmp_path / "p", "", STRICT)
    notes = {e["step"]: e["note"] for e in read_events(journal_path(folder, latest(folder) or ""))
             if e["event"] == "step_finished" and e["kind"] == "evaluate"}  # fmt: skip
    sevens = [r for r in output(folder, "split", "select") if r["answer"].startswith("7")]
    said = f"accuracy finds the right answers of {len(sevens)} rows wrong, first that of"
    assert f"; {said} `{sevens[0]['id']}`: no sevens" in notes["r0.evaluate"]
    assert "wrong" not in notes["r1.evaluate"], "once is enough"
