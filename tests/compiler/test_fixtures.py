"""Specs with one mistake each, by the code that it earns, in both syntaxes.

`# error: E301 2:31` at the end of a fixture means an error of that code at line 2, column 31 of it,
or of the file that is named; `UPDATE_EXPECT=1` writes what is found. What the text alone earns is
in `tests/dsl/fixtures`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from dagent.compiler.pipeline import check
from dagent.compiler.settings import Settings
from dagent.dsl.codes import CODES
from dagent.dsl.render import render

HERE = Path(__file__).parent / "fixtures"
FIXTURES = sorted(path for path in HERE.iterdir() if path.is_file())
TEXT_ALONE = HERE.parents[1] / "dsl" / "fixtures"
EXPECTED = re.compile(r"^# (?:error|warning): (?P<code>E\d{3}) .*\n", re.MULTILINE)


def rows(name: str, n: int) -> list[str]:
    return [
        json.dumps({"prompt": f"{name} {i}", "answer": str(i), "skill": "ab"[i % 2]}) + "\n"
        for i in range(n)
    ]


def with_tests(name: str, n: int) -> list[str]:
    """The same, with unit tests."""
    return [json.dumps({**json.loads(row), "tests": ["assert f"]}) + "\n" for row in rows(name, n)]


@pytest.fixture
def folder(project: Any) -> Path:
    """A project with data that is wrong in all ways, and blocks to import."""
    made: Path = project.folder
    shutil.copytree(HERE / "base", made / "base")
    dev = rows("dev", 400)  # so many that they earn no warning
    for name, text in (
        ("dev", dev),
        ("broken", [*dev, "oops\n"]),
        ("leak", dev + rows("test", 1)),
        ("empty", []),
        ("repeats", dev + dev),
        ("small", dev[:20]),
        ("tested-dev", with_tests("dev", 400)),
        ("tested-test", with_tests("test", 400)),
    ):
        (made / f"{name}.jsonl").write_text("".join(text))
    shutil.copytree(made / "model", made / "coded")
    (made / "coded" / "modeling.py").write_text("import torch\n")
    shutil.copytree(made / "model", made / "teacher")
    words = json.loads((Settings().students / "tiny_python" / "tokenizer.json").read_text())
    words["model"]["vocab"]["brandnew"] = len(words["model"]["vocab"])
    (made / "teacher" / "tokenizer.json").write_text(json.dumps(words))
    (made / "broken.py").write_text("def generate(:\n")
    (made / "one.dagent").write_text("seed = 1\n")
    (made / "two.dagent").write_text("seed = 2\n")
    return made


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda p: p.name)
def test_fixture(fixture: Path, folder: Path) -> None:
    whole = fixture.read_text(encoding="utf-8")
    first = EXPECTED.search(whole)
    text = whole[: first.start()] if first else whole
    path = folder / fixture.name
    path.write_text(text, encoding="utf-8")
    found = check(path, Settings())
    said = ""
    for d in found:
        assert d.span is not None
        file = Path(d.span.source.name).name
        place = f"{d.span.line}:{d.span.column}"
        said += f"# {d.severity}: {d.code} {'' if file == path.name else file + ' '}{place}\n"
    if os.environ.get("UPDATE_EXPECT"):
        fixture.write_text(text + said, encoding="utf-8")
        return
    assert whole[len(text) :] == said, render(found)
    codes = {m["code"] for m in EXPECTED.finditer(said)}
    assert fixture.name.partition(".")[0] in codes
    assert len({d.code for d in found if d.severity == "error"}) <= 1, "noise"


def test_findings_of_every_kind_are_sarif(folder: Path) -> None:
    schema = json.loads((HERE.parents[1] / "sarif" / "sarif-schema-2.1.0.json").read_text())
    validator = Draft7Validator(schema)
    found = []
    for number, fixture in enumerate((*FIXTURES, *sorted(TEXT_ALONE.iterdir()))):
        path = folder / f"{number} {fixture.name}"  # a blank, which an address has to escape
        path.write_bytes(fixture.read_bytes())
        found += check(path, Settings())
    log = json.loads(render(found, "sarif"))
    assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(log)] == []
    results = log["runs"][0]["results"]
    assert len(results) == len(found) > len(FIXTURES)
    for part in ("fixes", "relatedLocations"):
        assert any(part in result for result in results), part
    broken = {**log, "runs": [{"results": [{"level": "fatal"}]}]}
    assert len(list(validator.iter_errors(broken))) > 2, "the schema is no schema"


# Codes that one syntax cannot earn, and why.
ONE_SYNTAX = {
    **dict.fromkeys(("E011", "E012", "E022", "E023"), "in YAML a syntax error, E030"),
    **dict.fromkeys(("E020", "E021", "E024", "E025"), "YAML has no `=` and no statements"),
    "E108": "in YAML a block is a key: E107",
    "E030": "of YAML alone",
    "E031": "`.dagent` has no tags",
    "E032": "`.dagent` has no documents in a file",
    "E033": "`.dagent` has no aliases",
    "E034": "in `.dagent` a key is text",
    "E035": "a `.dagent` text is blocks, or E020",
}
# Codes that no text of a spec earns: of files, of the command line, of plans and their execution.
OF_NO_SPEC = {
    "E190",  # of a schema that is ahead of the compiler
    *("E001", "E002", "E004", "E005", "E006", "E007", "E705"),
    *("E620", "E621"),  # of a config of another tool
    *("E324", "E328", "E329", "E656"),  # of a missing library, the network, the user's files
    *(code for code in CODES if code > "E712"),
}
# Raised only where a test would need a library, git or the hub to fail on demand.
UNTESTED = {"E324", "E328", "E329", "E656", "E714", "E721", "E722"}


def test_every_code_has_a_fixture_in_both_syntaxes() -> None:
    earned: dict[str, set[str]] = {}
    for path in (*FIXTURES, *TEXT_ALONE.iterdir()):
        for match in EXPECTED.finditer(path.read_text(encoding="utf-8")):
            earned.setdefault(match["code"], set()).add(path.suffix)
    both = {code for code, syntaxes in earned.items() if len(syntaxes) == 2}
    one = set(earned) - both
    assert one == set(ONE_SYNTAX)
    assert set(CODES) - set(earned) == OF_NO_SPEC


def test_every_other_code_of_the_compiler_is_raised_in_a_test() -> None:
    tests = [
        path.read_text(encoding="utf-8")
        for path in HERE.parents[1].rglob("test_*.py")
        if path != Path(__file__)
    ]
    untested = {c for c in OF_NO_SPEC if c < "E8" and not any(c in text for text in tests)}
    assert untested <= UNTESTED
