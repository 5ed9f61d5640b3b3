"""What plainly fits the schema is what jsonschema finds nothing in."""

from __future__ import annotations

import random
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import plain
from dagent.dsl.fits import fits
from dagent.dsl.parse import parse
from dagent.dsl.schema import load
from dagent.dsl.source import Source

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "quickstart" / "quickstart.dagent"
VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    1.5,
    "",
    "x",
    "sft",
    [],
    ["a", "a"],
    [1, True],
    {},
    {"": 1},
]


def tree(path: Path) -> Any:
    root = parse(Source(path.name, path.read_text(encoding="utf-8")), Diagnostics())
    return None if root is None else plain(root)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every holder in the tree with each of its keys."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    inner = [v for k in keys if isinstance(v := value[k], dict | list)]
    return [(value, key) for key in keys] + [place for v in inner for place in places(v)]


def test_agrees_with_jsonschema() -> None:
    validator, schema, rng = Draft7Validator(load()), load(), random.Random(0)
    folders = ("tests/dsl/fixtures", "tests/compiler/fixtures", "examples")
    trees = [
        t
        for f in folders
        for path in sorted((ROOT / f).rglob("*.dagent"))
        if path.is_file() and (t := tree(path))
    ]
    fitted = 0
    for one in trees:
        for _ in range(2):
            fitted += fits(one, schema)
            assert not fits(one, schema) or validator.is_valid(one), one
            holder, key = rng.choice(places(one))
            holder[key] = deepcopy(rng.choice(VALUES))  # a value may be changed in its turn
    assert fitted >= 20


@pytest.mark.parametrize("keyword", ["oneOf", "const", "$ref"])
def test_a_keyword_that_it_does_not_know_is_left_to_jsonschema(keyword: str) -> None:
    assert not fits(1, {"type": "integer", keyword: [{}]})


def test_a_sound_spec_is_checked_without_jsonschema() -> None:
    code = (
        f"import sys; from dagent.cli import main; main(['check', {str(QUICKSTART)!r}]); "
        "sys.exit(bool({'jsonschema', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
