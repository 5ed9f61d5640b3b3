"""Write ``dev.jsonl`` and ``test.jsonl`` beside this file: ``python make_data.py``.

The two files draw from the ``dev`` and ``test`` partitions of ``programs.py``, which ``generate``
never emits, with twice as many rows of a skill that the student was not taught.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from pathlib import Path

import programs

ROWS = {"dev": 400, "test": 1200}
SEED = 7
KNOWN = ("cancel", "multiply_powers", "solve_product", "convert")
SKILL_WEIGHT = {skill: 1.0 if skill in KNOWN else 2.0 for skill in programs.SKILLS}
DIFFICULTY_WEIGHT = {1: 0.2, 2: 0.3, 3: 0.5}


def cell_counts(rows: int, rng: random.Random) -> Counter[tuple[str, int]]:
    """How many of ``rows`` fall into each (skill, difficulty), drawn from the target mix."""
    cells = [(skill, level) for skill in programs.SKILLS for level in programs.DIFFICULTIES]
    weights = [SKILL_WEIGHT[skill] * DIFFICULTY_WEIGHT[level] for skill, level in cells]
    return Counter(rng.choices(cells, weights, k=rows))


def make_rows(part: str) -> list[dict]:
    """The rows of one part, shuffled, each with an id that depends on its prompt alone."""
    rng = random.Random(f"{part}/{SEED}")
    drawn = (
        {"id": hashlib.sha256(row["prompt"].encode()).hexdigest()[:12], **row}
        for (skill, level), count in sorted(cell_counts(ROWS[part], rng).items())
        for row in programs.draw(skill, level, count, SEED, part)
    )
    # Two cells may draw one prompt; it stands there once.
    rows = list({row["prompt"].casefold(): row for row in drawn}.values())
    rng.shuffle(rows)
    return rows


def main() -> None:
    for part in ROWS:
        lines = [json.dumps(row) + "\n" for row in make_rows(part)]
        Path(__file__).with_name(f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{part}: {len(lines)} rows")


if __name__ == "__main__":
    main()
