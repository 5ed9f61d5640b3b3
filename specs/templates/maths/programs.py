"""Word problems, as two functions: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer`` and the cell it belongs to:
a skill, here the operation, at a difficulty. ``python programs.py`` writes dev.jsonl and test.jsonl
anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAMES = ("ana", "ben", "eva", "tom", "ida", "max", "leo", "zoe")
ITEMS = ("pens", "cups", "eggs", "keys", "mugs", "hats", "maps", "nuts")
# Operation -> the story, and what solves it.
STORIES: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "add": ("{name} has {a} {item} and buys {b}. how many?", lambda a, b: a + b),
    "subtract": ("{name} has {a} {item} and loses {b}. how many?", lambda a, b: a - b),
    "multiply": ("{name} has {a} bags of {b} {item}. how many?", lambda a, b: a * b),
}
SKILLS = tuple(STORIES)


def make(rng: random.Random, skill: str, difficulty: int) -> tuple[str, str]:
    """A question and its answer."""
    story, solve = STORIES[skill]
    a = rng.randrange(2, 10) if difficulty == 1 else rng.randrange(10, 20)
    b = rng.randrange(2, 10)
    a, b = (max(a, b), min(a, b)) if skill == "subtract" else (a, b)
    text = story.format(name=rng.choice(NAMES), item=rng.choice(ITEMS), a=a, b=b)
    return text, str(solve(a, b))


def part(text: str) -> str:
    """Which set a question belongs to, so that no row to train on is ever one to test on."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 8
    return {0: "dev", 1: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, of: str) -> list[dict[str, Any]]:
    """``n`` distinct rows of one cell and one part; the same arguments give the same rows."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{of}")
    rows: dict[str, str] = {}
    while len(rows) < n:
        prompt, answer = make(rng, skill, difficulty)
        if part(prompt) == of:
            rows[prompt] = answer
    return [
        {"prompt": prompt, "answer": answer, "skill": skill, "difficulty": difficulty}
        for prompt, answer in rows.items()
    ]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict[str, Any]]:
    """dagent calls this for rows to train on."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    a, b = (int(number) for number in re.findall(r"\d+", row["prompt"]))
    right = str(STORIES[row["skill"]][1](a, b))
    return None if row["answer"] == right else f"the answer is {right}"


def main() -> None:
    for of, rows in {"dev": 35, "test": 40}.items():  # rows of each cell
        made = [row for s in SKILLS for d in (1, 2) for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
