"""Diversity by design: a grid of patterns in every cell, and no row that nearly repeats another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from heapq import nsmallest
from zlib import crc32

from dagent.compiler.overlap import constants
from dagent.runtime.rows import collapsed, normalised

Shingles = frozenset[str]

# What rows of one skill and difficulty can differ in, besides their values.
PATTERNS: Mapping[str, str] = {
    "typical": "an ordinary case, as it is met most often",
    "boundary": "a legal extreme: the smallest, largest, empty, zero, repeated or equal values",
    "near miss": "one detail decides, and a careless reader would give a particular wrong answer",
    "combined": "the skill is needed twice, or together with another step of the domain",
    "distractor": "something in the question looks relevant and is not",
    "unfamiliar": "the same skill with names, values and a setting far from the examples",
}
SIMILAR = 0.9  # share of common shingles from which two prompts count as one
_SHINGLE = 5


class NearDuplicates:
    """Finds, for a row, an earlier one that asks the same: in other white space, or with the same
    constants, a Jaccard similarity of shingles of ``SIMILAR`` and as similar an answer. Another
    number, quoted text or answer makes another row: a contrast is two questions that differ in one
    detail, and many questions share a long table or schema.

    Exact, by prefix filtering (Chaudhuri et al. 2006): two such sets share one of the first
    ``(1 - SIMILAR) * n + 1`` shingles of either, in any fixed order.
    """

    def __init__(self) -> None:
        self._same: dict[str, str] = {}
        self._known: dict[str, tuple[Shingles, Shingles]] = {}
        self._index: defaultdict[tuple[object, str], list[str]] = defaultdict(list)

    def add(self, id: str, prompt: str, answer: str) -> str | None:
        """The id of an earlier row that this one nearly repeats; None, and it is added."""
        same = self._same.setdefault(collapsed(prompt), id)
        if same != id or id in self._known:
            return same
        asked, answered = _shingles(prompt), _shingles(answer)
        held = constants(prompt)
        prefix = _prefix(asked)
        for other in dict.fromkeys(o for s in prefix for o in self._index[held, s]):
            known, said = self._known[other]
            if _alike(answered, said) and _alike(asked, known):  # answers are short
                return other
        self._known[id] = asked, answered
        for shingle in prefix:
            self._index[held, shingle].append(id)
        return None


def _alike(one: Shingles, other: Shingles) -> bool:
    if min(len(one), len(other)) < SIMILAR * max(len(one), len(other)):
        return False
    common = len(one & other)
    return common >= SIMILAR * (len(one) + len(other) - common)


def _shingles(text: str) -> Shingles:
    folded = normalised(text)
    return frozenset(folded[i : i + _SHINGLE] for i in range(max(1, len(folded) - _SHINGLE + 1)))


def _prefix(shingles: Shingles) -> list[str]:
    """In an order that is the same for all, and has nothing to do with the alphabet: what texts
    begin with is no rarer than the rest."""
    few = int((1 - SIMILAR) * len(shingles)) + 1
    ordered = nsmallest(few, ((crc32(shingle.encode()), shingle) for shingle in shingles))
    return [shingle for _, shingle in ordered]
