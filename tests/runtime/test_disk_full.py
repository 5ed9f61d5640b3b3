"""A disk that is really full: a small file system of memory, in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APART = ("unshare", "--user", "--map-root-user", "--mount")

# 1 MB: too small for the student; 2 MB: for its first answers; 8 MB: for a later training.
SCRIPT = """
mount -t tmpfs -o size=$1 tmpfs "$2"
cd "$2"
dagent() { "$PYTHON" -m dagent "$@"; }
dagent init && dagent compile && { dagent execute; code=$?; }
mount -o remount,size=300m "$2"
dagent execute && dagent status --json > "$3"
exit $code
"""


def can_mount() -> bool:
    try:
        return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="this machine gives no mount namespace")
@pytest.mark.parametrize("size", ["1m", "2m", "8m"])
def test_a_full_disk_ends_the_run_and_loses_nothing(size: str, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    status = tmp_path / "status.json"
    done = subprocess.run(
        [*APART, "bash", "-c", SCRIPT, "bash", size, tmp_path / "disk", status],
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "error[E810]" in done.stderr
    assert "E900" not in done.stderr
    found = json.loads(status.read_text())
    assert found["state"] == "finished"
    assert found["steps"] == {"run": 39, "reused": 0}
    assert found["spent"]["rows"] == 3000
    assert found["champion"]["test"] > found["base"]["test"] + 0.3
