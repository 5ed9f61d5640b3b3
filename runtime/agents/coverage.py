"""Diversity by design: a grid of patterns in every cell, and no row that nearly repeats another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from dagent.runtime.rows import normalised

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
    """Finds, for a prompt, an earlier one with a Jaccard similarity of shingles of ``SIMILAR``.

    Exact, by prefix filtering (Chaudhuri et al. 2006): two such sets share one of the first
    ``(1 - SIMILAR) * n + 1`` shingles of either, in any fixed order.
    """

    def __init__(self) -> None:
        self._sets: dict[str, frozenset[int]] = {}
        self._index: defaultdict[int, list[str]] = defaultdict(list)

    def add(self, id: str, prompt: str) -> str | None:
        """The id of an earlier prompt that this one nearly repeats; None, and it is added."""
        shingles = _shingles(prompt)
        prefix = sorted(shingles)[: int((1 - SIMILAR) * len(shingles)) + 1]
        for other in dict.fromkeys(o for s in prefix for o in self._index[s]):
            known = self._sets[other]
            sizes = len(shingles) + len(known)
            if min(len(shingles), len(known)) * (1 + SIMILAR) < SIMILAR * sizes:
                continue  # were it all in the other, it would be too small a part
            both = len(shingles & known)
            if both >= SIMILAR * (sizes - both):
                return other
        self._sets[id] = shingles
        for shingle in prefix:
            self._index[shingle].append(id)
        return None


def _shingles(text: str) -> frozenset[int]:
    folded = normalised(text)
    parts = {folded[i : i + _SHINGLE] for i in range(max(1, len(folded) - _SHINGLE + 1))}
    return frozenset(
        int.from_bytes(hashlib.blake2b(p.encode(), digest_size=8).digest()) for p in parts
    )
