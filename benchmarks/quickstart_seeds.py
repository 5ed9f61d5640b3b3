"""The quickstart over several seeds: ``python benchmarks/quickstart_seeds.py 0 1 2 3 4``.

Runs ``dagent compile --set seed=N && dagent execute`` in a copy of the example for each seed and
prints a line of result each, then the means. Wall time covers both commands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, median

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "quickstart"


def run(seed: str, folder: Path) -> tuple[dict[str, object], float]:
    dagent = [sys.executable, "-m", "dagent"]
    started = time.monotonic()
    for command in (["compile", "--set", f"seed={seed}"], ["execute"]):
        subprocess.run([*dagent, *command], cwd=folder, check=True, capture_output=True)
    seconds = time.monotonic() - started
    told = subprocess.run(
        [*dagent, "status", "--json"], cwd=folder, check=True, capture_output=True, text=True
    )
    return json.loads(told.stdout), seconds


def main(seeds: list[str]) -> None:
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "quickstart"
            shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".dagent", "dagent.*"))
            status, seconds = run(seed, folder)
        found.append((status, seconds))
        base, champion, gain = status["base"], status["champion"], status["gain"]
        low, high = gain["ci"]
        print(
            f"seed {seed}: test {100 * base['test']:.1f} -> {100 * champion['test']:.1f} %, "
            f"gain {gain['test_pp']:+.1f} points ({low:+.1f} to {high:+.1f}), "
            f"champion of round {champion['round']}, {seconds:.0f} s",
            flush=True,
        )
    bases = mean(s["base"]["test"] for s, _ in found)
    champions = mean(s["champion"]["test"] for s, _ in found)
    print(
        f"mean: {100 * bases:.1f} -> {100 * champions:.1f} %, {champions / bases:.2f} times; "
        f"median wall time {median(t for _, t in found):.0f} s"
    )


if __name__ == "__main__":
    main(sys.argv[1:] or ["0", "1", "2", "3", "4"])
