"""Train the student of the ledger domain from scratch: ``python base.py --out student``.

It learns the easiest questions, and operations on tables in signs rather than words (``sale-fee``,
``sort``, ``sums``): what the other questions are made of, but not the questions. It sees no row of
dev or test.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import accumulate

from programs import NAMES, SKILLS, Entries, make, minus, partition, plus, solve, table

from dagent.runtime.students.pretrain import Domain, main

KNOWN = ("lookup", "entry", "place", "larger", "less", "together")
PIECES = (
    *NAMES,
    *(piece for question, _ in SKILLS.values() for piece in re.split(r"\{\w\}", question) if piece),
    *("sort", "max", "min", "sums", "above "),
)


def note(rng: random.Random, entries: Entries) -> tuple[str, str]:
    """An operation on a table in signs rather than words, and its result."""
    (a, x), (b, y) = rng.sample(entries, 2)
    k = rng.randint(1, 49)
    amounts = [amount for _, amount in entries]
    return rng.choice(
        [
            (f"{a}-{b}", minus(x, y)),
            (f"{a}+{b}", plus(x, y)),
            (f"{a}-{k}", minus(x, k)),
            ("sort", ",".join(map(str, sorted(amounts, reverse=True)))),
            ("max", max(entries, key=lambda e: e[1])[0]),
            ("min", min(entries, key=lambda e: e[1])[0]),
            ("sums", ",".join(map(str, accumulate(amounts)))),
            (f"above {k}", ",".join(str(x) for x in amounts if x > k) or "0"),
        ]
    )


def rows(seed: int) -> Iterator[tuple[str, str]]:
    """Endless prompts with their answers."""
    rng = random.Random(f"base/{seed}")
    while True:
        kind, size = rng.random(), rng.choice((2, 3, 3, 4, 4, 5, 5))
        if kind < 0.4:
            prompt = make(rng.choice(KNOWN), rng, size)
            answer = solve(prompt)
        elif kind < 0.8:
            signed = rng.random() < 0.3
            amounts = rng.sample(range(1, 50), size)
            if signed:
                amounts = [rng.choice((-1, 1)) * amount for amount in amounts]
            entries = list(zip(rng.sample(NAMES, size), amounts, strict=True))
            asked, answer = note(rng, entries)
            prompt = table(entries, signed) + asked
        else:
            a, b = rng.randint(-49, 199), rng.randint(1, 49)
            prompt, answer = (
                (f"{a}+{b}", plus(a, b)) if rng.random() < 0.5 else (f"{a}-{b}", minus(a, b))
            )
        if partition(prompt) == "train":
            yield prompt, answer


if __name__ == "__main__":
    main(Domain(rows, PIECES, max_tokens=56))
