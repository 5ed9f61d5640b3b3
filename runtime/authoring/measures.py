"""How varied a submission is: of its prompts, and of its answers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from dagent.compiler.overlap import ngrams, tokens
from dagent.runtime.rows import Row

NGRAM = 2
PAIRS = 1000


def diversity(rows: Sequence[Row], seed: int) -> dict[str, float]:
    """``distinct_…``: share of n-grams that are not repeats. ``similar_…``: mean overlap of the
    words of two rows (Jaccard), over seeded pairs; 1 is all the same."""
    found: dict[str, float] = {}
    for name in ("prompt", "answer"):
        words = [tokens(row[name]) for row in rows]
        grams = [tuple(gram) for text in words for gram in ngrams(text, NGRAM)]
        # Answers of one word have no pairs of words.
        units = grams or [tuple(text) for text in words]
        found[f"distinct_{name}"] = round(len(set(units)) / len(units), 4) if units else 0.0
        found[f"similar_{name}"] = round(_similarity([set(text) for text in words], seed), 4)
    return found


def _similarity(texts: Sequence[set[str]], seed: int) -> float:
    if len(texts) < 2:
        return 0.0
    rng = random.Random(seed)
    pairs = [rng.sample(range(len(texts)), 2) for _ in range(PAIRS)]
    shares = [len(texts[i] & texts[j]) / (len(texts[i] | texts[j]) or 1) for i, j in pairs]
    return sum(shares) / len(shares)
