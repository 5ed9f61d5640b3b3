"""How compiling grows with the plan, beside DVC: ``python benchmarks/plan_scale.py [--dvc DVC]``.

Compiles the quickstart with ever more rounds, then with arms and seeds as well, cold and to the
end, the files written; then lets ``dvc repro --dry`` look at as many stages, in this same run. DVC
belongs into an environment of its own (``python -m venv dvc && dvc/bin/pip install dvc``); without
it that line is left out, and said.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
# Arms beside the loop, seeds and rounds; at ten steps a round of each.
SIZES = ((0, 1, 10), (0, 1, 100), (0, 1, 1000), (1, 2, 25), (4, 4, 50))
CONTROLS = ("matched", "uniform", "random", "ungated")
STAGES = 1000


def seconds(*command: str, cwd: Path) -> float:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=cwd)
    return time.perf_counter() - begin


def ours(folder: Path, arms: int, seeds: int, rounds: int, runs: int) -> None:
    spec = (QUICKSTART / "quickstart.dagent").read_text()
    spec = spec.replace("rounds <= 5", f"rounds <= {rounds}")
    if arms:
        named = "\n".join(f"  arm {name} {{ control = {name} }}" for name in CONTROLS[:arms])
        spec += f"\narms {{\n  seeds = {list(range(seeds))}\n{named}\n}}\n"
    (folder / "quickstart.dagent").write_text(spec)
    best = min(seconds(sys.executable, "-m", "dagent", "compile", cwd=folder) for _ in range(runs))
    steps = len(json.loads((folder / "dagent.plan.json").read_text())["steps"])
    size = {"arms": 1 + arms, "seeds": seeds, "rounds": rounds, "steps": steps}
    print(json.dumps({"command": "dagent compile", **size, "wall": round(best, 2)}))


def theirs(dvc: str, folder: Path, runs: int) -> None:
    """A chain of stages, each of which takes what the one before it made."""
    stages = {
        f"s{i}": {"cmd": f"cp {i}.txt {i + 1}.txt", "deps": [f"{i}.txt"], "outs": [f"{i + 1}.txt"]}
        for i in range(STAGES)
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    for i in range(STAGES + 1):  # a dry run refuses a stage whose input is not there
        (folder / f"{i}.txt").write_text("begin\n")
    seconds(dvc, "init", "--no-scm", "-q", cwd=folder)
    best = min(seconds(dvc, "repro", "--dry", cwd=folder) for _ in range(runs))
    print(json.dumps({"command": "dvc repro --dry", "steps": STAGES, "wall": round(best, 2)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dvc", default=shutil.which("dvc"), help="default: the one on the path")
    parser.add_argument("--runs", type=int, default=3, help="of each; the least counts")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        project = Path(temporary) / "project"
        shutil.copytree(QUICKSTART, project, ignore=shutil.ignore_patterns(".dagent", "dagent.*"))
        for arms, seeds, rounds in SIZES:
            ours(project, arms, seeds, rounds, args.runs)
        if not args.dvc:
            print("no dvc on the path: not compared", file=sys.stderr)
            return
        other = Path(temporary) / "dvc"
        other.mkdir()
        theirs(args.dvc, other, args.runs)


if __name__ == "__main__":
    main()
