"""How much the words of a text tell that the texts beside it do not: what makes a passage its own.

A word that the other texts go on with at this place tells nothing, one of a dozen that they have
there tells three or four bits, and one that none of them has tells ten and more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# A word is foretold by one to three words before it, whatever number stands there, with up to two
# between that may be names.
LONGEST = 3
GAP = 2
# What no other text says is one word of at least so many.
VOCABULARY = 1000
# What a shorter context says counts as much as so many places of the longer one.
PRIOR = 1.0

Numbers = NDArray[np.float64]
Keys = NDArray[np.uint64]


def surprisal(texts: Sequence[Sequence[str]]) -> list[list[float]]:
    """Bits of each token, given those before it and all other texts (−log₂ of the probability).

    A token's probability is what the other texts give it after the words before, longer contexts
    resting on the shorter (Dirichlet smoothing; MacKay and Bauman Peto 1995), and the greatest over
    the gaps, so that what any context foretells is not called one's own. A number of n digits is
    one of 10ⁿ at most.
    """
    start = ["\0" * place for place in range(1, LONGEST + GAP + 1)]
    lengths = [len(start) + len(text) for text in texts]
    codes, known = pd.factorize(np.array([t for text in texts for t in (*start, *text)], object))
    ids = codes.astype(np.uint64)
    of = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    digits = np.array([_digits(token) for token in known])[codes]

    forms = np.where(digits > 0, np.uint64(len(known)), ids)

    alone = np.maximum(_elsewhere(ids, of), 1) / (len(ids) + VOCABULARY)
    alone = np.maximum(alone, np.where(digits > 0, 10.0**-digits, 0))
    best = alone
    for gap in range(GAP + 1):
        context, chance = np.full(len(ids), gap, dtype=np.uint64), alone
        for back in range(gap + 1, gap + LONGEST + 1):
            context = _mixed(context, np.roll(forms, back))
            same = _elsewhere(_mixed(context, ids), of)
            chance = (same + PRIOR * chance) / (_elsewhere(context, of) + PRIOR)
            best = np.maximum(best, chance)
    bits = -np.log2(best)
    ends = accumulate(lengths)
    return [
        bits[end - length + len(start) : end].tolist()
        for end, length in zip(ends, lengths, strict=True)
    ]


def _digits(token: str) -> int:
    return sum(map(str.isdecimal, token))


def told(passage: Sequence[str], bits: Sequence[float]) -> float:
    """Bits of a passage whose words tell so much: what it says again tells nothing new."""
    first = dict(zip(reversed(passage), reversed(bits), strict=True))
    return sum(first.values())


def _elsewhere(keys: Keys, of: Keys) -> Numbers:
    """How often each place's key stands in other texts than its own."""
    return _times(keys) - _times(_mixed(keys, of))


def _times(keys: Keys) -> Numbers:
    codes, found = pd.factorize(keys)
    times: Numbers = np.bincount(codes, minlength=len(found))[codes].astype(np.float64)
    return times


def _mixed(one: Keys, other: Keys) -> Keys:
    """A hash of two (SplitMix64's finaliser, Steele et al. 2014): 64 bits, so that places collide
    once in millions of sets."""
    mixed: Keys = (one * np.uint64(0x9E3779B97F4A7C15)) ^ other
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
