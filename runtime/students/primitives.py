"""Programs that teach the built-in student the primitives of Python's strings and lists.

They are short: operands of one to five letters, one or two operations. Expressions are drawn from
a small grammar rather than from templates, so that the student learns what each operation does
wherever it stands. Longer operands, and most of the quickstart's compositions, are left for the
quickstart itself to teach.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import string
from collections.abc import Iterator

LENGTHS = (1, 2, 3, 4, 5)
LENGTH_WEIGHTS = (1, 3, 5, 4, 1)
"""How often an operand has each length, in letters."""

BUILTINS = {f.__name__: f for f in (dict, len, list, max, min, print, sorted, zip)}


def is_reserved(program: str) -> bool:
    """Whether the quickstart keeps this program for dev or test; its rule, repeated here.

    ``examples/quickstart/programs.py`` puts the hash buckets 0 to 2 of 16 aside. Refusing them
    keeps the pretraining rows disjoint from every dev and test row by construction.
    """
    return hashlib.sha256(program.encode()).digest()[0] % 16 < 3


def letters(rng: random.Random, size: int | None = None) -> str:
    """Random lowercase letters, half of the time from a small alphabet, so that some repeat."""
    size = size or rng.choices(LENGTHS, LENGTH_WEIGHTS)[0]
    alphabet = string.ascii_lowercase
    if rng.random() < 0.5:
        alphabet = "".join(rng.choices(alphabet, k=1 + size // 2))
    return "".join(rng.choices(alphabet, k=size))


def literal(rng: random.Random) -> str:
    return f'"{letters(rng)}"'


def subscript(rng: random.Random) -> str:
    """An index or a slice that makes sense on a few elements."""
    low, high = rng.randrange(4), rng.randrange(1, 6)
    return rng.choice(
        [
            f"[{rng.randrange(4)}]",
            f"[-{rng.randrange(1, 4)}]",
            f"[{low}:{high}]",
            f"[{low}:]",
            f"[:{high}]",
            "[::-1]",
            "[::-1]",
            "[1:-1]",
        ]
    )


def text_expression(rng: random.Random, operands: list[str], depth: int) -> str:
    """A string-valued expression; ``operands`` are the variables in reach, none for literals."""
    if depth == 0:
        return rng.choice(operands) if operands else literal(rng)
    inner = text_expression(rng, operands, depth - 1)
    kind = rng.choices(("subscript", "add", "sorted", "replace", "pick"), (6, 3, 2, 2, 2))[0]
    if kind == "subscript":
        return (f"({inner})" if " + " in inner else inner) + subscript(rng)
    if kind == "add":
        return f"{inner} + {text_expression(rng, operands, rng.randrange(depth))}"
    if kind == "sorted":
        return f'"".join(sorted({inner}))'
    if kind == "replace":
        old, new = letters(rng, 1), letters(rng, 1)
        return (f"({inner})" if " + " in inner else inner) + f'.replace("{old}", "{new}")'
    return f"{rng.choice(['max', 'min'])}({inner})"


def answer_expression(rng: random.Random, operands: list[str], depth: int) -> str:
    """What is printed: mostly a string, at times a number about one."""
    if rng.random() < 0.85:
        return text_expression(rng, operands, depth)
    inner = text_expression(rng, operands, depth - 1)
    inner = f"({inner})" if " + " in inner else inner
    letter = letters(rng, 1)
    return rng.choice([f"len({inner})", f'{inner}.count("{letter}")', f'{inner}.find("{letter}")'])


def reuse_letters(rng: random.Random, program: str, text: str) -> str:
    """Point ``count``, ``find`` and ``replace`` at a letter that occurs, most of the time."""
    for method in (".count", ".find", ".replace"):
        head, call, tail = program.partition(f'{method}("')
        if call and rng.random() < 0.8:
            program = head + call + rng.choice(text) + tail[1:]
    return program


def string_program(rng: random.Random) -> str:
    """One expression on literals, or on one or two variables assigned before it."""
    depth = rng.choices((1, 2), (3, 1))[0]
    first, second = letters(rng), letters(rng)
    form = rng.randrange(5)
    if form < 2:
        program = f"print({answer_expression(rng, [], depth)})"
        first = next(iter(program.split('"')[1:]), "") or first
    elif form == 2:
        program = f's = "{first}"\nprint({answer_expression(rng, ["s"], depth)})'
    elif form == 3:
        show = answer_expression(rng, ["a", "b"], depth)
        program = f'a, b = "{first}", "{second}"\nprint({show})'
    else:
        step = text_expression(rng, ["s"], 1)
        program = f's = "{first}"\nt = {step}\nprint({answer_expression(rng, ["s", "t", "t"], 1)})'
    return reuse_letters(rng, program, first)


def list_program(rng: random.Random) -> str:
    """A short list of digits, printed whole or in part, after at most one change."""
    items = [rng.randrange(10) for _ in range(rng.randint(1, 4))]
    place, value = rng.randrange(len(items)), rng.randrange(10)
    lines = [f"a = {items}"]
    if rng.random() < 0.4:
        lines.append(rng.choice([f"a[{place}] = {value}", f"a.append({value})"]))
    show = rng.choice(["a", f"a[{place}]", "a[-1]", "a[::-1]", "len(a)", "sorted(a)", "max(a)"])
    return "\n".join([*lines, f"print({show})"])


def run(program: str) -> str:
    """What the program prints, stripped; the empty string if it fails."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(IndexError, ValueError):
        exec(program, {"__builtins__": BUILTINS})  # our own programs, from the grammar above
    return out.getvalue().strip()


def primitives(seed: int) -> Iterator[tuple[str, str]]:
    """Endless (program, output) pairs; at most 12 characters are printed, at least one."""
    rng = random.Random(f"primitives/{seed}")
    while True:
        program = list_program(rng) if rng.random() < 0.12 else string_program(rng)
        if is_reserved(program):
            continue
        output = run(program)
        if 0 < len(output) <= 12:
            yield program, output
