"""Predict what a small Python program prints: the quickstart's generator and verifier.

This file is all that dagent needs to know about a domain, and the one to copy for your own:

* ``SKILLS`` and ``DIFFICULTIES`` span the grid of cells that the loop measures and fills;
* ``generate`` makes rows for one cell, with answers that are right because the program was run;
* ``verify`` decides whether a row, whoever made it, may be trained on, and says why not.

Every program belongs to one of three partitions by a hash of its text. ``generate`` emits the
``train`` partition only, so no training row can be a dev or test row, whatever the seed.
"""

from __future__ import annotations

import ast
import hashlib
import io
import random
import string
from collections.abc import Callable
from contextlib import redirect_stdout

DIFFICULTIES = (1, 2, 3)
SIZES = {1: (3, 4), 2: (5, 5), 3: (6, 7)}
"""Difficulty -> shortest and longest string (or list) that a program works on."""

MAX_PROGRAM_CHARS = 200
ALLOWED_STATEMENTS = (ast.Assign, ast.Expr)
ALLOWED_BUILTINS = {f.__name__: f for f in (dict, len, list, max, min, sorted, str, zip)}


# --- one function per skill: (random source, size) -> program text ---------------------------


def _letters(rng: random.Random, size: int, alphabet: str = string.ascii_lowercase) -> str:
    return "".join(rng.choices(alphabet, k=size))


def _repetitive(rng: random.Random, size: int) -> str:
    """Letters from a small alphabet, so that counting and deduplicating have work to do."""
    return _letters(rng, size, _letters(rng, 1 + size // 2))


def _span(rng: random.Random, size: int) -> tuple[int, int]:
    """Start and end of a proper slice of two elements or more."""
    start, end = sorted(rng.sample(range(size + 1), 2))
    return (start, end) if 2 <= end - start < size else _span(rng, size)


def _index(rng: random.Random, size: int) -> str:
    return f'print("{_letters(rng, size)}"[{rng.randrange(-size, size)}])'


def _slice(rng: random.Random, size: int) -> str:
    start, end = _span(rng, size)
    return f'print("{_letters(rng, size)}"[{start}:{end}])'


def _reverse(rng: random.Random, size: int) -> str:
    return f'print("{_letters(rng, size)}"[::-1])'


def _sort(rng: random.Random, size: int) -> str:
    return f'print("".join(sorted("{_letters(rng, size)}")))'


def _count(rng: random.Random, size: int) -> str:
    text = _repetitive(rng, size)
    return f'print("{text}".count("{rng.choice(text)}"))'


def _replace(rng: random.Random, size: int) -> str:
    text = _repetitive(rng, size)
    return f'print("{text}".replace("{rng.choice(text)}", "{_letters(rng, 1)}"))'


def _rotate(rng: random.Random, size: int) -> str:
    by = rng.randint(1, 2)
    return f's = "{_letters(rng, size)}"\nprint(s[{by}:] + s[:{by}])'


def _swap_ends(rng: random.Random, size: int) -> str:
    return f's = "{_letters(rng, size)}"\nprint(s[-1] + s[1:-1] + s[0])'


def _step(rng: random.Random, size: int) -> str:
    return f'print("{_letters(rng, size)}"[{rng.choice(["", "1"])}::2])'


def _interleave(rng: random.Random, size: int) -> str:
    left, right = (_letters(rng, (size + 1) // 2) for _ in range(2))
    return f'print("".join(a + b for a, b in zip("{left}", "{right}")))'


def _dedupe(rng: random.Random, size: int) -> str:
    return f'print("".join(dict.fromkeys("{_repetitive(rng, size)}")))'


def _mirror(rng: random.Random, size: int) -> str:
    ends = rng.choice(["s + s[::-1]", "s[::-1] + s"])
    return f's = "{_letters(rng, size - 1)}"\nprint({ends})'


def _sort_pick(rng: random.Random, size: int) -> str:
    return f'print(sorted("{_letters(rng, size)}"[::-1])[{rng.choice([0, 1, -1])}])'


def _cut_reverse(rng: random.Random, size: int) -> str:
    start, end = _span(rng, size)
    return f'print("{_letters(rng, size)}"[{start}:{end}][::-1])'


def _list_update(rng: random.Random, size: int) -> str:
    items = [rng.randrange(10) for _ in range(size - 1)]
    value = rng.randrange(10)
    change = rng.choice([f"a[{rng.randrange(len(items))}] = {value}", f"a.append({value})"])
    return f"a = {items}\n{change}\nprint(a)"


def _swap_names(rng: random.Random, size: int) -> str:
    left, right = _letters(rng, size // 2), _letters(rng, (size + 1) // 2)
    total = rng.choice(["a + b", "b + a"])
    return f'a, b = "{left}", "{right}"\na, b = b, a\nprint({total})'


MAKERS: dict[str, Callable[[random.Random, int], str]] = {
    "index": _index,
    "slice": _slice,
    "reverse": _reverse,
    "sort": _sort,
    "count": _count,
    "replace": _replace,
    "rotate": _rotate,
    "swap_ends": _swap_ends,
    "step": _step,
    "interleave": _interleave,
    "dedupe": _dedupe,
    "mirror": _mirror,
    "sort_pick": _sort_pick,
    "cut_reverse": _cut_reverse,
    "list_update": _list_update,
    "swap_names": _swap_names,
}
SKILLS = tuple(MAKERS)


# --- what every domain needs: split, generate, verify ----------------------------------------


def partition(program: str) -> str:
    """The part a program belongs to: 1/16 of all programs are dev, 2/16 test, the rest train."""
    bucket = hashlib.sha256(program.encode()).digest()[0] % 16
    return {0: "dev", 1: "test", 2: "test"}.get(bucket, "train")


def run(program: str) -> str:
    """What the program prints, stripped.

    Only assignments and expressions over a few builtins run, which stops mistakes. It is no
    sandbox: dagent calls ``verify`` in its own where a language model wrote the program.
    """
    if len(program) > MAX_PROGRAM_CHARS:
        raise ValueError(f"program longer than {MAX_PROGRAM_CHARS} characters")
    tree = ast.parse(program)
    for node in tree.body:
        if not isinstance(node, ALLOWED_STATEMENTS):
            raise ValueError(f"statement not allowed: {type(node).__name__}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            raise ValueError(f"attribute not allowed: {node.attr}")
    out = io.StringIO()
    with redirect_stdout(out):
        exec(compile(tree, "<row>", "exec"), {"__builtins__": ALLOWED_BUILTINS | {"print": print}})
    return out.getvalue().strip()


def draw(skill: str, difficulty: int, n: int, seed: int, part: str) -> list[dict]:
    """Up to ``n`` distinct rows of one cell from one partition; fewer if the cell runs dry."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{part}")
    programs: dict[str, None] = {}
    for _ in range(200 * n):
        if len(programs) == n:
            break
        program = MAKERS[skill](rng, rng.randint(*SIZES[difficulty]))
        if partition(program) == part:
            programs[program] = None
    return [
        {"prompt": p, "answer": run(p), "skill": skill, "difficulty": difficulty} for p in programs
    ]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict]:
    """``n`` distinct training rows of one cell; the same arguments give the same rows."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict) -> str | None:
    """None if the row's answer is what its program prints, else the reason in words."""
    try:
        printed = run(row["prompt"])
    except Exception as error:  # whatever a made-up program does wrong is the reason to refuse it
        return f"the program does not run: {type(error).__name__}: {error}"
    if not printed:
        return "the program prints nothing"
    if printed != row["answer"]:
        return f"the program prints {printed!r}, the answer says {row['answer']!r}"
    return None
