"""Planted leaks are found, look-alikes survive, and each removed row names what it matches."""

from __future__ import annotations

import importlib.util
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.overlap import constants, normalised, template
from dagent.runtime.steps.decontaminate import protected
from dagent.runtime.steps.dedupe import split

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("Alice", "Bob", "Carla", "Deepak", "Elena", "Farid", "Grace", "Hugo")
THINGS = ("apples", "tickets", "bottles", "stamps", "cards", "bricks", "candles", "pencils")
PLACES = ("market", "station", "library", "harbour", "museum", "theatre", "bakery", "garden")
VERBS = ("buys", "finds", "collects", "borrows", "carries", "orders", "packs", "counts")
ENDS = (
    "How many are left over when the work is done at the end of the week?",
    "What is the total, if nothing gets lost on the long way back to the house?",
    "How many does each of the children get when they share all of them equally?",
    "By how much does the second amount exceed the first after the last delivery?",
)
SPELT = {
    "14": "fourteen",
    "25": "twenty-five",
    "40": "forty",
    "67": "sixty-seven",
    "93": "ninety-three",
    "106": "one hundred six",
    "250": "two hundred and fifty",
    "377": "three hundred seventy-seven",
    "812": "eight hundred and twelve",
    "999": "nine hundred ninety-nine",
}
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def story(rng: random.Random, form: int, numbers: tuple[int, ...] | None = None) -> str:
    """A word problem; each ``form`` puts it in other words, and constants are drawn anew."""
    thing, place = THINGS[form % 8], PLACES[form // 8 % 8]
    verb, end = VERBS[form // 64 % 8], ENDS[form // 512 % 4]
    a, b = numbers or (rng.randint(2, 99), rng.randint(100, 999))
    return (
        f"Early on a cold morning {rng.choice(NAMES)} {verb} {a} {thing} near the {place}, gives "
        f"{b} of those {thing} to {rng.choice(NAMES)} behind the old {place}. {end}"
    )


def drawn(form: int) -> tuple[int, ...]:
    """Two numbers that can be spelt."""
    return tuple(map(int, random.Random(f"numbers {form}").sample(list(SPELT), 2)))


def rows(prompts: list[str]) -> list[dict[str, Any]]:
    return [{"id": str(number), "prompt": prompt} for number, prompt in enumerate(prompts)]


FORMS = random.Random(0).sample(range(2048), 600)
LEAKED, FREE = FORMS[:300], FORMS[300:]
TEST = [story(random.Random(form), form, drawn(form)) for form in LEAKED]


def spaced(prompt: str, rng: random.Random) -> str:
    blanks = (rng.choice(" \n\t") * rng.randint(1, 3) for _ in prompt)
    text = "".join(next(blanks) if c == " " else c for c in prompt)
    return rng.choice([text.upper(), text.lower(), text.swapcase()])


KINDS = {
    "exact": lambda form, prompt, rng: prompt,
    "space and case": lambda form, prompt, rng: spaced(prompt, rng),
    "other constants": lambda form, prompt, rng: story(rng, form),
    "thirteen words": lambda form, prompt, rng: "Solve it. " + " ".join(prompt.split()[5:25]) + "…",
    "spelt": lambda form, prompt, rng: re.sub(r"\d+", lambda m: SPELT[m[0]], prompt),
    "other script": lambda form, prompt, rng: prompt.translate(ARABIC),
}


@pytest.mark.parametrize("kind", KINDS)
def test_planted_leaks_are_found(kind: str) -> None:
    known = protected({"test": rows(TEST)}, templates=True)
    rng = random.Random(kind)
    matches = [
        known.match(KINDS[kind](form, prompt, rng))
        for form, prompt in zip(LEAKED, TEST, strict=True)
    ]
    assert sum(m is not None for m in matches) >= 0.99 * len(TEST)
    right = sum(m is not None and m[0] == f"test row {n}" for n, m in enumerate(matches))
    assert right >= 0.9 * len(TEST), "the row that it matches"
    rules = {m[1] for m in matches if m}
    expected = {"other constants": "template", "thirteen words": "ngram"}.get(kind, "exact")
    assert expected in rules


def test_look_alikes_survive() -> None:
    """Of all that is removed from a mixture of leaks and look-alikes, 95 % are leaks."""
    known = protected({"test": rows(TEST)}, templates=True)
    rng = random.Random(1)
    alike = [other_words(form, rng) for form in FREE]
    wrong = sum(known.match(prompt) is not None for prompt in alike)
    found = sum(known.match(story(rng, form)) is not None for form in LEAKED)
    assert found / (found + wrong) >= 0.95


def other_words(form: int, rng: random.Random) -> str:
    """The same persons, things, numbers and question, put in another way."""
    thing, place, verb = THINGS[form % 8], PLACES[form // 8 % 8], VERBS[form // 64 % 8]
    return (
        f"At the {place}, {rng.choice(NAMES)} {verb} 25 {thing}. Later a friend takes 106 {thing} "
        f"away. How many {thing} are left over at the {place}?"
    )


def test_how_a_task_is_put_is_no_leak() -> None:
    form = (
        "Read the table below and answer with a single number and nothing else at all: {} plus {}"
    )
    judges = {"test": rows([form.format(n, n + 1) for n in range(20)])}
    known = protected(judges, templates=True)
    assert known.match(form.format(700, 800)) is None
    match = known.match(form.format(3, 4))
    assert match == ("test row 3", "exact", "the same question as test row 3")


def test_templates_can_be_left_to_the_task() -> None:
    judges = {"test": rows(TEST)}
    leak = story(random.Random(5), LEAKED[0])
    on, off = (protected(judges, templates=t).match(leak) for t in (True, False))
    assert on is not None
    assert on[1] == "template"
    assert off is None or off[1] == "ngram"


def domain(name: str) -> Any:
    """The programs of an example; each imports what lies beside it."""
    path = ROOT / "examples" / name / "programs.py"
    spec = importlib.util.spec_from_file_location(f"_{name}_programs", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(path.parent)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["quickstart", "ledger", "units"])
def test_a_domain_of_one_form_loses_its_leaks_and_no_other_row(name: str) -> None:
    """Programs, tables and formulas whose rows to train on and to judge by come from one template:
    copies of test rows are found, in whatever disguise, and rows with other constants stay."""
    sets = {}
    for held in ("dev", "test"):
        lines = (ROOT / "examples" / name / f"{held}.jsonl").read_text().splitlines()
        sets[held] = rows([json.loads(line)["prompt"] for line in lines])
    known = protected(sets, templates=True)
    rng = random.Random(name)
    for kind in ("exact", "space and case", "other script"):
        for row in rng.sample(sets["test"], 100):
            match = known.match(KINDS[kind](0, row["prompt"], rng))
            assert match
            assert match[:2] == (f"test row {row['id']}", "exact"), kind
    programs = domain(name)
    read = [json.loads(line) for line in lines]
    cells = sorted({(row["skill"], row["difficulty"]) for row in read})
    made = [row for cell in cells for row in programs.generate(*cell, 10, 7)]
    assert len(made) >= 100
    assert [known.match(row["prompt"]) for row in made] == [None] * len(made)


def test_tiny_programs_that_differ_in_constants_are_all_kept() -> None:
    programs = domain("quickstart")
    made = [
        {**row, "id": row["prompt"]}
        for skill in programs.SKILLS
        for level in programs.DIFFICULTIES
        for row in programs.generate(skill, level, 25, 0)
    ]
    unique, duplicates = split(made[::2], made[1::2], 0.8)
    assert not duplicates
    assert unique == made[1::2]
    dev = programs.draw("list_update", 2, 40, 0, "dev") + programs.draw("sort", 1, 40, 0, "dev")
    known = protected({"dev": [{**row, "id": "x"} for row in dev]}, templates=True)
    assert not any(known.match(row["prompt"]) for row in made)


def test_near_duplicates_have_the_same_constants_and_answer() -> None:
    text = story(random.Random(0), 7, (25, 106))
    row = {"id": "a", "prompt": text, "answer": "81"}
    other = {"id": "b", "prompt": text.replace("cold", "warm"), "answer": "81"}
    unique, (gone,) = split([row], [other], 0.8)
    assert not unique
    assert gone["matches"] == "a"
    for change in ({"prompt": text.replace("25", "26")}, {"answer": "82"}):
        assert split([row], [{**other, **change}], 0.8) == ([{**other, **change}], [])
    assert split([row], [other], 0.99)[0] == [other]


def test_near_duplicates_just_above_the_threshold_are_found() -> None:
    """One word of forty is another: 0.85 of the pieces are shared, and datasketch's own choice of
    bands proposes seven such pairs in ten."""
    rng = random.Random(0)
    words = [f"{a}{b}{c}" for a in "bdfklmnprst" for b in "aeiou" for c in "lmnrst"]

    def drawn(name: str, number: int) -> list[dict[str, Any]]:
        ids = (f"{name}{n}" for n in range(number))
        return [{"id": i, "prompt": " ".join(rng.choices(words, k=40)), "answer": "y"} for i in ids]

    def altered(row: dict[str, Any]) -> dict[str, Any]:
        text = row["prompt"].split()
        text[20] = "altered"
        return {**row, "id": "n" + row["id"], "prompt": " ".join(text)}

    kept, others = drawn("k", 400), drawn("o", 100)
    unique, duplicates = split(kept, [*map(altered, kept), *others], 0.8)
    assert [row for row in unique if row["id"][0] == "o"] == others
    assert len(duplicates) >= 0.97 * len(kept)
    assert all(row["id"] == "n" + row["matches"] for row in duplicates)


def test_numerals_and_templates() -> None:
    assert normalised("Twenty-three  of ٤٢, two thousand and five") == "23 of 42 , 2005"
    assert normalised("one two; 1,234.5") == "1 2 ; 1234.5"
    assert template("a = [8, 7, 9]") == template("a = [1]")
    assert constants("'x' and 3 of two") == ("'x'", "2", "3")
