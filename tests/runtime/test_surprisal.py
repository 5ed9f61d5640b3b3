"""What the words of a text tell, on texts whose probabilities are known."""

from __future__ import annotations

import random
from math import log2

import pytest

from dagent.runtime.surprisal import LONGEST, surprisal, told

COLOURS = [f"colour{n}" for n in range(16)]


def drawn(rng: random.Random) -> list[str]:
    colour, number = rng.choice(COLOURS), rng.randint(100, 999)
    return f"the {colour} box number {number} stands in front of the {colour} door".split()


def test_a_choice_tells_its_bits_and_what_follows_from_it_none() -> None:
    rng = random.Random(0)
    texts = [drawn(rng) for _ in range(400)]
    bits = surprisal(texts)
    mean = [sum(column) / len(texts) for column in zip(*bits, strict=True)]
    assert mean[1] == pytest.approx(log2(16), abs=0.5), "one of sixteen colours"
    assert mean[4] == pytest.approx(log2(900), abs=0.6), "one of nine hundred numbers"
    assert sum(mean[:1] + mean[2:4] + mean[5:10] + mean[11:]) < 0.5, "the form"
    once, twice = (told(texts[0][:end], bits[0][:end]) for end in (10, 11))
    assert once == pytest.approx(twice), "the colour said again"
    assert told(texts[0][5:11], bits[0][5:11]) > 3, "where it is said for the first time"


def test_a_word_that_no_other_text_has_tells_most() -> None:
    texts = [["open", "the", "door"] for _ in range(50)]
    told = surprisal([*texts, ["open", "the", "xylophone"]])
    assert max(told[0]) < 0.2
    assert told[-1][2] > 9


def test_words_of_another_text_are_no_context() -> None:
    """The last words of one text do not foretell the first of the next."""
    pairs = [["a", "b"], ["c", "d"]] * (20 * LONGEST)
    first = [bits[0] for bits in surprisal(pairs)]
    assert first == pytest.approx([1] * len(pairs), abs=0.1)


def test_nothing_and_next_to_nothing() -> None:
    assert surprisal([]) == []
    assert surprisal([[], ["word"]])[0] == []
    assert surprisal([["word"]])[0][0] > 9
