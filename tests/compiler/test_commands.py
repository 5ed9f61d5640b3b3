"""compile, show, graph, diff, init: as a user calls them."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dagent.specs
from dagent.cli import main

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(p.name for p in (Path(dagent.specs.__path__[0]) / "templates").iterdir())


@pytest.fixture
def here(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(project.folder)
    project.spec()
    return project


def test_compile_without_arguments(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile"]) == 0
    out = capsys.readouterr().out
    assert "29 steps in 2 rounds, at most 200 rows and about 400 calls" in out
    assert "select rows a gain under" in out
    assert out.rstrip().endswith("next: dagent execute")
    body = json.loads((here.folder / "dagent.plan.json").read_text())
    lock = json.loads((here.folder / "dagent.lock").read_text())
    assert lock["plan"] == body["id"]
    assert lock["spec"] == "spec.yaml"
    assert not list(here.folder.glob(".*.tmp"))


def test_what_select_can_show_where_skills_count_the_same(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """160 and 40 rows count as 2² / (1/160 + 1/40)."""
    skills = ["a"] * 8 + ["b"] * 2
    rows = [{"prompt": f"q {i}", "answer": "x", "skill": skills[i % 10]} for i in range(400)]
    here.write_rows("dev.jsonl", rows)
    printed = []
    for average in ("micro", "macro"):
        metric = {"grader": "exact", "average": average}
        here.spec({"criteria": {"metric": {"accuracy": metric}}})
        assert main(["compile"]) == 0
        printed.append(capsys.readouterr().out)
    assert "with 200 select rows a gain under 9.8 points is missed more than one" in printed[0]
    assert "with 200 select rows, which count as 128, a gain under 12 points" in printed[1]
    here.spec({"criteria": {"metric": {"accuracy": metric}, "gate": {"rule": "always"}}})
    assert main(["compile"]) == 0
    assert "is missed" not in capsys.readouterr().out, "no test, no gain that it misses"


def test_select_counts_as_no_more_rows_than_it_has(
    here: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the skills that have one row have none in select."""
    rows = [{"prompt": f"q {i}", "answer": "x", "skill": f"s{i}"} for i in range(400)]
    here.write_rows("dev.jsonl", rows)
    metric = {"grader": "exact", "average": "macro"}
    here.spec({"criteria": {"metric": {"accuracy": metric}, "gate": {"select": "25%"}}})
    assert main(["compile"]) == 0
    assert "with 100 select rows a gain under 14 points is missed" in capsys.readouterr().out


def test_compile_json_and_output(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "--json", "-o", "a.plan.json", "--set", "seed=3"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["written"] == ["a.plan.json", "a.lock"]
    assert json.loads((here.folder / "a.lock").read_text())["set"] == {"seed": 3}


def test_a_failed_compile_loses_nothing(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile"]) == 0
    before = {p.name: p.read_bytes() for p in here.folder.glob("dagent.*")}
    here.spec({"student": {"model": "./no"}})
    capsys.readouterr()
    assert main(["compile", "--json"]) == 1
    (found,) = [d for d in json.loads(capsys.readouterr().out) if d["severity"] == "error"]
    assert found["code"] == "E601"
    assert {p.name: p.read_bytes() for p in here.folder.glob("dagent.*")} == before


def test_a_folder_that_cannot_be_written(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "-o", "no/such/plan.json"]) != 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(("names", "code"), [((), "E801"), (("a.dagent", "b.dagent"), "E802")])
def test_no_spec_or_two(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    names: tuple[str, ...],
    code: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_text("not: a spec\n")
    for name in names:
        (tmp_path / name).write_text("seed = 1\n")
    assert main(["compile", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["code"] == code
    assert all(name in found["message"] for name in names)


def test_show_and_graph(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compile"])
    capsys.readouterr()
    assert main(["show"]) == 0
    assert "r1…r2.train" in capsys.readouterr().out
    assert main(["show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "dagent.plan/1"
    assert main(["graph", "--round", "1"]) == 0
    assert "subgraph R1" in capsys.readouterr().out
    assert main(["graph", "-o", "plan.svg"]) == 0
    assert (here.folder / "plan.svg").read_text().startswith("<svg ")
    assert main(["graph", "--format", "dot"]) == 0
    assert capsys.readouterr().out.startswith('digraph "demo" {')
    assert main(["graph", "--round", "9"]) == 1
    assert "E831" in capsys.readouterr().err


def test_diff(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compile"])
    capsys.readouterr()
    assert main(["diff", "dagent.plan.json", "--exit-code"]) == 0
    assert capsys.readouterr().out == "same plan\n"
    assert main(["diff", "dagent.plan.json", "spec.yaml", "--set", "seed=1", "--exit-code"]) == 1
    capsys.readouterr()
    assert main(["diff", "spec.yaml", "dagent.plan.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True


@pytest.mark.parametrize("yaml", [[], ["--yaml"]])
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_compiles_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    template: str,
    yaml: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "new", "--template", template, *yaml]) == 0
    monkeypatch.chdir(tmp_path / "new")
    assert main(["compile"]) == 0
    assert main(["fmt", "--check"]) == 0
    assert "warning" not in capsys.readouterr().err
    if yaml:
        first = (tmp_path / "new" / "spec.yaml").read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=spec.schema.json"
        assert (tmp_path / "new" / "spec.schema.json").exists()


def test_init_overwrites_nothing(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = (here.folder / "programs.py").read_text()
    assert main(["init"]) == 1
    assert "programs.py" in capsys.readouterr().err
    assert (here.folder / "programs.py").read_text() == before
    assert main(["init", "new", "--template", "quickstat"]) == 1
    assert "did you mean `quickstart`?" in capsys.readouterr().err
    assert not (here.folder / "new").exists()


def test_init_lists_its_templates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--list"]) == 0
    listed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    papers = ["paper-code", "paper-finance", "paper-science"]
    assert [name for name, _ in listed] == [*TEMPLATES, *papers]
    assert all(says for _, says in listed)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_makes_rows_that_it_accepts_and_never_tests_on(template: str) -> None:
    folder = Path(dagent.specs.__path__[0]) / "templates" / template
    programs = runpy.run_path(str(folder / "programs.py"))
    measured = [
        json.loads(line)
        for name in ("dev.jsonl", "test.jsonl")
        for line in (folder / name).read_text().splitlines()
    ]
    asked = {row["prompt"] for row in measured}
    assert len(asked) == len(measured)
    for skill, difficulty in {(row["skill"], row["difficulty"]) for row in measured}:
        made = programs["generate"](skill, difficulty, 50, 7)
        assert len(made) == 50
        assert not asked & {row["prompt"] for row in made}
        assert [programs["verify"](row) for row in made] == [None] * 50
        assert programs["verify"]({**made[0], "answer": "no"}) is not None
    if "grade" in programs:
        assert programs["grade"](measured[0]["answer"], measured[0]) == 1.0
        assert programs["grade"]("no", measured[0]) == 0.0


def test_init_keeps_a_readme_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    assert main(["init"]) == 0
    assert (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("argcomplete")
    assert main(["completion", shell]) == 0
    assert "dagent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("dagent com", {"compile", "completion"}), ("dagent init --temp", {"--template"})],
)
def test_a_shell_is_answered(tmp_path: Path, line: str, wanted: set[str]) -> None:
    pytest.importorskip("argcomplete")
    answer = tmp_path / "answer"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    code = "import sys; from dagent.cli import main; sys.exit(main())"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, check=True, cwd=ROOT)
    assert {word.strip() for word in answer.read_text().split("\n")} == wanted


@pytest.mark.parametrize("domain", ["science", "code", "finance"])
def test_a_domain_of_the_paper_is_a_template_that_asks_for_its_data(
    domain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert main(["init", "--list"]) == 0
    assert f"paper-{domain}" in capsys.readouterr().out
    assert main(["init", "--template", f"paper-{domain}"]) == 0
    said = capsys.readouterr().out
    assert main(["compile", "--format", "json"]) == 1
    found = [d for d in json.loads(capsys.readouterr().out) if d["severity"] == "error"]
    missing = [
        f"there is no file `data/{domain}/{part}.jsonl`" for part in ("dev", "test", "seeds")
    ]
    assert [d["message"] for d in found] == missing
    first, next_ = said.index("first bring its data:"), said.index("next: dagent compile")
    assert all(first < said.index(message) < next_ for message in missing)
    assert "specs/" not in (tmp_path / "README.md").read_text()

    data = tmp_path / "data" / domain
    data.mkdir(parents=True)
    for part, n in (("dev", 40), ("test", 120), ("seeds", 20)):
        rows = [
            {"prompt": f"{part} {i}: what is {i} and {i}?", "answer": str(2 * i), "skill": "sums"}
            for i in range(n)
        ]
        (data / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert main(["compile"]) == 0


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"gpu": "1s"}, ["the run may take", "of accelerators, and `gpu` allows 1s"]),
        (
            {"per": {"round": {"gpu": "1s", "wall": "1s", "rows": 100}}},
            ["round 2 may take", "`wall` allows 1s per round", "`gpu` allows 1s per round"],
        ),
        ({"gpu": "9d", "per": {"round": {"gpu": "9d", "wall": "9d", "rows": 100}}}, []),
    ],
)
def test_the_budget_check_counts_time_of_the_run_and_of_a_round(
    project: Any, capsys: pytest.CaptureFixture[str], budget: dict[str, Any], said: list[str]
) -> None:
    path = project.spec({"budget": budget})
    assert main(["compile", str(path), "--budget-check", "--format", "concise"]) == bool(said)
    told = capsys.readouterr().err
    assert "round 1" not in told
    for words in said:
        assert words in told, told


def test_time_on_accelerators_is_estimated_where_it_is_capped(project: Any) -> None:
    def held(change: dict[str, Any]) -> dict[str, tuple[float, float] | None]:
        found = project.compile(change).plan
        return {step.id: step.estimate.gpu for step in found.steps}

    assert set(held({}).values()) == {None}
    capped = {"budget": {"gpu": "9d"}}
    one = held(capped)
    steps = ("diagnose", "mix", "train", "evaluate")
    assert {id for id, gpu in one.items() if gpu} == {
        *("r0.evaluate", "test.base", "test.champion"),
        *(f"r{n}.{kind}" for n in (1, 2) for kind in steps),
    }
    four = held({**capped, "student": {"device": "4x24GB"}})
    assert four["r1.train"][0] == one["r1.train"][0]
    assert four["r1.train"][1] == pytest.approx(4 * one["r1.train"][1], rel=0.05)
    assert four["r1.evaluate"] == one["r1.evaluate"]
    config = project.folder / "config.yaml"
    for kind, times in (("MULTI_GPU", 2), ("MULTI_CPU", 0)):
        config.write_text(f"distributed_type: {kind}\nnum_processes: 2\n")
        several = held({**capped, "student": {"accelerate": "config.yaml"}})
        assert several["r1.train"][1] == pytest.approx(times * one["r1.train"][1], rel=0.05)
