"""How long `dagent compile` of the quickstart takes, cold: ``python benchmarks/compile_time.py``.

Each run is a new process. The least of several is what the machine can do; the median what it did.
``times_bare``: the median against that of importing the packages that the core depends on.
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
BARE = "import lark, yaml, jsonschema"


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
            BARE: ("-c", BARE),
            "dagent --version": ("-m", "dagent", "--version"),
            "dagent check": ("-m", "dagent", "check", str(SPEC)),
            "dagent compile": ("-m", "dagent", "compile", str(SPEC), "-o", output),
        }
        # In turn, so that what else the machine does meets all of them alike.
        runs = [
            {name: seconds(*command) for name, command in commands.items()} for _ in range(RUNS)
        ]
    medians = {name: statistics.median(run[name][0] for run in runs) for name in commands}
    for name in commands:
        figures = {
            "command": name,
            "wall_least": round(min(run[name][0] for run in runs), 3),
            "wall_median": round(medians[name], 3),
            "cpu_least": round(min(run[name][1] for run in runs), 3),
            "times_bare": round(medians[name] / medians[BARE], 2),
        }
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
