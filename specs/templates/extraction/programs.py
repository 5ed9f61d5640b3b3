"""Orders and their fields: ``generate`` makes rows, ``verify`` checks them, ``grade`` judges.

Replace what is here by your own. A row has a ``prompt``, an ``answer`` and the cell it belongs to:
a skill, here the form of the text, at a difficulty. ``python programs.py`` writes dev.jsonl and
test.jsonl anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

FIELDS = ("item", "qty", "to")
ITEMS = ("lamps", "chairs", "mugs", "pens", "books", "cups")
PLACES = ("oslo", "rome", "lima", "bern", "kyiv", "cairo")
NAMES = ("ana", "ben", "eva", "tom", "ida", "max")
# The forms of a text; each is filled with the fields, and with a name at difficulty 2.
FORMS = {
    "request": "{who}send {qty} {item} to {to}",
    "note": "{who}{to}: {item} x {qty}",
    "question": "{who}can {to} get {qty} {item}?",
}
SKILLS = tuple(FORMS)


def make(rng: random.Random, skill: str, difficulty: int) -> tuple[str, str]:
    """A question and its answer."""
    fields = {
        "item": rng.choice(ITEMS),
        "qty": rng.randrange(2, 100),
        "to": rng.choice(PLACES),
    }
    who = f"{rng.choice(NAMES)} {rng.randrange(10, 100)}, " if difficulty == 2 else ""
    return FORMS[skill].format(who=who, **fields), json.dumps(fields)


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
    found = fields_of(row["answer"])
    if found is None or set(found) != set(FIELDS):
        return f"the answer is no JSON object of {', '.join(FIELDS)}"
    words = re.findall(r"\w+", row["prompt"])
    missing = [name for name in FIELDS if str(found[name]) not in words]
    return f"not in the text: {', '.join(missing)}" if missing else None


def grade(answer: str, row: dict[str, Any]) -> float:
    """1 where every field is right, in any order of keys; else 0."""
    return float(fields_of(answer) == fields_of(row["answer"]))


def fields_of(text: str) -> dict[str, Any] | None:
    """The object that a text holds, or None where it is no JSON object."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def main() -> None:
    for of, rows in {"dev": 35, "test": 40}.items():  # rows of each cell
        made = [row for s in SKILLS for d in (1, 2) for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
