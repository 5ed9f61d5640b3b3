"""Run the comparison of three domains, ten arms and eight seeds; the loop and ``matched``: sixteen.

Every variant, an arm under a seed, is compiled and executed by ``dagent`` itself in a folder of its
own, ``--jobs`` of them at once. What is finished stands in ``results.jsonl``, a row a run, and is
not run again; what was killed goes on where it stopped.

    python benchmarks/evidence/run.py --jobs 2 --domain ledger --arm loop --arm matched --seed 1
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXAMPLES = {"programs": "quickstart", "ledger": "ledger", "units": "units"}
ARMS = (
    *("loop", "matched", "best_of_k_matched", "uniform", "random", "best_of_k", "one_shot"),
    *("unverified", "blind", "ungated"),
)
SEEDS = tuple(range(1, 9))
# Eight seeds do not tell the loop from `matched`; 11 to 16 were used to choose what the loop does.
MORE_SEEDS = tuple(range(17, 25))
CLOSE = ("loop", "matched")


@dataclass(frozen=True)
class Run:
    domain: str
    arm: str
    seed: int

    @property
    def variant(self) -> str:
        return f"{self.arm}/s{self.seed}"

    @property
    def spec(self) -> str:
        return f"compare-{self.domain}.dagent"


def laid_out(run: Run, work: Path) -> Path:
    """The project of a run: the domain's example, with the comparison's files beside it."""
    folder = work / run.domain / f"{run.arm}-s{run.seed}"
    if not (folder / run.spec).exists():
        made = (".dagent", "__pycache__", "dagent.*")
        example = ROOT / "examples" / EXAMPLES[run.domain]
        shutil.copytree(example, folder, ignore=shutil.ignore_patterns(*made), dirs_exist_ok=True)
        for name in ("arms.dagent", "teachers.py", run.spec):
            shutil.copy(HERE / name, folder)
    return folder


def dagent(folder: Path, *words: str) -> int:
    """Run a command of dagent's in a folder; what it says goes to ``log`` there."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("a") as log:
        return subprocess.run(
            [sys.executable, "-m", "dagent", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ).returncode


def finish(run: Run, work: Path, commit: str) -> dict[str, Any] | None:
    """Compile and execute one run; the row of its result, None if it did not come to its end."""
    folder = laid_out(run, work)
    if dagent(folder, "compile", run.spec, "--variant", run.variant) != 0:
        return None
    dagent(folder, "execute")  # 1 says that the goal was missed, which is a result too
    journals = sorted((folder / ".dagent").rglob("journal.jsonl"))
    events = [json.loads(line) for path in journals[-1:] for line in path.open()]
    if not events or events[-1]["event"] != "execution_finished":
        return None
    end = events[-1]
    steps = [e for e in events if e["event"] == "step_finished"]
    return {
        "domain": run.domain,
        "arm": run.arm,
        "seed": run.seed,
        "base_test": round(end["base"]["test"], 6),
        "select": round(end["champion"]["select"], 6),
        "test": round(end["champion"]["test"], 6),
        "rows": int(end["spent"]["rows"]),
        "teacher_calls": int(end["spent"]["calls"]),
        "trainings": sum(e["kind"] == "train" and not e["reused"] for e in steps),
        "hours": round(sum(e["seconds"] for e in steps) / 3600, 4),
        "commit": commit,
    }


def commit_of(root: Path) -> str:
    """The commit that runs, ``-dirty`` if files differ from it. ``DAGENT_COMMIT`` names it where
    there is no repository, as in a copy on another machine."""
    if given := os.environ.get("DAGENT_COMMIT"):
        return given
    words = [
        "git",
        "-C",
        str(root),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=12",
        "--exclude=*",
    ]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def done(results: Path) -> set[Run]:
    if not results.exists():
        return set()
    rows = map(json.loads, results.read_text().splitlines())
    return {Run(row["domain"], row["arm"], row["seed"]) for row in rows}


def append(results: Path, row: dict[str, Any]) -> None:
    with results.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(row) + "\n")


def wanted(args: argparse.Namespace) -> Iterator[Run]:
    """Seed by seed, so that what is there after any while is whole seeds of every arm."""
    for seed in args.seed or (*SEEDS, *MORE_SEEDS):
        for arm in args.arm or (ARMS if seed in SEEDS else CLOSE):
            for domain in args.domain or EXAMPLES:
                yield Run(domain, arm, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domain", action="append", choices=list(EXAMPLES))
    parser.add_argument("--arm", action="append", choices=ARMS)
    parser.add_argument("--seed", action="append", type=int, choices=(*SEEDS, *MORE_SEEDS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--work", type=Path, default=ROOT / ".lab" / "evidence")
    parser.add_argument("--results", type=Path, default=HERE / "results.jsonl")
    args = parser.parse_args()
    commit, finished = commit_of(ROOT), done(args.results)
    runs = [run for run in wanted(args) if run not in finished]
    started = time.monotonic()

    def one(run: Run) -> None:
        row = finish(run, args.work, commit)
        if row is not None:
            append(args.results, row)
        said = f"test {row['base_test']:.1%} -> {row['test']:.1%}" if row else "did not finish"
        minutes = (time.monotonic() - started) / 60
        print(f"{minutes:6.1f} min  {run.domain} {run.variant}: {said}", flush=True)

    print(f"{len(runs)} runs to do, {len(finished)} done, {args.jobs} at once", flush=True)
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, runs))


if __name__ == "__main__":
    main()
