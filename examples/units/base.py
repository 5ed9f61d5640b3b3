"""Train the student of the units domain from scratch: ``python base.py --out student``.

It learns the easier forms of most skills, and arithmetic with small numbers: what the harder forms
are made of. It sees no row of dev or test.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from programs import MAKERS, partition

from dagent.runtime.students.pretrain import Domain, main

KNOWN = {
    "cancel": (1, 2, 3),
    "multiply_powers": (1, 2, 3),
    "divide_powers": (1, 2),
    "raise_power": (1,),
    "solve_product": (1, 2, 3),
    "solve_ratio": (1,),
    "solve_sum": (1, 2),
    "derive": (1,),
    "integrate": (1,),
    "collect": (1, 2),
    "expand": (1,),
    "evaluate": (1,),
    "name_unit": (1, 2),
    "convert": (1, 2, 3),
    "proportion": (1,),
}
"""Skill -> the difficulties that the student is taught."""

PIECES = (", ", "=?", "d/d", "int ", " times ", " times?", " in short", " in ", "kg", "mol")


def rows(seed: int) -> Iterator[tuple[str, str]]:
    """Endless prompts with their answers."""
    rng = random.Random(f"base/{seed}")
    while True:
        if rng.random() < 0.7:
            skill = rng.choice(list(KNOWN))
            prompt, answer = MAKERS[skill](rng, rng.choice(KNOWN[skill]))
        else:
            a, b = rng.randint(-40, 99), rng.randint(1, 30)
            c, d = rng.randint(1, 12), rng.randint(1, 9)
            prompt, answer = rng.choice(
                [
                    (f"{a}+{b}", str(a + b)),
                    (f"{a}-{b}", str(a - b)),
                    (f"{c}*{d}", str(c * d)),
                    (f"{c * d}/{d}", str(c)),
                ]
            )
        if partition(prompt) == "train":
            yield prompt, answer


if __name__ == "__main__":
    main(Domain(rows, PIECES, max_tokens=40))
