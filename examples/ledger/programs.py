"""Questions about short ledgers: the generator and the exact checker of the ledger domain.

A prompt is a table of two to five entries, a name and an amount each, and one question. The answer
shows its work where there is some: ``62-8=54``, or running totals ``45,107,115``; what stands last
is what counts. ``solve`` reads a prompt and works the answer out again, which is how ``verify``
tells a right row from a wrong one, whoever made it.

By a hash of its text every prompt belongs to train, dev or test; ``generate`` emits train only.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from itertools import accumulate

Entries = list[tuple[str, int]]

NAMES = (
    "rent", "fee", "sale", "tax", "wage", "loan", "gift", "food", "fuel", "toll",
    "bill", "bond", "cash", "dues", "fine", "hire", "note", "debt", "stock", "lease",
)  # fmt: skip
DIFFICULTIES = (1, 2, 3)
ENTRIES = {1: 3, 2: 4, 3: 5}
"""Difficulty -> how many entries a table has."""


# --- one function per skill: (entries, what the question names) -> the answer -----------------


def _amount(entries: Entries, name: str) -> int:
    return dict(entries)[name]


def plus(a: int, b: int) -> str:
    return f"{a}+{b}={a + b}"


def minus(a: int, b: int) -> str:
    return f"{a}-{b}={a - b}"


def _largest(entries: Entries) -> tuple[str, int]:
    return max(entries, key=lambda e: e[1])


def _smallest(entries: Entries) -> tuple[str, int]:
    return min(entries, key=lambda e: e[1])


def _range(entries: Entries) -> str:
    return minus(_largest(entries)[1], _smallest(entries)[1])


def _over(entries: Entries, k: str) -> str:
    return str(sum(amount > int(k) for _, amount in entries))


def _totals(entries: Entries) -> str:
    return ",".join(map(str, accumulate(amount for _, amount in entries)))


def _income(entries: Entries) -> str:
    return ",".join(map(str, accumulate(amount for _, amount in entries if amount > 0)))


SKILLS: dict[str, tuple[str, Callable[..., str]]] = {
    "lookup": ("What is {a}?", lambda e, a: str(_amount(e, a))),
    "entry": ("Which is entry {i}?", lambda e, i: e[int(i) - 1][0]),
    "place": ("Which entry is {a}?", lambda e, a: str([n for n, _ in e].index(a) + 1)),
    "larger": (
        "Which is larger, {a} or {b}?",
        lambda e, a, b: a if _amount(e, a) > _amount(e, b) else b,
    ),
    "less": ("What is {a} less {k}?", lambda e, a, k: minus(_amount(e, a), int(k))),
    "together": ("How much are {a} and {b}?", lambda e, a, b: plus(_amount(e, a), _amount(e, b))),
    "more": ("How much more is {a} than {b}?", lambda e, a, b: minus(_amount(e, a), _amount(e, b))),
    "change": ("How much more is the last than the first?", lambda e: minus(e[-1][1], e[0][1])),
    "largest": ("Which is the largest?", lambda e: _largest(e)[0]),
    "least": ("What is the smallest amount?", lambda e: str(_smallest(e)[1])),
    "second": ("What is the second largest amount?", lambda e: str(sorted(a for _, a in e)[-2])),
    "range": ("How far are the largest and the smallest apart?", _range),
    "over": ("How many are over {k}?", _over),
    "total": ("What is the total?", _totals),
    "balance": ("What is the balance?", _totals),
    "income": ("What is the income?", _income),
}
"""Skill -> its question and how it is answered."""

SIGNED = ("balance", "income")
"""Skills whose tables hold money that comes in (+) and goes out (-)."""


# --- prompts ----------------------------------------------------------------------------------


def table(entries: Entries, signed: bool = False) -> str:
    sign = "+" if signed else ""
    return "".join(f"{name} {amount:{sign}d}\n" for name, amount in entries)


def make(skill: str, rng: random.Random, size: int) -> str:
    """A prompt of one skill over ``size`` entries; amounts differ, so that no question has two
    answers."""
    amounts = rng.sample(range(1, 50), size)
    if skill in SIGNED:
        amounts = [amount if rng.random() < 0.6 else -amount for amount in amounts]
        amounts[rng.randrange(size)] = rng.randint(10, 49)
    entries = list(zip(rng.sample(NAMES, size), amounts, strict=True))
    a, b = rng.sample([name for name, _ in entries], 2)
    question = SKILLS[skill][0].format(a=a, b=b, i=rng.randint(1, size), k=rng.randint(5, 45))
    return table(entries, skill in SIGNED) + question


_ENTRY = re.compile(r"([a-z]+) ([+-]?\d{1,3})")
_QUESTIONS = {
    skill: re.compile(re.sub(r"\\\{(\w)\\\}", r"(?P<\1>\\w+)", re.escape(question)))
    for skill, (question, _) in SKILLS.items()
}


def solve(prompt: str) -> str:
    """The answer to a prompt, with its work.

    Raises:
        ValueError: the prompt is no ledger with one of the questions.
    """
    *lines, question = prompt.split("\n")
    found = [_ENTRY.fullmatch(line) for line in lines]
    entries = [(match[1], int(match[2])) for match in found if match]
    if not entries or len(entries) < len(found) or len(dict(entries)) < len(entries):
        raise ValueError("not a table of entries, each a name of its own and an amount")
    for skill, pattern in _QUESTIONS.items():
        if match := pattern.fullmatch(question):
            try:
                return SKILLS[skill][1](entries, **match.groupdict())
            except (KeyError, IndexError) as error:
                raise ValueError(f"the question names what is not in the table: {error}") from None
    raise ValueError(f"not a question about a ledger: {question!r}")


# --- what every domain needs: split, generate, verify ------------------------------------------


def partition(prompt: str) -> str:
    """The part a prompt belongs to: 1/16 of all prompts are dev, 2/16 test, the rest train."""
    bucket = hashlib.sha256(prompt.encode()).digest()[0] % 16
    return {0: "dev", 1: "test", 2: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, part: str) -> list[dict]:
    """Up to ``n`` distinct rows of one cell from one partition; fewer if the cell runs dry."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{part}")
    prompts: dict[str, None] = {}
    for _ in range(200 * n):
        if len(prompts) == n:
            break
        prompt = make(skill, rng, ENTRIES[difficulty])
        if partition(prompt) == part:
            prompts[prompt] = None
    return [
        {"prompt": p, "answer": solve(p), "skill": skill, "difficulty": difficulty} for p in prompts
    ]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict]:
    """``n`` distinct training rows of one cell; the same arguments give the same rows."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict) -> str | None:
    """None if the row's answer is the one worked out from its table, else the reason in words."""
    try:
        right = solve(row["prompt"])
    except ValueError as error:
        return str(error)
    return None if row["answer"] == right else f"the table gives {right!r}, not {row['answer']!r}"
