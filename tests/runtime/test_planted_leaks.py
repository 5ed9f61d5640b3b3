"""Leaks planted in six kinds of task, in disguise, among rows that look alike and are none.

A task has a frame (an instruction, one of a few schemas) and a text in random words of a subject;
``form`` settles frame and words, and ``rng`` draws the constants. Test has a row each of 200 forms.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest

from dagent.runtime.steps.decontaminate import Protected, protected

ROWS = 200
BANKS = {
    "adj": "old heavy green hidden broken spare narrow noisy frozen painted hollow cheap",
    "noun": "crates ladders kettles barrels lamps ropes saddles drums anchors mirrors tents pipes",
    "verb": "orders hides repairs lends collects counts ships weighs paints sorts burns rents",
    "who": "neighbour teacher captain baker nurse farmer guard painter clerk cousin driver tailor",
    "where": "harbour cellar orchard market station attic quarry bakery garden stable chapel mill",
    "when": "dawn noon dusk midnight lunch breakfast sunrise closing opening supper curfew recess",
    "part": "login invoice parcel screen battery refund voucher delivery password router app plan",
    "fails": "freezes vanishes doubles melts crashes loops stalls leaks resets blinks jams fades",
    "item": "revenue costs margin debt assets cash equity inventory receivables payables interest "
    "tax goodwill dividends rent wages bonuses freight repairs insurance royalties licences grants "
    "fees leases provisions reserves overdrafts deposits turnover",
    "column": "age price weight score height salary rank stock speed depth rating volume",
}
SCHEMAS = [
    f"table {name}: id integer primary key, name text not null, city text, opened date, "
    f"{extra} integer, note text, parent integer references {name}"
    for name in BANKS["who"].split()
    for extra in ("floors", "seats")
]
NAMES = ("Alice", "Bob", "Carla", "Deepak", "Elena", "Farid", "Grace", "Hugo")
TASKS = {
    "maths": (
        ("",),
        "At {when} {n} {verb} {a} {adj} {noun} near the {where} for a {who}, who then {verb} {b} "
        "of the {adj} {noun} before {when}. How many {noun} does the {who} miss near the {where}?",
    ),
    "sql": (
        [
            f"Write one SQL query that answers the question, for the {schema}. Q: "
            for schema in SCHEMAS
        ],
        "Which {adj} {who} with a {column} above {a} kept the {adj} {noun} of '{n}' at the "
        "{where}, and who of them {verb} more than {b} {noun} by {when} of the {column}?",
    ),
    "tickets": (
        ("Sort the following message into billing, delivery, access, defect or other. Message: ",),
        "Hello, {n} here. Since {when} my {adj} {part} {fails} whenever the {part} {fails} near "
        "the {where}; I paid {a} for it, my {who} lost {b} {noun}, and the {part} still {fails}.",
    ),
    "extraction": (
        ('Give "buyer", "units", "price" and "place" of the text as one JSON object. Text: ',),
        "For {n} the {who} {verb} {a} {adj} {noun} at {b} each, due before {when} at the {adj} "
        "{where}, once the {who} {verb} what is left of the {noun} beside the {where}.",
    ),
    "finance": (
        (
            "You are given an excerpt of the annual report of a company, with figures in "
            "thousands. Read the table and answer with one number. Table: ",
        ),
        "{item} {a} {b}; {item} {b} {a}; {item} {a} {a}. Question: by how much did the {item} "
        "change from the first year to the last?",
    ),
    "code": (
        ("Write a Python function `solve` that passes the tests. It takes a list and has to: ",),
        "drop each {adj} {noun} below {a}, sort by {column} and then by {column}, move the {adj} "
        "{noun} of '{n}' behind the {where}, and keep at most {b} {noun} for every {who}.",
    ),
}
ONES = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen
"""
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
KINDS = ("exact", "space and case", "other constants", "passage", "spelt")


def spelt(number: int) -> str:
    """In English words, below a thousand."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    words = ["", *ONES.split()]
    low = "-".join(filter(None, (TENS.split()[tens - 2], words[ones]))) if tens > 1 else words[rest]
    return " and ".join(filter(None, (f"{words[hundreds]} hundred" if hundreds else "", low)))


def constants(rng: random.Random) -> dict[str, Any]:
    return {"n": rng.choice(NAMES), "a": rng.randint(13, 99), "b": rng.randint(100, 999)}


def ask(task: str, form: int, drawn: dict[str, Any]) -> str:
    frames, text = TASKS[task]
    words = random.Random(form)
    own = re.sub(r"{(\w\w+)}", lambda m: words.choice(BANKS[m[1]].split()), text)
    return words.choice(frames) + own.format(**drawn)


def disguised(kind: str, task: str, form: int, prompt: str, rng: random.Random) -> str:
    if kind == "space and case":
        text = "".join(rng.choice(" \n\t") * 2 if c == " " else c for c in prompt)
        return rng.choice([text.upper(), text.lower(), text.swapcase()])
    if kind == "other constants":
        return ask(task, form, constants(rng))
    if kind == "passage":
        return f"Think it over. {' '.join(prompt.split()[-20:])} Say why."
    return re.sub(r"\d+", lambda m: spelt(int(m[0])), prompt) if kind == "spelt" else prompt


DRAWN = [constants(random.Random(row)) for row in range(ROWS)]


@cache
def known(task: str) -> tuple[Protected, list[str]]:
    prompts = [ask(task, form, drawn) for form, drawn in enumerate(DRAWN)]
    rows: list[dict[str, Any]] = [{"id": str(n), "prompt": p} for n, p in enumerate(prompts)]
    return protected({"test": rows}, templates=True), prompts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_planted_leaks_are_found_and_named(task: str, kind: str) -> None:
    found, prompts = known(task)
    rng = random.Random(f"{task} {kind}")
    matches = [
        found.match(disguised(kind, task, form, prompt, rng)) for form, prompt in enumerate(prompts)
    ]
    assert sum(m is not None for m in matches) >= 0.99 * ROWS
    named = sum(m is not None and m[0] == f"test row {n}" for n, m in enumerate(matches))
    assert named >= 0.99 * ROWS


@pytest.mark.parametrize("task", TASKS)
def test_what_looks_alike_is_kept(task: str) -> None:
    """As many rows of other words as leaks, in the same frames; half with a test row's constants.
    Of what is removed from the mixture, 95 % are leaks."""
    found, _ = known(task)
    drawn = [constants(random.Random(-n)) if n % 2 else same for n, same in enumerate(DRAWN)]
    alike = [ask(task, 10_000 + n, one) for n, one in enumerate(drawn)]
    wrong = sum(found.match(prompt) is not None for prompt in alike)
    assert ROWS / (ROWS + wrong) >= 0.95


def test_what_each_rule_can_reach_is_counted() -> None:
    found, _ = known("sql")
    assert found.reach == {"rows": ROWS, "template": ROWS, "ngram": ROWS}
    short = [{"id": str(n), "prompt": f"{n} + {n + 1}"} for n in range(30)]
    assert protected({"dev": short}, templates=True).reach == {
        "rows": 30,
        "template": 0,
        "ngram": 0,
    }


PHRASES = [(choices, digits) for choices in (6, 12, 30) for digits in (1, 2, 3)]


def phrased(choices: int, digits: int) -> Callable[[random.Random], str]:
    """Questions of three phrases each, with a number in each phrase, out of so many for each."""
    rng = random.Random(choices)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    bank = ["".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(300)]
    halves = [
        [[" ".join(rng.choices(bank, k=rng.randint(4, 7))) for _ in "ab"] for _ in range(choices)]
        for _ in range(3)
    ]

    def ask(drawn: random.Random) -> str:
        chosen = [drawn.choice(phrases) for phrases in halves]
        number = partial(drawn.randint, 10 ** (digits - 1), 10**digits - 1)
        parts = [f"{before} {number()} {after}" for before, after in chosen]
        return f"Work this out. {', then '.join(parts)}."

    return ask


@pytest.mark.parametrize(("choices", "digits"), PHRASES)
def test_a_task_of_few_phrases_loses_whole_questions_only(choices: int, digits: int) -> None:
    """That two of its rows share a phrase, or all phrases, is chance: of 200 rows drawn anew, which
    by thirteen words alone would lose up to nine in ten, nine in ten and more stay."""
    ask = phrased(choices, digits)
    prompts = [ask(random.Random(n)) for n in range(ROWS)]
    found = protected(
        {"test": [{"id": str(n), "prompt": p} for n, p in enumerate(prompts)]}, templates=True
    )
    rng = random.Random(choices)
    for kind in ("exact", "space and case", "spelt"):
        for n, prompt in enumerate(prompts):
            match = found.match(disguised(kind, "", n, prompt, rng))
            assert match
            assert match[1] == "exact"
    anew = [ask(random.Random(ROWS + n)) for n in range(ROWS)]
    assert sum(found.match(prompt) is not None for prompt in anew) <= 0.1 * ROWS
