"""Is a plan still what its spec and files say?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dagent.cli import main
from dagent.compiler.lock import dumps as dump_lock
from dagent.compiler.lock import lock_at, lock_path
from dagent.compiler.pipeline import compile
from dagent.compiler.plan import dumps
from dagent.compiler.settings import Settings
from dagent.compiler.stale import check_fresh, read_plan
from dagent.dsl.diagnostics import Diagnostics, Refused


@pytest.fixture
def compiled(project: Any) -> Any:
    path = project.spec({"param": {"k": {"default": 1, "env": "K"}}, "seed": "$k", **project.GUARD})
    write(project, path)
    return project


def write(project: Any, spec: Path, *sets: str, **env: str) -> Path:
    made = compile(spec, Settings(sets, env))
    plan: Path = project.folder / "dagent.plan.json"
    plan.write_text(dumps(made.plan), encoding="utf-8")
    lock_path(plan).write_text(dump_lock(lock_at(made.lock, spec, plan.parent)))
    return plan


def refused(project: Any) -> tuple[str, str]:
    """Code and all words of the one finding."""
    with pytest.raises(Refused) as caught:
        check_fresh(project.folder / "dagent.plan.json")
    found = caught.value.diagnostics[0]
    return found.code, " | ".join([found.message, *(note.message for note in found.notes)])


def test_a_fresh_plan(compiled: Any) -> None:
    assert check_fresh(compiled.folder / "dagent.plan.json").name == "demo"


@pytest.mark.parametrize(("sets", "env"), [(("k=5",), {}), ((), {"K": "5"})])
def test_values_from_outside_are_remembered(
    compiled: Any, sets: tuple[str, ...], env: dict[str, str]
) -> None:
    write(compiled, compiled.folder / "spec.yaml", *sets, **env)
    plan = check_fresh(compiled.folder / "dagent.plan.json")
    assert plan.settings["seed"] == 5


def test_comments_and_spaces_keep_it_fresh(compiled: Any) -> None:
    spec = compiled.folder / "spec.yaml"
    spec.write_text("# hello\n" + json.dumps(json.loads(spec.read_text()), indent=4))
    check_fresh(compiled.folder / "dagent.plan.json")


def test_time_stamps_are_not_looked_at(compiled: Any) -> None:
    for path in compiled.folder.iterdir():
        os.utime(path, (0, 0))
    check_fresh(compiled.folder / "dagent.plan.json")


def test_a_changed_spec_is_named_with_what_it_changes(compiled: Any) -> None:
    spec = compiled.folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("0.001", "0.002"))
    code, says = refused(compiled)
    assert code == "E804"
    assert "learning_rate: 0.001 -> 0.002" in says


def test_a_spec_that_does_not_compile_any_more(compiled: Any) -> None:
    spec = compiled.folder / "spec.yaml"
    spec.write_text(spec.read_text().replace("learning_rate", "learning_rat"))
    with pytest.raises(Refused) as caught:
        check_fresh(compiled.folder / "dagent.plan.json")
    assert [d.code for d in caught.value.diagnostics] == ["E804", "E602"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dev.jsonl", "the data set `dev`, dev.jsonl, changed"),
        ("programs.py", "the program, programs.py, changed"),
        ("model/config.json", "the student, ./model, changed"),
    ],
)
def test_a_changed_file_is_named_with_digests(compiled: Any, name: str, says: str) -> None:
    path = compiled.folder / name
    path.write_text(path.read_text() + "\n")
    code, words = refused(compiled)
    assert code == "E804"
    assert says in words
    assert "compiled from " in words


def test_a_module_that_a_program_imports_counts_as_the_program(project: Any) -> None:
    """Directly or by another, from a file or a package of its folder; nothing else there does."""
    programs = project.folder / "programs.py"
    programs.write_text("def late():\n    import direct\n\n" + programs.read_text())
    (project.folder / "pack").mkdir()
    for name, text in {
        "direct.py": "import json, os.path\nfrom pack import inner\n",
        "pack/__init__.py": "",
        "pack/inner.py": "from . import deep\n",
        "pack/deep.py": "import direct\n",
        "aside.py": "",
    }.items():
        (project.folder / name).write_text(text)
    spec = project.spec({})
    write(project, spec)
    before = {step.id: step.params for step in compile(spec).plan.steps}
    (project.folder / "aside.py").write_text("changed = 1\n")
    check_fresh(project.folder / "dagent.plan.json")
    for name in ("direct.py", "pack/__init__.py", "pack/inner.py", "pack/deep.py"):
        old = (project.folder / name).read_text()
        (project.folder / name).write_text(old + "changed = 1\n")
        assert f"the program, {name}, changed" in refused(project)[1]
        after = {step.id: step.params for step in compile(spec).plan.steps}
        assert {s for s in after if after[s] != before[s]} >= {"r1.generate"}
        (project.folder / name).write_text(old)


def test_a_file_that_is_gone(compiled: Any) -> None:
    (compiled.folder / "test.jsonl").unlink()
    assert refused(compiled) == ("E804", "the data set `test`, test.jsonl, is gone")


def test_a_spec_that_is_gone_is_a_warning(compiled: Any) -> None:
    (compiled.folder / "spec.yaml").unlink()
    warnings = Diagnostics()
    check_fresh(compiled.folder / "dagent.plan.json", warnings)
    assert [(d.code, d.severity) for d in warnings] == [("E807", "warning")]


def test_an_edited_plan(compiled: Any) -> None:
    plan = compiled.folder / "dagent.plan.json"
    plan.write_text(plan.read_text().replace("0.001", "0.1"))
    assert refused(compiled) == ("E805", "the key of step `r1.train` does not match its content")


def test_an_edited_budget(compiled: Any) -> None:
    plan = compiled.folder / "dagent.plan.json"
    body = json.loads(plan.read_text())
    body["budget"]["run"]["calls"] = 10**9
    plan.write_text(json.dumps(body))
    assert refused(compiled)[0] == "E805"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E805"),
        ("[]", "E805"),
        ('{"format": "dagent.plan/2"}', "E806"),
        ('{"format": "dagent.plan/1", "steps": 3}', "E805"),
    ],
)
def test_what_is_no_plan(compiled: Any, text: str, code: str) -> None:
    (compiled.folder / "dagent.plan.json").write_text(text)
    assert refused(compiled)[0] == code


def test_a_spec_in_place_of_a_plan_is_told_apart(compiled: Any) -> None:
    (spec,) = compiled.folder.glob("*.yaml")
    with pytest.raises(Refused) as refused:
        check_fresh(spec)
    (found,) = refused.value.diagnostics
    assert found.code == "E803"
    assert f"`dagent compile {spec.name}`" in str(found.suggestion)


def test_no_plan_and_no_lock(compiled: Any) -> None:
    (compiled.folder / "dagent.lock").unlink()
    assert refused(compiled)[0] == "E804"
    (compiled.folder / "dagent.plan.json").unlink()
    assert refused(compiled)[0] == "E803"


def test_the_lock_of_another_plan(compiled: Any) -> None:
    lock = compiled.folder / "dagent.lock"
    lock.write_text(lock.read_text().replace('"plan": "', '"plan": "0'))
    assert refused(compiled) == ("E804", "the lock belongs to another plan")


def test_a_plan_away_from_its_spec_is_not_run(compiled: Any) -> None:
    spec = compiled.folder / "spec.yaml"
    made = compile(spec)
    away = compiled.folder / "away"
    away.mkdir()
    plan = away / "dagent.plan.json"
    plan.write_text(dumps(made.plan))
    lock_path(plan).write_text(dump_lock(lock_at(made.lock, spec, away)))
    with pytest.raises(Refused, match="another folder"):
        check_fresh(plan)


def test_names_of_locks() -> None:
    for plan, lock in (("dagent.plan.json", "dagent.lock"), ("x.json", "x.lock")):
        assert lock_path(Path("a") / plan) == Path("a") / lock


@pytest.mark.parametrize("key", ["goal", "rounds", "settings"])
def test_an_edit_of_what_is_only_shown_is_noticed(project: Any, key: str) -> None:
    """MLflow shows the settings as parameters: nobody may be told another experiment."""
    body = json.loads(dumps(project.compile().plan))
    body[key] = {"goal": "Other.", "rounds": 9, "settings": {}}[key]
    path = project.text(json.dumps(body), "dagent.plan.json")
    with pytest.raises(Refused) as refused:
        read_plan(path)
    assert [d.code for d in refused.value.diagnostics] == ["E805"]


def test_lock_says_what_moved(
    compiled: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(compiled.folder)
    assert main(["lock", "--check"]) == 0
    assert capsys.readouterr().out == "nothing moved since the plan was compiled\n"
    spec = compiled.folder / "spec.yaml"
    spec.write_text("# a comment moves nothing\n" + spec.read_text())
    assert main(["lock", "--check"]) == 0
    capsys.readouterr()
    spec.write_text(spec.read_text().replace("Answer.", "Answer well."))
    for name in ("dev.jsonl", "programs.py", "model/config.json"):
        with (compiled.folder / name).open("a") as file:
            file.write(" \n")
    (compiled.folder / "guard.jsonl").unlink()
    lock = compiled.folder / "dagent.lock"
    body = json.loads(lock.read_text())
    body["packages"]["torch"] = "1.0"
    lock.write_text(json.dumps(body))
    assert main(["lock"]) == 0
    assert "data old: " in (out := capsys.readouterr().out)
    assert "-> gone" in out
    assert main(["lock", "--check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["moved"]
    assert [(m["kind"], m["name"]) for m in found] == [
        ("spec", "spec.yaml"),
        ("data", "dev"),
        ("data", "old"),
        ("program", "programs.py"),
        ("model", "./model"),
        ("package", "torch"),
    ]
