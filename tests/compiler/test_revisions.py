"""`dagent diff` against git and against the last execution: real repositories, real plans."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagent.cli import main
from dagent.runtime.history import keep_plan
from dagent.runtime.revisions import spec_at
from dagent.runtime.status import LATEST, execution_id

LEARN_FASTER = {"train": [{"stage": "sft", "learning_rate": 0.002}]}


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two commits, the spec not at the top: the second learns faster and has one more dev row."""
    git(project.folder.parent, "init", "-q", str(project.folder.parent))
    (project.folder.parent / "huge.bin").write_bytes(b"0" * 1000)
    project.spec()
    git(project.folder, "add", "-A", str(project.folder.parent))
    git(project.folder, "commit", "-qm", "one")
    project.spec(LEARN_FASTER)
    with (project.folder / "dev.jsonl").open("a") as file:
        file.write('{"prompt": "one more", "answer": "1", "skill": "a", "difficulty": 1}\n')
    git(project.folder, "commit", "-qam", "two")
    monkeypatch.chdir(project.folder)
    return project


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    main(["diff", *words])
    return capsys.readouterr().out


def test_a_revision(repository: Any, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "HEAD~1")
    assert "changed  r1…r2.train" in out
    assert "stages[0].args.learning_rate: 0.001 -> 0.002  (spec.yaml:" in out
    assert "changed  data.dev" in out
    assert out.splitlines()[-1].startswith("cost: ")
    assert told(capsys, "HEAD~1..HEAD") == told(capsys, "HEAD~1...HEAD")
    assert "learning_rate: 0.002 -> 0.001" in told(capsys, "HEAD..HEAD~1")
    assert told(capsys, "HEAD") == "same plan\n"
    assert told(capsys, "HEAD", "spec.yaml") == "same plan\n"


def test_the_place_is_the_line_of_the_new_value(
    repository: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["diff", "HEAD~1", "--json"])
    steps = json.loads(capsys.readouterr().out)["steps"]
    (reason,) = [r for s in steps if s["step"] == "r1.train" for r in s["reasons"] if "place" in r]
    text = (repository.folder / "spec.yaml").read_text().splitlines()
    assert "0.002" in text[int(reason["place"].split(":")[1]) - 1]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ({"param": {"lr": {"default": 0.001}}}, {"param": {"lr": {"default": 0.002}}}, '"default"'),
        (
            {"criteria": {"require": ["accuracy >= 0.5 on test", "accuracy >= 0.2 on select"]}},
            {"criteria": {"require": ["accuracy >= 0.5 on test", "accuracy >= 0.3 on select"]}},
            ">= 0.3 on select",
        ),
    ],
)
def test_the_place_is_where_the_value_is_given(
    repository: Any,
    capsys: pytest.CaptureFixture[str],
    old: dict[str, Any],
    new: dict[str, Any],
    line: str,
) -> None:
    learn = {"train": [{"stage": "sft", "learning_rate": "$lr"}]} if "param" in old else {}
    repository.spec({**learn, **old})
    git(repository.folder, "commit", "-qam", "three")
    path = repository.spec({**learn, **new})
    (found,) = {place for place in told(capsys, "HEAD").split() if place.startswith("(spec.yaml:")}
    text = path.read_text().splitlines()[int(found.strip("()").split(":")[1]) - 1]
    assert line in text


def test_only_what_the_spec_needs_leaves_git(repository: Any) -> None:
    with spec_at(git(repository.folder, "rev-parse", "HEAD"), repository.folder, None) as spec:
        found = {p.name for p in spec.parents[1].rglob("*") if p.is_file()}
    assert found >= {"spec.yaml", "dev.jsonl", "test.jsonl", "programs.py", "model.safetensors"}
    assert "huge.bin" not in found
    assert "guard.jsonl" not in found  # no data set of this spec
    assert git(repository.folder, "status", "--porcelain") == ""


def test_an_import_from_above_comes_along(
    repository: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository.folder.parent / "base.yaml").write_text("seed: 3\n")
    repository.spec(repository.join(LEARN_FASTER, {"import": ["../base.yaml"]}))
    git(repository.folder, "add", "-A", "..")
    git(repository.folder, "commit", "-qm", "three")
    (repository.folder.parent / "base.yaml").write_text("seed: 4\n")
    assert "seed: another" in told(capsys, "HEAD")
    assert "seed: another" not in told(capsys, "HEAD", "HEAD")


def test_what_is_no_revision(repository: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("nonsense", "HEAD~99..HEAD", "--x"):
        assert main(["diff", "--json", "--", name]) == 1
        assert json.loads(capsys.readouterr().out)[0]["code"] == "E715"


def test_a_revision_that_does_not_compile(
    repository: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.spec({"student": {"model": "./no"}})
    git(repository.folder, "commit", "-qam", "broken")
    repository.spec(LEARN_FASTER)
    assert main(["diff", "HEAD"]) == 1
    err = capsys.readouterr().err
    assert "E713" in err
    assert "E601" in err
    assert "/dagent-" not in err  # nobody can open a file of the export


def test_outside_of_a_repository(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.folder.parent))
    project.spec()
    assert main(["diff", "HEAD"]) == 1
    assert "E71" in capsys.readouterr().err


@pytest.mark.parametrize("words", [(), ("--last",)])
def test_the_last_execution(
    project: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(project.folder)
    plan = project.compile().plan
    assert main(["diff", *words]) == 1
    assert "E817" in capsys.readouterr().err
    keep_plan(plan, project.folder)
    (project.folder / LATEST).write_text(execution_id(plan.id) + "\n")
    assert told(capsys, *words) == "same plan\n"
    project.spec(LEARN_FASTER)
    assert "learning_rate: 0.001 -> 0.002" in told(capsys, *words)
