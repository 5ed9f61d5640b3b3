"""What the gate's decision is worth, by simulation on answers drawn by chance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm

from dagent.compiler.detectable import detectable_gain, effective_rows, missed
from dagent.runtime.graders import weights
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


@pytest.mark.parametrize(("rounds", "least", "most"), [(5, 0.07, 0.18), (20, 0.18, 0.38)])
def test_of_several_rounds_of_noise_one_is_accepted_as_often_as_the_page_says(
    rounds: int, least: float, most: float
) -> None:
    """`docs/language.md`: one run in eight of five rounds, one in four of twenty. Less than so many
    tests at 5 % would give, since each must beat the luck of all that were accepted."""
    rng = np.random.default_rng(3)
    times = 600 if rounds == 5 else 200
    accepted = 0
    for _ in range(times):
        chances = rng.beta(1, 1, 100)
        champion, some = answers(rng, chances), False
        for _ in range(rounds):
            new = answers(rng, chances)
            if accepted_over(champion, new):
                champion, some = new, True
        accepted += some
    assert least < accepted / times < most < 1 - (1 - ALPHA) ** rounds + 0.02


def test_the_test_score_of_the_chosen_round_is_unbiased_and_its_select_score_is_not(
    load: Any, tmp_path: Path
) -> None:
    """Five rounds that differ by little go through the gate itself, and whom it calls champion is
    tested on rows of its own. The score of a student chosen by test would be inflated as well."""
    rng = np.random.default_rng(1)
    rows, bias = 100, {"select": [], "test": [], "best of test": []}
    for run in range(120):
        skills = np.clip(0.5 + np.concatenate([[0.0], rng.normal(0.02, 0.05, 5).cumsum()]), 0, 1)
        on_select, on_test = (
            [answers(rng, np.full(n, skill)) for skill in skills] for n in (rows, rows)
        )
        (folder := tmp_path / str(run)).mkdir()
        gate = load("test_gate.py").Rounds(folder, on_select[0], floors=False)
        for scores in on_select[1:]:
            gate.next(scores)
        chosen = int(gate.state["champion"].digest.removeprefix("model").replace("base", "0"))
        assert list(gate.champion_scores()) == list(on_select[chosen])
        bias["test"].append(on_test[chosen].mean() - skills[chosen])
        best = max(range(6), key=lambda i: on_test[i].mean())
        bias["best of test"].append(on_test[best].mean() - skills[best])
        if chosen:
            bias["select"].append(on_select[chosen].mean() - skills[chosen])
    mean = {name: np.mean(found) for name, found in bias.items()}
    error = np.std(bias["test"]) / len(bias["test"]) ** 0.5
    assert abs(mean["test"]) < 3 * error
    assert mean["select"] > 5 * error, "choosing on select inflates it: why test is apart"
    assert mean["best of test"] > 3 * error, "the simulation would see a choice by test"


def exact_power(rows: int, gain: float, changed: float) -> float:
    """How often the gate's test finds a gain, summed over all that can happen."""
    found = 0.0
    for moved in range(rows + 1):
        fixed = np.arange(moved + 1)
        taken = binom.sf(fixed - 1, moved, 0.5) <= ALPHA
        chances = binom.pmf(fixed, moved, (changed + gain) / (2 * changed))
        found += binom.pmf(moved, rows, changed) * chances[taken].sum()
    return found


@pytest.mark.parametrize("rows", [10, 20, 40, 100, 200, 600])
def test_what_compile_says_of_the_gains_that_are_missed_is_true(rows: int) -> None:
    gain, changed = detectable_gain(rows, ALPHA)
    assert 0.78 < exact_power(rows, gain, changed) < 0.825
    assert exact_power(rows, 0.8 * gain, changed) < 0.72
    words = missed(rows, rows, ALPHA)
    assert f"with {rows} select rows a gain under {100 * gain:.2g} points is missed" in words
    assert f"(if {100 * changed:.0f} % of the answers turn right or wrong)" in words
    if changed == 0.3:  # where fewer change, smaller gains are seen, which the words leave open
        assert exact_power(rows, 0.8 * gain, 0.8 * gain) > 0.8


@pytest.mark.parametrize("sizes", [(150, 40, 10), (70, 70, 60), (400, 20, 20, 20)])
def test_the_gain_that_compile_names_is_shown_four_times_in_five(sizes: tuple[int, ...]) -> None:
    """Skills count the same and have unequal numbers of rows; three answers in ten change."""
    rng = np.random.default_rng(2)
    rows = [{"skill": str(skill)} for skill, size in enumerate(sizes) for _ in range(size)]
    weight = weights(rows, {"average": "macro"})
    assert weight is not None

    def changes(gain: float, times: int) -> np.ndarray:
        chances = [(0.3 - gain) / 2, 0.7, (0.3 + gain) / 2]
        return rng.choice([-1, 0, 1], size=(times, len(rows)), p=chances)

    def p_values(changed: np.ndarray) -> np.ndarray:
        """The limit, for many rows, of the permutation test that the gate makes."""
        counted = changed * weight
        return norm.sf(counted.sum(1) / np.sqrt((counted**2).sum(1)))

    def power(gain: float) -> float:
        return float((p_values(changes(gain, 4000)) <= ALPHA).mean())

    gain, _ = detectable_gain(effective_rows(sizes), ALPHA)
    assert 0.77 < power(gain) < 0.87
    if effective_rows(sizes) < 0.9 * len(rows):
        assert power(detectable_gain(len(rows), ALPHA)[0]) < 0.7, "the rows counted one by one"

    few = changes(gain, 5)
    for changed, expected in zip(few, p_values(few), strict=True):
        scores = [(changed == side).astype(float).tolist() for side in (-1, 1)]
        assert paired_test(*scores, weight).better == pytest.approx(expected, abs=0.03)
