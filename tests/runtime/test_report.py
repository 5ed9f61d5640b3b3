"""The report: what it says agrees with the journal, what it may not show is not in it."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from dagent.cli import main
from dagent.compiler.detectable import missed
from dagent.compiler.pipeline import compile
from dagent.compiler.rates import about
from dagent.compiler.totals import span, totals
from dagent.runtime.history import events_of, keep_plan
from dagent.runtime.provenance import made_on
from dagent.runtime.report import facts
from dagent.runtime.report.funnel import _reasons
from dagent.runtime.report.markup import Markup, el
from dagent.runtime.report.page import render
from dagent.runtime.report.unshown import unshown
from dagent.runtime.rows import read_rows
from dagent.runtime.status import execution_id, plan_path
from dagent.runtime.steps.train import PEAK

FAULTY = """
import sums
def generate(skill, difficulty, n, seed):
    rows = sums.generate(skill, difficulty, n, seed)
    for i, row in enumerate(rows):
        if i % 5 == 0:
            row["answer"] += "1"
        elif i % 11 == 1:  # a row of test
            k = 2 * ((seed + i) % 60)
            row["prompt"], row["answer"] = f"{400 + k}+{k % 7}", str(400 + k + k % 7)
    return rows
"""
STUCK = """
import sums
def generate(skill, difficulty, n, seed):
    return sums.generate(skill, difficulty, 1, seed) * n
"""
ARMS = "arms { seeds = [1, 2]  arm uniform { control = uniform }  arm blind { control = blind } }"


@pytest.fixture(scope="module")
def done(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = stub.SPEC.replace("sums.py:generate", "faulty.py:generate")
    folder: Path = stub.make_project(tmp_path_factory.mktemp("report"), spec)
    (folder / "faulty.py").write_text(FAULTY)
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    own = (json.dumps({**row, "id": f"q-{i}"}) + "\n" for i, row in enumerate(rows))
    (folder / "test.jsonl").write_text("".join(own))
    stub.run_project(folder)
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    return folder


@pytest.fixture(scope="module")
def compared(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = stub.make_project(tmp_path_factory.mktemp("arms"), stub.SPEC + ARMS)
    stub.run_project(folder)
    keep_plan(compile(folder / "sums.dagent").plan, folder)
    return folder


def parsed(page: str) -> ElementTree.Element:
    """Every element is closed, so the page is XML after its first line."""
    return ElementTree.fromstring(page.partition("\n")[2])


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def tables(page: str) -> dict[str, list[list[str]]]:
    found = {}
    for table in parsed(page).iter("table"):
        body = [[words(cell) for cell in row] for row in table.iter("tr")]
        found[words(next(table.iter("caption")))] = body
    return found


def test_it_says_what_the_journal_says(done: Path) -> None:
    events = events_of(done)
    page = render(events, done)
    end, text = events[-1], words(parsed(page))
    low, high = end["gain"]["ci"]
    assert f"{end['gain']['test_pp']:+.1f}" in text
    assert f"95 % interval {low:+.1f} to {high:+.1f} points" in text
    assert f"{100 * end['base']['test']:.1f} % → {100 * end['champion']['test']:.1f} %" in text
    assert "on 120 test rows" in text
    assert all(r["says"] in text for r in end["requirements"])
    assert end["requirements"]
    gates = tables(page)["What the gate decided, and why"]
    told = [e for e in events if e["event"] == "round_finished"]
    assert len(told) == len(gates) - 1 > 2
    for event, row in zip(told, gates[1:], strict=True):
        assert row[1] == f"{100 * event['select']:.1f} %"
        assert event["reason"] in row[-1]
    assert events[0]["plan_id"] in text
    locked = json.loads((done / "dagent.plan.json").read_text())
    for step in locked["steps"]:
        if step["kind"] == "data":
            assert step["params"]["sha256"] in text


def test_what_was_spent_stands_beside_what_was_expected(done: Path) -> None:
    plan = compile(done / "sums.dagent").plan
    expected = totals(plan.steps)
    spent = events_of(done)[-1]["spent"]
    told = plan_path(done, execution_id(plan.id)).with_name("expected.json")
    assert told.read_text() == "{}\n", "of a student of unknown size nothing is expected"
    assert "no estimate for" in render(events_of(done), done)
    told.write_text(json.dumps({step.id: [60, 120, 180] for step in plan.steps}))
    found = tables(render(events_of(done), done))
    told.write_text("{}\n")
    (rows,) = [body for name, body in found.items() if name.startswith("What this execution took")]
    by_unit = {row[0]: row[1:] for row in rows[1:]}
    assert by_unit["rows"] == [span(expected.rows, "rows"), f"{spent['rows']:,}", "none"]
    assert by_unit["calls"][:2] == [span(expected.calls, "calls"), f"{spent['calls']:,}"]
    assert by_unit["time"][0] == about(
        (60 * len(plan.steps), 120 * len(plan.steps), 180 * len(plan.steps))
    )
    assert by_unit["rounds"] == ["", "3", "3"]


def test_the_memory_that_trainings_took_stands_beside_the_estimate(done: Path) -> None:
    events = events_of(done)
    assert "accelerator memory" not in render(events, done), "no accelerator was used"
    trained = [e for e in events if e["event"] == "step_finished" and e["kind"] == "train"]
    told = [
        {**e, "metrics": {**e["metrics"], PEAK: 1e9 * (1 + trained.index(e))}}
        if e in trained
        else e
        for e in events
    ]
    assert len(trained) > 1
    found = tables(render(told, done))
    (rows,) = [body for name, body in found.items() if name.startswith("What this execution took")]
    expected = totals(compile(done / "sums.dagent").plan.steps).memory
    guess = span(expected, "memory") if expected[1] else ""
    assert ["accelerator memory", guess, f"{len(trained)} GB", ""] in rows


def test_every_candidate_is_somewhere(done: Path) -> None:
    events = events_of(done)
    flows = facts.flows(events, done)
    assert [f.round for f in flows] == [1, 2, 3]
    for f in flows:
        assert f.rejected + f.duplicates + f.leaks + f.unchosen + f.added == f.candidates
        assert sum(r.rows for r in f.reasons) == f.rejected + f.duplicates + f.leaks
        assert f.rejected > 0
        assert f.leaks > 0
    assert flows[1].trained == flows[0].added + flows[1].added
    says = {r.says for f in flows for r in f.reasons}
    # However many rows of test they match, and whatever the user's ids look like.
    assert says == {"rejected: wrong sum", "leak: the same question as a row of test"}


def test_a_student_that_stays_untouched_is_not_compared_with_itself(
    stub: ModuleType, tmp_path: Path
) -> None:
    """Also: rows that a program repeats are counted, though they were never candidates."""
    folder = stub.make_project(tmp_path / "p", stub.SPEC.replace("sums.py:gen", "stuck.py:gen"))
    (folder / "stuck.py").write_text(STUCK)
    stub.run_project(folder)
    events = events_of(folder)
    assert events[-1]["champion"]["round"] == 0
    page = render(events, folder)
    text = words(parsed(page))
    base = f"{100 * events[-1]['base']['test']:.1f} %"
    assert f"Nothing was gained: {base} on 120 test rows, before and after" in text
    assert "95 % interval +0.0" not in text
    assert "p = 1" not in text.partition("Round by round")[0]
    for flow in facts.flows(events, folder):
        step = next(e for e in events if e.get("step") == f"r{flow.round}.generate" and "note" in e)
        assert flow.repeated == step["metrics"]["calls"] - flow.candidates > 0
        assert f"{flow.repeated:,} in round {flow.round}" in text
        assert f"{flow.repeated:,} rows were there already" in step["note"]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (
            {"state": "failed", "reason": "E815: your program `sums.py:generate` raised OSError"},
            "Failed: E815: your program sums.py:generate raised OSError. dagent execute goes on",
        ),
        ({"state": "interrupted", "reason": "interrupted"}, "Interrupted. dagent execute goes on"),
    ],
)
def test_what_ended_early_says_why(done: Path, event: dict[str, str], says: str) -> None:
    begun = events_of(done)[:-1]
    stopped = {**event, "event": "execution_stopped", "time": begun[-1]["time"]}
    assert says in words(parsed(render([*begun, stopped], done)))
    assert "goes on where it stopped" not in words(parsed(render(events_of(done), done)))


def test_a_skill_says_on_how_many_rows_its_shares_stand(done: Path) -> None:
    events = events_of(done)
    (heat,) = (body for name, body in tables(render(events, done)).items() if "weakest" in name)
    counted = {}
    for step, output in (("split", "select"), ("data.test", "rows")):
        path = facts.stored(events, step, output, done)
        assert path
        counted[step] = Counter(row["skill"] for row in read_rows(path))
    told = {row[0] for row in heat[1:]}
    assert told == {f"{s} {n}, {counted['data.test'][s]}" for s, n in counted["split"].items()}


def test_what_a_round_fixed_and_broke_is_what_its_gate_counted(done: Path) -> None:
    events = events_of(done)
    for change in facts.changes(events, done):
        path = facts.stored(events, f"r{change.round}.gate", "decision", done)
        assert path
        decision = json.loads(path.read_text())
        assert (change.fixed, change.broken) == (decision["fixed"], decision["broken"])
        for shown in change.examples_fixed:
            assert shown.after == shown.row["answer"] != shown.before


def test_it_shows_select_rows_and_neither_test_nor_diagnose(done: Path) -> None:
    events = events_of(done)
    shown = {words(pre) for pre in parsed(render(events, done)).iter("pre")}
    assert shown & prompts(events, done, "split", "select")
    assert not shown & prompts(events, done, "split", "diagnose")
    assert not any(p in code for p in prompts(events, done, "data.test", "rows") for code in shown)
    codes = {words(code) for code in parsed(render(events, done)).iter("code")}
    assert not codes & prompts(events, done, "data.test", "rows"), "a leak may be a row of test"


def prompts(events: Sequence[Any], folder: Path, step: str, output: str) -> set[str]:
    path = facts.stored(events, step, output, folder)
    assert path
    return {row["prompt"] for row in read_rows(path)}


def test_it_needs_nothing_but_itself_and_every_figure_is_told(done: Path, compared: Path) -> None:
    for folder in (done, compared):
        page = render(events_of(folder), folder)
        assert "<script" not in page
        assert "http" not in page
        assert "url(" not in page
        figures = list(parsed(page).iter("svg"))
        assert len(figures) >= 2
        for figure in figures:
            assert figure.get("role") == "img"
            assert words(next(figure.iter("desc"))) in figure.get("aria-label", "")


def test_arms_come_first_and_each_is_told_as_if_alone(compared: Path) -> None:
    events = events_of(compared)
    page = render(events, compared)
    found = events[-1]["comparison"]
    headings = [words(h) for h in parsed(page).iter("h2")]
    assert headings[:2] == ["The arms compared", "Each arm and seed"]
    (caption,) = (c for c in tables(page) if "Holm" in c)
    rows = tables(page)[caption][1:]
    for arm, row in zip(found["arms"], rows, strict=True):
        assert row[0] == arm["arm"]
        assert row[1] == f"{100 * arm['test']:.1f} %"
        assert row[3].startswith(f"{arm['gain']['pp']:+.1f}")
    folded = [words(s) for s in parsed(page).iter("summary")]
    assert sum("seed" in s for s in folded) == 6


def test_a_report_of_every_beginning_of_an_execution(done: Path, compared: Path) -> None:
    for folder in (done, compared):
        events = events_of(folder)
        for n in range(1, len(events), 7):
            assert "interrupted" in words(parsed(render(events[:n], folder)))


def test_it_says_what_is_left_when_the_store_is_gone(stub: ModuleType, tmp_path: Path) -> None:
    folder = stub.make_project(tmp_path / "p")
    stub.run_project(folder)
    (folder / ".dagent/store").rename(tmp_path / "elsewhere")
    text = words(parsed(render(events_of(folder), folder)))
    assert "points of accuracy on test" in text
    assert "Where every row went" not in text


def test_it_says_what_it_does_not_show(done: Path, compared: Path) -> None:
    one, arms = (words(parsed(render(events_of(f), f))) for f in (done, compared))
    assert "What this does not show" in one
    assert "no guard was watched" in one
    assert "How another seed would end" in one
    found = missed(40, 40, 0.05, "; in these rounds ")
    shares = [round(100 * (c.fixed + c.broken) / 40) for c in facts.changes(events_of(done), done)]
    between = f"{min(shares)} to {max(shares)}" if len({*shares}) > 1 else str(shares[0])
    assert f"Small gains of a round: {found[:-1]}{between} % did)." in one
    assert "All seeds answer the same rows of test" in arms
    assert "All seeds answer" not in one
    assert "simpler data of the same budget were not tried" in one
    assert "simpler data of the same budget were not tried" not in arms


def test_a_test_set_that_other_executions_opened_is_told_of(
    stub: ModuleType, tmp_path: Path
) -> None:
    """A second spec on the same rows; then a third on rows of its own."""
    folder = stub.make_project(tmp_path / "p")
    said = []
    for seed in (1, 2, 3):
        if seed == 3:
            rows = (folder / "test.jsonl").read_text().splitlines(keepends=True)
            (folder / "test.jsonl").write_text("".join(rows[1:]))
        (folder / "sums.dagent").write_text(f"{stub.SPEC}seed = {seed}\n")
        stub.run_project(folder)
        keep_plan(compile(folder / "sums.dagent").plan, folder)
        said.append(words(parsed(render(events_of(folder), folder))))
    assert "rows of test were fresh" not in said[0]
    assert "fresh: another execution of this folder tested a champion on them" in said[1]
    assert "rows of test were fresh" not in said[2]


def test_the_files_that_a_result_was_made_with_are_named(
    stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stub.make_project(tmp_path / "p")
    monkeypatch.chdir(folder)
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words_ in (["init", "-q"], ["add", "sums.dagent"], [*name, "commit", "-qm", "one"]):
        subprocess.run(["git", *words_], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert made_on(folder)["commit"] == head.stdout.strip()
    (folder / "sums.dagent").write_text(stub.SPEC + "seed = 3\n")
    assert main(["compile"]) == 0
    stub.run_project(folder)
    lock = json.loads((folder / "dagent.lock").read_text())
    shown = words(parsed(render(events_of(folder), folder)))
    assert f"commit {head.stdout.strip()}, with changes in this folder" in shown.replace(
        "commit" + head.stdout[:1], "commit " + head.stdout[:1]
    )
    assert platform.python_version() in shown
    table = shown.partition("The files that it was made with")[2]
    digests = {**lock["sources"], **lock["programs"]}
    assert {"sums.dagent", "sums.py"} == set(digests)
    (model,) = lock["models"].values()
    assert all(digest in table for digest in (*digests.values(), model["sha256"]))


def test_the_least_gain_counts_rows_as_the_metric_does() -> None:
    metric = {"grader": "exact", "average": "macro"}
    params = {"alpha": 0.05, "rule": "paired", "guards": [], "metrics": [metric]}
    gate = SimpleNamespace(kind="gate", round=1, params=params)
    plan: Any = SimpleNamespace(variants=(), steps=[gate], id="0" * 64)
    metrics = {"select": 200, "select_by_skill": 72.0}
    split = {"event": "step_finished", "kind": "split", "metrics": metrics}
    past = [{"event": "execution_started", "metric": "accuracy"}, split]
    assert f"Small gains of a round: {missed(200, 72, 0.05)}." in str(unshown(past, plan, Path()))
    metric["average"] = "micro"
    assert f"Small gains of a round: {missed(200, 200, 0.05)}." in str(unshown(past, plan, Path()))
    params["rule"] = "always"  # the gate tests nothing, so it misses nothing
    assert "Small gains" not in str(unshown(past, plan, Path()))


def test_reasons_of_a_programs_own_do_not_fill_the_page() -> None:
    """A verifier may say something else of each row; what the runtime found is always told."""
    said = [facts.Reason(f"rejected: {chr(97 + i) * 300}", 30 - i, None) for i in range(26)]
    leak = facts.Reason("leak: the same question as a row of dev", 1, None)
    numbers = dict.fromkeys((f.name for f in fields(facts.Flow)), 0)
    flow = facts.Flow(**{**numbers, "round": 1, "reasons": (*said, leak)})
    (body,) = tables(f"<!doctype html>\n<html>{_reasons([flow])}</html>").values()
    shown = {row[0]: row[1] for row in body[1:]}
    assert len(shown) == 22
    assert shown["rejected: 6 other reasons"] == str(sum(30 - i for i in range(20, 26)))
    assert shown["leak: the same question as a row of dev"] == "1"
    assert max(map(len, shown)) == 160


def test_what_a_user_wrote_is_text() -> None:
    assert el("p", "<script>", title='"') == '<p title="&quot;">&lt;script&gt;</p>'
    assert el("p", "\0\x1b[31m\n") == "<p>\u2400\u241b[31m\n</p>"
    assert el("p", Markup("<b>1</b>"), [1, None, "&"]) == "<p><b>1</b>1&amp;</p>"


def test_the_verb(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "r.html"
    assert main(["report", str(done), "-o", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    assert out.read_text().startswith("<!doctype html>")
    first = (done / ".dagent/latest").read_text()[:5]
    assert main(["report", str(done), "--execution", first, "-o", "-"]) == 0
    assert capsys.readouterr().out == out.read_text()
    assert main(["report", str(done), "--execution", "zz"]) == 1
    assert "E880" in capsys.readouterr().err
    assert main(["report", str(tmp_path)]) == 1
    assert "E817" in capsys.readouterr().err


def test_it_says_of_which_rows_disguised_copies_are_not_found(done: Path) -> None:
    """Sums are too short for any rule but the exact one."""
    text = words(parsed(render(events_of(done), done)))
    assert "200 of these 200 rows for copies with other constants, 200 for copies" in text
    notes = [e["note"] for e in events_of(done) if e.get("kind") == "decontaminate" and "note" in e]
    assert notes
    assert all("other constants can be told of 0 of the 200 rows there" in n for n in notes)
