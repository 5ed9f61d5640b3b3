"""Store, journal, meter, graders and statistics, each by what it promises."""

from __future__ import annotations

import random
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from dagent.compiler.digests import content_digest
from dagent.runtime.comparing import change
from dagent.runtime.graders import average, grader, weights
from dagent.runtime.journal import Journal, read_events
from dagent.runtime.meter import Meter, OutOfBudget
from dagent.runtime.statistics import (
    difference_interval,
    difference_over_seeds,
    mean_interval,
    paired_test,
)
from dagent.runtime.store import Action, Store


def test_equal_content_is_one_object_and_is_found_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = []
    for name in ("a", "b"):
        folder = store.scratch() / name
        folder.mkdir()
        (folder / "x").write_text("same")
        made.append(store.put(folder))
    assert made[0] == made[1]
    assert content_digest(made[0].path) == made[0].digest
    assert store.get(made[0].digest) == made[0]
    assert store.get("0" * 64) is None


def test_an_action_whose_object_is_gone_is_not_done(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    file = store.scratch() / "x"
    file.write_text("x")
    artifact = store.put(file)
    action = Action({"rows": artifact.digest}, {"rows": 1}, "one row", {"rows": 1})
    store.record("k" * 64, action)
    assert store.lookup("k" * 64) == action
    artifact.path.unlink()
    assert store.lookup("k" * 64) is None


def test_a_torn_last_line_is_no_event_and_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append("execution_started")
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"event": "step_fin')
    again = Journal(path)
    assert [e["event"] for e in again.events] == ["execution_started"]
    again.append("step_finished", step="x")
    again.close()
    assert [(e["seq"], e["event"]) for e in read_events(path)] == [
        (1, "execution_started"),
        (2, "step_finished"),
    ]


def test_an_event_without_room_leaves_no_half_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append("execution_started")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append("step_finished")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    journal.append("execution_stopped")
    journal.close()
    assert [(e["seq"], e["event"]) for e in read_events(path)] == [
        (1, "execution_started"),
        (2, "execution_stopped"),
    ]


def meter(path: Path, **caps: dict[str, float]) -> Meter:
    return Meter(caps, Journal(path / "journal.jsonl"))


def test_a_cap_holds_through_any_order_of_reserving_and_settling_and_through_a_restart(
    tmp_path: Path,
) -> None:
    rng = random.Random(0)
    for case in range(30):
        folder = tmp_path / str(case)
        one = meter(folder, run={"calls": 100}, round={"calls": 40})
        used: dict[str, float] = {}
        for number in range(40):
            if rng.random() < 0.1:
                one = meter(folder, run={"calls": 100}, round={"calls": 40})
            key, scope = f"k{rng.randrange(12)}", f"round:{rng.randrange(4)}"
            try:
                one.reserve(key, (scope,), calls=rng.randrange(30))
            except OutOfBudget:
                continue
            if rng.random() < 0.7:
                used[key] = rng.randint(0, int(one.charged(key)["calls"]))
                one.settle(key, calls=used[key])
            assert one.spent("calls") <= 100, number
            assert all(one.spent("calls", f"round:{r}") <= 40 for r in range(4))


def test_reserving_again_replaces_what_a_killed_run_held(tmp_path: Path) -> None:
    meter(tmp_path, run={"calls": 10}).reserve("r1.generate", calls=8)
    again = meter(tmp_path, run={"calls": 10})
    again.reserve("r1.generate", calls=8)
    again.settle("r1.generate", calls=5)
    assert again.spent("calls") == 5
    with pytest.raises(ValueError, match="reserved"):
        again.settle("r1.generate", calls=11)


@pytest.mark.parametrize(
    ("metric", "answer", "truth", "score"),
    [
        ({"grader": "exact"}, " 42 ", "42", 1),
        ({"grader": "exact"}, "Ab", "ab", 0),
        ({"grader": "normalised"}, "A  B", "a b", 1),
        ({"grader": "numeric"}, "so it is 1,234.50", "1234.5", 1),
        ({"grader": "numeric", "tolerance": 0.1}, "3.2", "3.14", 1),
        ({"grader": "numeric", "tolerance": 0.01}, "3.2", "3.14", 0),
        ({"grader": "numeric"}, "none", "3", 0),
        ({"grader": "choice", "choices": ["yes", "no"]}, "No, since", "no", 1),
        ({"grader": "choice", "choices": ["yes", "no"]}, "nothing", "no", 0),
        ({"grader": "regex", "pattern": r"answer: (\w+)"}, "the answer: B", "B", 1),
        ({"grader": "regex", "pattern": r"answer: (\w+)"}, "B", "B", 0),
    ],
)
def test_graders(metric: dict[str, Any], answer: str, truth: str, score: float) -> None:
    grade = grader({"name": "m", **metric}, Path())(answer, {"answer": truth})
    assert grade.score == score
    assert bool(grade.reason) == (score < 1)


def test_the_paired_test_is_mcnemars() -> None:
    old = [0.0] * 12 + [1.0] * 2 + [1.0] * 50
    new = [1.0] * 12 + [0.0] * 2 + [1.0] * 50
    test = paired_test(old, new)
    assert (test.fixed, test.broken) == (12, 2)
    # P(X >= 12), X ~ B(14, 1/2)
    assert test.better == pytest.approx((91 + 14 + 1) / 2**14)
    assert test.two_sided == pytest.approx(binomtest(12, 14).pvalue)
    assert paired_test(old, old).better == 1.0
    assert test.by == "exact McNemar test"
    one = paired_test([0.5, 0.5], [1.0, 0.5])
    assert (one.by, one.better, one.worse) == ("paired permutation test", 0.5, 1.0)


def test_a_round_of_pure_noise_is_accepted_at_most_as_often_as_alpha() -> None:
    rng = random.Random(1)
    accepted = 0
    for _ in range(600):
        chance = [rng.random() for _ in range(120)]
        old = [float(rng.random() < c) for c in chance]
        new = [float(rng.random() < c) for c in chance]
        accepted += paired_test(old, new).better <= 0.05
    assert accepted / 600 <= 0.05


def test_intervals_cover_what_they_should() -> None:
    low, high = difference_interval([0.0] * 60 + [1.0] * 40, [1.0] * 30 + [0.0] * 30 + [1.0] * 40)
    assert low < 0.3 < high
    assert low > 0.2
    low, high = mean_interval([1.0] * 8 + [0.0] * 2)
    assert low < 0.8 < high


def test_rows_that_did_not_change_do_not_show_that_none_would() -> None:
    """None of 100 says with 95 % that at most 3.6 % of all do (Clopper-Pearson), either way."""
    most = binomtest(0, 100).proportion_ci(0.95).high
    assert difference_interval([1.0] * 100, [1.0] * 100) == pytest.approx((-most, most))
    assert difference_interval([0.0] * 100, [1.0] * 100) == pytest.approx((1 - 2 * most, 1.0))
    skills = [5.0] * 10 + [0.5] * 100  # which count as so few rows as their weights say
    low, high = difference_interval([1.0] * 110, [1.0] * 110, skills)
    assert -low == high == pytest.approx(1 - 0.025 ** ((10 * 25 + 100 * 0.25) / 110**2))


def test_few_rows_that_changed_do_not_show_that_no_others_would() -> None:
    """One of 100 went up: that none would go down is not seen."""
    low, high = difference_interval([0.0] * 100, [1.0] + [0.0] * 99)
    assert -0.04 < low < -0.01
    assert 0.03 < high < 0.07
    low, high = difference_interval([0.5] * 100, [0.6] + [0.5] * 99)
    assert -0.004 < low < 0 < high < 0.007, "by no more than those that did"
    low, high = difference_interval([0.0] * 100, [0.0] * 99 + [1.0], [50 / 99] * 99 + [50.0])
    assert -1 <= low < 0.5 < high == 1.0, "no gain is above 100 points"


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "up", "down"), [(40, 0.05, 0.05), (100, 0.02, 0.01)])
def test_the_interval_holds_the_truth_where_few_rows_change(
    rows: int, up: float, down: float
) -> None:
    """A plain bootstrap does 88 and 89 times in a hundred."""
    drawn, held = np.random.default_rng(2), 0
    for _ in range(200):
        moves = drawn.choice([1.0, -1.0, 0.0], p=[up, down, 1 - up - down], size=rows)
        low, high = difference_interval(list(moves == -1.0), list(moves == 1.0))
        held += low <= up - down <= high
    assert held >= 0.92 * 200


def test_a_rounding_error_is_no_difference() -> None:
    sums, same = [0.1 + 0.2] * 10, [0.3] * 10
    test = paired_test(sums, same)
    assert (test.better, test.worse, test.fixed, test.broken) == (1.0, 1.0, 0, 0)


MACRO = {"name": "m", "average": "macro"}


def test_where_skills_count_the_same_so_they_do_in_the_test_and_the_interval() -> None:
    """80 rows of one skill get better and 8 of another get worse: row by row that is a clear gain,
    skill by skill none."""
    rows = [{"skill": "common"}] * 80 + [{"skill": "rare"}] * 8
    old = [0.0] * 20 + [1.0] * 60 + [1.0] * 8
    new = [1.0] * 80 + [0.0] * 3 + [1.0] * 5
    counts = weights(rows, MACRO)
    assert counts
    by_row, by_skill = paired_test(old, new), paired_test(old, new, counts)
    assert by_row.better < 0.001
    assert by_skill.better > 0.3
    gain = average(new, rows, MACRO) - average(old, rows, MACRO)
    assert by_skill.difference == pytest.approx(gain)
    low, high = difference_interval(old, new, counts)
    assert low < gain < 0 < high
    low, high = mean_interval(old, counts)
    assert low < average(old, rows, MACRO) < high
    assert high - low > 1.3 * np.ptp(mean_interval(old)), "eight rows decide half of it"


def test_skills_of_one_size_need_no_weights() -> None:
    assert weights([{"skill": "a"}, {"skill": "b"}], MACRO) is None
    assert weights([{"skill": "a"}] * 3 + [{"skill": "b"}], {"name": "m"}) is None
    assert weights([{"skill": "a"}] * 3 + [{"skill": "b"}], MACRO) == pytest.approx(
        [2 / 3, 2 / 3, 2 / 3, 2]
    )


def test_scores_between_are_compared_by_how_much_they_differ() -> None:
    """Six small losses, fourteen large gains: beyond noise, which counting signs cannot see."""
    old = [0.5] * 40
    new = [0.48] * 6 + [1.0] * 14 + [0.5] * 20
    test = paired_test(old, new)
    assert (test.fixed, test.broken) == (14, 6)
    assert test.better < 0.001
    assert binomtest(14, 20, alternative="greater").pvalue > 0.05
    assert test.worse > 0.99
    assert paired_test(old, new) == test
    assert paired_test(new, old).worse == pytest.approx(test.better, abs=1e-3)


@pytest.mark.slow
def test_noise_in_scores_between_is_seldom_taken_for_a_gain() -> None:
    drawn = np.random.default_rng(3)
    accepted = 0
    for _ in range(100):
        old, new = np.round(drawn.beta(2, 2, size=(2, 30)), 2)
        accepted += paired_test(list(old), list(new)).better <= 0.05
    # 5 are to be expected; more than 12 would come about once in a thousand such tests.
    assert accepted <= 12


def test_the_interval_of_a_change_is_that_of_its_average() -> None:
    def answered(scores: list[float]) -> list[dict[str, Any]]:
        skills = ["common"] * 80 + ["rare"] * 8
        return [{"skill": k, "scores": {"m": s}} for k, s in zip(skills, scores, strict=True)]

    old, new = [0.0] * 40 + [1.0] * 48, [1.0] * 80 + [0.0] * 3 + [1.0] * 5
    for metric in ({"name": "m", "average": "micro"}, MACRO):
        told = change(answered(old), answered(new), metric)
        assert told.low < told.after - told.before < told.high
    assert told.after - told.before == pytest.approx((0.5 - 3 / 8) / 2)
    assert told.p > 0.3


@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_over_seeds_the_estimate_is_that_of_a_mixed_model() -> None:
    """Seeds as a random effect: statsmodels' mixed model, an intercept for each seed, gives the
    same difference and the same standard error; the t test makes more of how few the seeds are."""
    from scipy.stats import norm, t
    from statsmodels.regression.mixed_linear_model import MixedLM

    drawn, seeds = np.random.default_rng(0), 8
    own = drawn.normal(0, 0.03, seeds)
    old = 0.5 + own + drawn.normal(0, 0.02, seeds)
    new = 0.52 + own + drawn.normal(0, 0.02, seeds)
    arm = np.column_stack([np.ones(2 * seeds), np.repeat([0.0, 1.0], seeds)])
    fit = MixedLM(np.concatenate([old, new]), arm, groups=np.tile(np.arange(seeds), 2)).fit()
    found = difference_over_seeds(list(old), list(new))
    assert found.low is not None
    assert found.high is not None
    assert found.mean == pytest.approx(fit.params[1], abs=1e-6)
    half = t.ppf(0.975, seeds - 1) * fit.bse[1]
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=1e-3)
    assert half > norm.ppf(0.975) * fit.bse[1], "the mixed model's own interval is too narrow"
    unpaired = float(np.sqrt(old.var(ddof=1) / seeds + new.var(ddof=1) / seeds))
    assert fit.bse[1] < 0.8 * unpaired, "seeds differ by more than what is measured"
