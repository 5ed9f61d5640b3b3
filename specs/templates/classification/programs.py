"""Messages and their classes, as two functions: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer`` and the cell it belongs to:
a skill, here the class, at a difficulty. ``python programs.py`` writes dev.jsonl and test.jsonl
anew.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

# What a message is about says its class, wherever else it may wander.
PHRASES = {
    "billing": ("charged twice for", "wrong price on", "no invoice for", "tax missing on"),
    "delivery": ("parcel late for", "courier lost", "no tracking for", "wrong address on"),
    "account": ("cannot sign in to see", "new password for", "change my mail on", "locked out of"),
    "returns": ("want to send back", "refund please for", "it came broken:", "wrong size in"),
}
SKILLS = tuple(PHRASES)
# At difficulty 2 another class is named, and said to be fine.
ASIDES = {
    "billing": "the bill is fine",
    "delivery": "the parcel is here",
    "account": "my login works",
    "returns": "i keep the goods",
}


def make(rng: random.Random, skill: str, difficulty: int) -> tuple[str, str]:
    """A question and its answer."""
    text = f"{rng.choice(PHRASES[skill])} order {rng.randrange(1000, 10000)}"
    if difficulty == 2:
        aside = ASIDES[rng.choice([s for s in SKILLS if s != skill])]
        text = rng.choice((f"{aside}, {text}", f"{text}, {aside}"))
    return text, skill


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
    right = [s for s in SKILLS if any(phrase in row["prompt"] for phrase in PHRASES[s])]
    return None if [row["answer"]] == right else f"the class is {' or '.join(right)}"


def main() -> None:
    for of, rows in {"dev": 35, "test": 40}.items():  # rows of each cell
        made = [row for s in SKILLS for d in (1, 2) for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
