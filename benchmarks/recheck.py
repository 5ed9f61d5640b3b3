"""How long the language server takes after a keystroke in a spec of 4,000 lines.

``python benchmarks/recheck.py`` edits one block of a long spec again and again, in either syntax,
and checks the whole as the server does. ``whole`` is the same without anything kept from the check
before. CPU seconds beside the wall's: on a busy machine these are what the work takes.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dagent.dsl.diagnostics import Diagnostics  # noqa: E402
from dagent.dsl.fmt import format_source  # noqa: E402
from dagent.dsl.source import Source  # noqa: E402
from dagent.language_server.desk import Desk  # noqa: E402

QUICKSTART = ROOT / "examples" / "quickstart"
LINES = 4000
EDITS = 20


def long_spec() -> str:
    """The quickstart, and as many parameters as make 4,000 lines, each used in a text."""
    spec, count = (QUICKSTART / "quickstart.dagent").read_text(encoding="utf-8"), 0
    blocks: list[str] = []
    lines = spec.count("\n")
    while lines < LINES:
        blocks.append(
            f'\nparam size_{count} {{\n  description = "Parameter {count} of many."\n'
            f"  type = integer\n  default = {count}\n}}\n"
        )
        lines += blocks[-1].count("\n")
        count += 1
    used = " ".join(f"${{size_{n}}}" for n in range(count))
    goal = "Predict exactly what a short Python program prints."
    return spec.replace(goal, f"{goal} {used}") + "".join(blocks)


def measure(name: str, check: Callable[[int], int]) -> None:
    wall, cpu, findings = [], [], 0
    for edit in range(EDITS):
        begin, before = time.perf_counter(), time.process_time()
        findings = check(edit)
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - before)
    figures = {
        "what": name,
        "wall_median": round(statistics.median(wall), 3),
        "wall_least": round(min(wall), 3),
        "cpu_median": round(statistics.median(cpu), 3),
        "findings": findings,
    }
    print(json.dumps(figures), flush=True)


def compare(folder: Path, name: str, text: str) -> None:
    path = folder / name
    sign = "=" if name.endswith("dagent") else ":"
    written = f"default{' ' if sign == '=' else ''}{sign} 300\n"
    assert text.count(written) == 1
    desk = Desk()

    def edited(edit: int, value: str) -> str:
        return text.replace(written, written.replace("300", value.format(edit)))

    def again(value: str) -> Callable[[int], int]:
        def check(edit: int) -> int:
            desk.texts[path] = edited(edit, value)
            return sum(len(found) for found in desk.check(path).values())

        return check

    def anew(edit: int) -> int:
        return sum(len(f) for f in Desk({}, {path: edited(edit, "30{}")}).check(path).values())

    measure(f"{name}, {text.count(chr(10))} lines, whole", anew)
    again("300")(0)
    measure(f"{name}, a value changed", again("30{}"))
    measure(f"{name}, a value that does not fit", again('"text {}"'))
    measure(f"{name}, a quote not yet closed", again('"text {}'))


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        shutil.copytree(QUICKSTART, folder, ignore=shutil.ignore_patterns(".dagent", "*.dagent"))
        text = long_spec()
        compare(folder, "long.dagent", text)
        twin = format_source(Source("long.dagent", text), Diagnostics(), "yaml")
        assert twin is not None
        compare(folder, "long.yaml", twin)


if __name__ == "__main__":
    main()
