"""How long `dagent compile` of the quickstart takes, cold: ``python benchmarks/compile_time.py``.

Each run is a new process. The least of several is what the machine can do; the median what it did.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "examples" / "quickstart" / "quickstart.dagent"
RUNS = 10


def seconds(*arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command."""
    begin, before = time.perf_counter(), os.times()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    after = os.times()
    cpu = after.children_user + after.children_system
    return time.perf_counter() - begin, cpu - before.children_user - before.children_system


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "dagent.plan.json")
        commands = {
            "python": ("-c", "pass"),
            "dagent --version": ("-m", "dagent", "--version"),
            "dagent check": ("-m", "dagent", "check", str(SPEC)),
            "dagent compile": ("-m", "dagent", "compile", str(SPEC), "-o", output),
        }
        for name, command in commands.items():
            runs = [seconds(*command) for _ in range(RUNS)]
            figures = {
                "command": name,
                "wall_least": round(min(r[0] for r in runs), 3),
                "wall_median": round(statistics.median(r[0] for r in runs), 3),
                "cpu_least": round(min(r[1] for r in runs), 3),
            }
            print(json.dumps(figures))


if __name__ == "__main__":
    main()
