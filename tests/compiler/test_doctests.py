"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

COMPILER = Path(__file__).resolve().parents[2] / "compiler"
MODULES = sorted(
    "dagent.compiler." + path.relative_to(COMPILER).with_suffix("").as_posix().replace("/", ".")
    for path in COMPILER.rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
