"""What the gate's decision is worth, by simulation on answers drawn by chance."""

from __future__ import annotations

import numpy as np

from dagent.runtime.statistics import paired_test
from dagent.runtime.steps.gate import accepts

ALPHA = 0.05  # the default of `gate { alpha = … }`


def answers(rng: np.random.Generator, chances: np.ndarray) -> np.ndarray:
    """One student's scores on rows that it answers rightly with these chances."""
    return (rng.random(chances.shape) < chances).astype(float)


def accepted_over(old: np.ndarray, new: np.ndarray) -> bool:
    return accepts(paired_test(list(old), list(new)), [], ALPHA)


def test_a_round_of_pure_noise_is_accepted_at_most_at_alpha() -> None:
    """Champion and new student are equally good on every row; only their luck differs."""
    rng = np.random.default_rng(0)
    for rows in (40, 200):
        accepted, rounds = 0, 1500
        for _ in range(rounds):
            chances = rng.beta(1, 1, rows)  # some rows are easy, some hard
            old, new = answers(rng, chances), answers(rng, chances)
            accepted += accepted_over(old, new)
        # The exact test is conservative; three standard errors above 5 % would still be luck.
        assert accepted / rounds <= ALPHA + 3 * (ALPHA * (1 - ALPHA) / rounds) ** 0.5
        assert accepted > 0, "a gate that accepts nothing shows nothing"


def test_the_test_score_of_the_chosen_round_is_unbiased_and_its_select_score_is_not() -> None:
    """Five rounds that differ by little: the last one accepted is tested on rows of its own."""
    rng = np.random.default_rng(1)
    rows, select_bias, test_bias = 100, [], []
    for _ in range(1500):
        skills = 0.5 + np.concatenate([[0.0], rng.normal(0.02, 0.05, 5).cumsum()])
        chosen, champion = 0, answers(rng, np.full(rows, skills[0]))
        for number, skill in enumerate(skills[1:], 1):
            new = answers(rng, np.full(rows, np.clip(skill, 0, 1)))
            if accepted_over(champion, new):
                chosen, champion = number, new
        truth = float(np.clip(skills[chosen], 0, 1))
        if chosen:
            select_bias.append(champion.mean() - truth)
            test_bias.append(answers(rng, np.full(rows, truth)).mean() - truth)
    error = np.std(test_bias) / len(test_bias) ** 0.5
    assert abs(np.mean(test_bias)) < 3 * error
    assert np.mean(select_bias) > 5 * error, "choosing on select inflates it: why test is apart"
