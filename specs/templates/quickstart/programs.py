"""Your domain, as two functions: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer`` and the cell it belongs to:
a skill at a difficulty. ``python programs.py`` writes dev.jsonl and test.jsonl anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import string
from pathlib import Path
from typing import Any

SKILLS = ("reverse", "rotate", "swap_ends", "mirror")
LENGTHS = {1: (3, 4), 2: (5, 6)}  # difficulty -> shortest and longest text


def answer(skill: str, text: str) -> str:
    """What is right, computed and not remembered."""
    return {
        "reverse": text[::-1],
        "rotate": text[1:] + text[:1],
        "swap_ends": text[-1] + text[1:-1] + text[0],
        "mirror": text + text[::-1],
    }[skill]


def prompt(skill: str, text: str) -> str:
    """The question: a short Python program that prints the answer."""
    return {
        "reverse": f'print("{text}"[::-1])',
        "rotate": f's = "{text}"\nprint(s[1:] + s[:1])',
        "swap_ends": f's = "{text}"\nprint(s[-1] + s[1:-1] + s[0])',
        "mirror": f's = "{text}"\nprint(s + s[::-1])',
    }[skill]


def part(text: str) -> str:
    """Which set a text belongs to, so that no row to train on is ever one to test on."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 8
    return {0: "dev", 1: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, of: str) -> list[dict[str, Any]]:
    """``n`` distinct rows of one cell and one part; the same arguments give the same rows."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{of}")
    texts: dict[str, None] = {}
    while len(texts) < n:
        size = rng.randint(*LENGTHS[difficulty])
        text = "".join(rng.choices(string.ascii_lowercase, k=size))
        if part(text) == of:
            texts[text] = None
    return [
        {
            "prompt": prompt(skill, text),
            "answer": answer(skill, text),
            "skill": skill,
            "difficulty": difficulty,
        }
        for text in texts
    ]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict[str, Any]]:
    """dagent calls this for rows to train on."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    text = row["prompt"].split('"')[1]
    right = answer(row["skill"], text)
    return None if row["answer"] == right else f"the answer is {right!r}"


def main() -> None:
    for of, rows in {"dev": 25, "test": 40}.items():  # rows of each cell
        made = [row for s in SKILLS for d in LENGTHS for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
