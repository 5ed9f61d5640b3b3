"""Files that earlier versions wrote keep reading. The folders hold them as they were: never change
one; a version that may not read them has to say so in its format, and to be refused with E806."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import dagent.specs
from dagent.compiler.diff import diff
from dagent.compiler.pipeline import compile
from dagent.compiler.stale import read_plan
from dagent.runtime.journal import read_events
from dagent.runtime.status import status

SPECS = Path(dagent.specs.__path__[0])
VERSIONS = sorted(p for p in Path(__file__).parent.glob("v*") if p.is_dir())
STUB = Path(__file__).parents[1] / "runtime" / "stub.py"


def schema(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((SPECS / f"{name}.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(body)
    return body


@pytest.fixture
def project(tmp_path: Path) -> Path:
    spec = importlib.util.spec_from_file_location("dagent_test_stub_earlier", STUB)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder: Path = module.make_project(tmp_path / "p")
    (folder / "sums.dagent").unlink()
    return folder


@pytest.mark.parametrize("name", ["spec", "plan", "events"])
def test_a_schema_says_which_one_it_is(name: str) -> None:
    assert re.fullmatch(rf"https://dagent\.dev/schemas/{name}/\d+\.json", schema(name)["$id"])


@pytest.mark.parametrize("version", VERSIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("name", ["spec.dagent", "spec.yaml"])
def test_an_earlier_spec_compiles_to_what_its_plan_says(
    project: Path, version: Path, name: str
) -> None:
    shutil.copy(version / name, project)
    plan = compile(project / name).plan
    found = diff(read_plan(version / "plan.json"), plan)
    # Another version of a kind may be other work; another step or cap is another meaning.
    assert {c.step for c in found.steps if c.what in ("new", "removed")} == set()
    assert found.plan == ()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda p: p.name)
def test_an_earlier_plan_keeps_to_the_schema(version: Path) -> None:
    jsonschema.validate(json.loads((version / "plan.json").read_text()), schema("plan"))


@pytest.mark.parametrize("version", VERSIONS, ids=lambda p: p.name)
def test_an_earlier_journal_keeps_to_the_schema_and_tells_its_end(version: Path) -> None:
    events = read_events(version / "journal.jsonl")
    validator = jsonschema.Draft7Validator(schema("events"))
    for event in events:
        validator.validate(event)
    assert status(events, alive=False)["state"] == "finished"
    validated = {e["event"] for e in events}
    assert validated >= {"execution_started", "step_finished", "round_finished", "reserved"}
    broken = {**next(e for e in events if e["event"] == "step_finished"), "seconds": "long"}
    assert not validator.is_valid(broken)
