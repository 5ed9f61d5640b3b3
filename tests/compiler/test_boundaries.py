"""Who imports whom, and what a compilation costs to start."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Each folder, and those of ours that it may import.
MAY_IMPORT = {
    "dsl": {"dsl", "specs"},
    "compiler": {"dsl", "compiler", "specs"},
    "runtime": {"dsl", "compiler", "runtime", "specs"},
}
HEAVY = ("torch", "transformers", "trl", "peft", "mlflow", "dspy", "numpy", "scipy", "rich")


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_folders_import_only_to_their_left(folder: str) -> None:
    wrong = []
    for path in (ROOT / folder).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "dagent" and len(parts) > 1 and parts[1] not in MAY_IMPORT[folder]:
                # Scripts that are run and never imported write documents out of several parts.
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
            assert parts[0] not in MAY_IMPORT, f"{path}: bare {name}"
    assert wrong == []


def loaded(code: str) -> set[str]:
    """Modules that are loaded after running some code in a fresh interpreter."""
    code += "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT / "examples" / "quickstart",
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_compiling_loads_nothing_heavy_and_nothing_of_the_runtime() -> None:
    modules = loaded(
        "from pathlib import Path\n"
        "from dagent.compiler.pipeline import compile\n"
        "compile(Path('quickstart.dagent'))"
    )
    assert "dagent.compiler.pipeline" in modules
    assert not modules & set(HEAVY)
    assert not [m for m in modules if m.startswith("dagent.runtime")]
    assert not modules & {"dsl", "compiler", "runtime", "specs"}


@pytest.mark.parametrize("name", ["dsl", "compiler", "runtime", "specs"])
def test_bare_names_are_not_importable(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import dagent, {name}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError" in done.stderr
