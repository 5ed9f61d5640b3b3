"""What the repository promises outside its code: twins, the README's spec, layers, packaging."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dagent.compiler import plan as plans
from dagent.compiler.pipeline import compile

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
LAYERS = {"specs": 0, "dsl": 0, "compiler": 1, "runtime": 2, "dagent": 3}


def test_the_readme_shows_the_quickstarts_spec() -> None:
    assert (QUICKSTART / "quickstart.dagent").read_text() in (ROOT / "README.md").read_text()


def test_the_quickstart_and_its_yaml_twin_give_one_plan(tmp_path: Path) -> None:
    folder = tmp_path / "twin"
    shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".dagent", "*.dagent"))
    shutil.copy(ROOT / "docs" / "quickstart.yaml", folder)
    one = plans.dumps(compile(QUICKSTART / "quickstart.dagent").plan)
    assert plans.dumps(compile(folder / "quickstart.yaml").plan) == one


def test_a_goal_of_several_lines_is_the_same_in_both_syntaxes(tmp_path: Path) -> None:
    spec = (QUICKSTART / "quickstart.dagent").read_text()
    twin = (ROOT / "docs" / "quickstart.yaml").read_text()
    goal = "Predict exactly what a short Python program prints."
    folders = []
    for name, text in (
        ("a.dagent", spec.replace(f'"{goal}"', '"""\n  One line.\n  Another.\n  """')),
        ("a.yaml", twin.replace(goal, "|\n    One line.\n    Another.")),
    ):
        folders.append(tmp_path / name)
        shutil.copytree(
            QUICKSTART, folders[-1], ignore=shutil.ignore_patterns(".dagent", "*.dagent")
        )
        (folders[-1] / name).write_text(text)
    one, other = (compile(f / f.name).plan for f in folders)
    assert one.goal == other.goal == "One line.\nAnother."
    assert one.id == other.id


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_a_layer_imports_only_those_below_it(layer: str) -> None:
    for file in (ROOT / layer).rglob("*.py"):
        for name in imports(file):
            parts = name.split(".")
            if parts[0] == "dagent" and len(parts) > 1:
                below = LAYERS.get(parts[1], LAYERS["dagent"])
                if name == "dagent.__version__":
                    below = 0
                assert below <= LAYERS[layer], f"{file.relative_to(ROOT)} imports {name}"


def test_the_core_starts_without_the_heavy_packages() -> None:
    code = (
        "import sys; from dagent.cli import main; "
        f"code = main(['check', {str(QUICKSTART / 'quickstart.dagent')!r}]); "
        "heavy = {'torch', 'mlflow', 'dspy', 'transformers', 'trl', 'scipy', 'numpy'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_folder_is_importable_by_its_bare_name(tmp_path: Path) -> None:
    for name in ("dsl", "compiler", "runtime", "specs"):
        done = subprocess.run(
            [sys.executable, "-c", f"import dagent.{name}, {name}"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert "ModuleNotFoundError" in done.stderr, name
