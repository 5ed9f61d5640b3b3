"""Every code is documented, used, and earned by its example."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from dagent.compiler.pipeline import check
from dagent.dsl.codes import CODES

ROOT = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r'^    "(E\d{3})": Code', re.MULTILINE)
QUOTED = re.compile(r"[\"'](E\d{3})[\"']")
# What a whole spec needs; an example brings its own blocks of these kinds.
BASE = {
    "domain": 'domain { name = demo  goal = "Predict what a program prints." }',
    "data": 'data dev { role = dev  path = "dev.jsonl" }\n'
    'data test { role = test  path = "test.jsonl" }',
    "student": 'student { model = "builtin:tiny-python" }',
    "engineer": "engineer {\n  strategy = curriculum\n"
    '  generator { program = "programs.py:generate" }\n}',
    "budget": "budget { rounds <= 3  per round { rows <= 2k rows } }",
    "criteria": "criteria { metric accuracy { grader = exact }  require accuracy >= 0.6 on test }",
    "train": "train sft { learning_rate = 1e-3 }",
}
EXAMPLES = [c for c, entry in CODES.items() if not entry.example.startswith("$ ")]


def test_every_code_is_used_and_every_used_code_is_known() -> None:
    used: set[str] = set()
    for folder in ("dsl", "compiler", "runtime", "dagent"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.parent.name != "codes":
                used |= set(QUOTED.findall(path.read_text(encoding="utf-8")))
    assert used - set(CODES) == set(), "used and not in dsl/codes"
    assert set(CODES) - used == set(), "in dsl/codes and not used"


def test_a_code_has_one_entry_in_the_file_of_its_hundred() -> None:
    for path in sorted((ROOT / "dsl" / "codes").glob("e*.py")):
        entries = re.findall(
            r'^    "(E\d{3})": Code', path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert entries, path.name
        assert entries == sorted(set(entries)), path.name
        assert {code[1] for code in entries} == {path.name[1]}


def test_table_is_sorted_and_whole() -> None:
    assert list(CODES) == sorted(CODES)
    for code, entry in CODES.items():
        for text in (entry.title, entry.what, entry.why, entry.example, entry.fix):
            assert text.strip(), code
        assert entry.what.endswith(".")
        assert entry.fix.endswith(".")
        assert len(entry.title) <= 50


def whole(example: str) -> tuple[str, str]:
    """The example as a whole spec, and the name of its file."""
    if example.startswith("---"):
        return example, "spec.yaml"
    if not re.search(r"^\s*\w", example, re.MULTILINE):
        return example, "spec.dagent"
    present = set(re.findall(r"^(\w+)", example, re.MULTILINE))
    if not re.search(r"^data dev", example, re.MULTILINE):
        present.discard("data")  # it adds a data set
    rest = [text for block, text in BASE.items() if block not in present]
    return "\n".join([*rest, example.rstrip("\n"), ""]), "spec.dagent"


@pytest.mark.parametrize("code", EXAMPLES)
def test_example(code: str, tmp_path: Path) -> None:
    quickstart = ROOT / "examples" / "quickstart"
    for name in ("dev.jsonl", "test.jsonl", "programs.py"):
        shutil.copy(quickstart / name, tmp_path)
    guard = [{"prompt": f"guard {n}", "answer": str(n), "skill": "index"} for n in range(100)]
    (tmp_path / "guard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in guard))
    text, name = whole(CODES[code].example)
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = check(path)
    said = [f"{d.code} {d.message}" for d in found]
    assert any(d.code == code for d in found), said
    assert all(d.code == code for d in found if d.severity == "error"), said


def test_every_code_is_provoked_or_named_by_a_test() -> None:
    """By its example, by a fixture, or by a test of what only a command can run into."""
    tests = ROOT / "tests"
    provoked = set(EXAMPLES)
    for path in tests.rglob("*.py"):
        if path != Path(__file__):
            provoked |= set(QUOTED.findall(path.read_text(encoding="utf-8")))
    for folder in ("dsl", "compiler"):
        provoked |= {path.name[:4] for path in (tests / folder / "fixtures").iterdir()}
    assert set(CODES) - provoked == set()
