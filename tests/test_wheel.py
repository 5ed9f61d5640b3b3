"""The wheel, as a user installs it: the language and the compiler without the heavy packages."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path) -> str:
    apart = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=apart, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_core_starts_compiles_and_formats_a_project(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    bin = tmp_path / "venv" / "bin"
    run(bin / "pip", "install", "--quiet", wheel, cwd=tmp_path)
    installed = run(bin / "pip", "list", "--format=freeze", cwd=tmp_path)
    assert not {"torch", "mlflow", "dspy"} & {line.split("==")[0] for line in installed.split()}

    run(bin / "dagent", "init", "here", cwd=tmp_path)
    here = tmp_path / "here"
    for command in ("check spec.dagent", "fmt spec.dagent --check", "compile", "show", "graph"):
        run(bin / "dagent", *command.split(), cwd=here)
    plan = (here / "dagent.plan.json").read_bytes()
    run(bin / "dagent", "fmt", "spec.dagent", "--to", "yaml", "-o", "twin.yaml", cwd=here)
    run(bin / "dagent", "compile", "twin.yaml", cwd=here)
    assert (here / "dagent.plan.json").read_bytes() == plan
