"""Every kind of step has a runner that makes what the compiler promises."""

from __future__ import annotations

import ast
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagent.compiler.kinds import KINDS
from dagent.compiler.plan import Step
from dagent.runtime.policies import apportion, bounded, shrunk_errors
from dagent.runtime.roles import CellCount
from dagent.runtime.rows import cell, cell_name
from dagent.runtime.steps import runner
from dagent.runtime.steps.mix import choose
from dagent.runtime.steps.split import split

STEPS = Path(__file__).parents[2] / "runtime" / "steps"


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_the_compiler_is_a_kind_of_the_runtime(kind: str) -> None:
    found = runner(kind)
    assert (found.kind, found.version) == (kind, KINDS[kind].version)
    text = (STEPS / f"{kind}.py").read_text()
    named = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)}
    named |= {n.arg for n in ast.walk(ast.parse(text)) if isinstance(n, ast.keyword)}
    assert set(KINDS[kind].outputs) <= named


def test_every_runner_is_a_kind() -> None:
    assert {p.stem for p in STEPS.glob("*.py")} - {"__init__"} == set(KINDS)


def rows(n: int) -> list[dict[str, object]]:
    return [{"id": str(i), "skill": "abc"[i % 3], "difficulty": i % 2} for i in range(n)]


@given(st.integers(2, 120), st.sampled_from([0.2, 0.5, 0.75]), st.integers(0, 9))
def test_a_split_is_complete_disjoint_and_even_in_every_cell(
    n: int, share: float, seed: int
) -> None:
    diagnose, select = split(rows(n), share, seed)
    assert sorted(int(r["id"]) for r in diagnose + select) == list(range(n))
    assert abs(len(select) - n * share) <= 1
    total, part = Counter(map(cell, rows(n))), Counter(map(cell, select))
    assert all(abs(part[c] - total[c] * share) < 2 for c in total)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("123")),
        st.floats(0, 100),
        min_size=1,
    ),
    st.floats(0, 0.2),
    st.floats(0.05, 1),
    st.integers(0, 5000),
)
def test_shares_respect_floor_and_cap_and_counts_add_up(
    weights: dict[tuple[str, str], float], floor: float, cap: float, total: int
) -> None:
    shares = bounded(weights, floor, cap)
    equal = 1 / len(weights)
    assert sum(shares.values()) == pytest.approx(1)
    if floor <= cap:
        assert all(s >= min(floor, equal) - 1e-9 for s in shares.values())
        assert all(s <= max(cap, equal) + 1e-9 for s in shares.values())
    counts = apportion(shares, total)
    assert sum(counts.values()) == total
    assert all(abs(counts[c] - shares[c] * total) < 1 for c in counts)


def test_a_small_cell_leans_on_its_skill() -> None:
    cells = [("a", "1"), ("a", "2"), ("b", "1")]
    found = {
        ("a", "1"): CellCount(30, 30.0),
        ("a", "2"): CellCount(1, 0.0),
        ("b", "1"): CellCount(30, 0.0),
    }
    errors = shrunk_errors(cells, found)
    assert errors["a", "2"] > 0.6  # one right answer among thirty wrong ones of its skill
    assert errors["b", "1"] < 0.1


@pytest.mark.parametrize("seed", range(5))
def test_mix_gives_each_cell_its_plan_and_prefers_wrong_rows_within_it(seed: int) -> None:
    rng = random.Random(seed)
    candidates = [{"id": str(i), "skill": rng.choice("abcd"), "difficulty": 1} for i in range(400)]
    wrong = [row["skill"] == "a" or rng.random() < 0.6 for row in candidates]
    planned = {("a", "1"): 10, ("b", "1"): 30, ("c", "1"): 40, ("d", "1"): 20}
    chosen = choose(candidates, wrong, planned, prefer_wrong=0.7, cap=0.4, seed=seed)
    assert len(chosen) == len({r["id"] for r in chosen}) == 100
    assert Counter(map(cell, chosen)) == planned
    hard = Counter(cell(row) for row in chosen if wrong[int(row["id"])])
    # Of `a` there are only wrong ones: they do not take the place of other cells.
    assert hard == {("a", "1"): 10, ("b", "1"): 21, ("c", "1"): 28, ("d", "1"): 14}
    assert choose(candidates, wrong, planned, prefer_wrong=0.7, cap=0.4, seed=seed) == chosen


def test_what_a_cell_lacks_others_give_up_to_the_cap() -> None:
    candidates = [{"id": f"{s}{i}", "skill": s, "difficulty": 1} for s in "abc" for i in range(90)]
    candidates = [row for row in candidates if row["skill"] != "a" or row["id"] == "a7"]
    planned = {("a", "1"): 30, ("b", "1"): 40, ("c", "1"): 30}
    wrong = [row["skill"] == "b" for row in candidates]
    chosen = Counter(
        r["skill"] for r in choose(candidates, wrong, planned, prefer_wrong=1, cap=0.5, seed=0)
    )
    assert chosen == {"a": 1, "b": 50, "c": 49} or chosen == {"a": 1, "b": 49, "c": 50}


@pytest.mark.parametrize("seed", range(5))
def test_mix_gives_every_pattern_of_a_cell_its_part(seed: int) -> None:
    rng = random.Random(seed)
    kinds = ["often"] * 8 + ["seldom", "rare"]
    candidates = [
        {"id": str(i), "skill": rng.choice("ab"), "difficulty": 1, "pattern": rng.choice(kinds)}
        for i in range(400)
    ]
    wrong = [row["skill"] == "a" for row in candidates]
    planned = {("a", "1"): 30, ("b", "1"): 30}
    chosen = choose(candidates, wrong, planned, prefer_wrong=0.5, cap=0.5, seed=seed)
    found = Counter((row["skill"], row["pattern"]) for row in chosen)
    assert set(found.values()) == {10}


def test_mix_takes_what_there_is() -> None:
    candidates = [{"id": str(i), "skill": "a", "difficulty": 1} for i in range(5)]
    planned = {("a", "1"): 1, ("b", "1"): 9}
    chosen = choose(candidates, [True] * 5, planned, prefer_wrong=0.5, cap=0.1, seed=0)
    assert len(chosen) == 5


def test_qlora_is_refused_before_anything_runs_where_it_cannot_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dagent.runtime import gpu
    from dagent.runtime.steps import train

    def found(adapter: str) -> list[str]:
        step = Step("r1.train", "train", 1, {"adapter": adapter, "stages": []})
        return [f"{d.code} {d.message}" for d in train.check(step, tmp_path)]

    monkeypatch.setattr(gpu, "_has_gpu", lambda: False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert found("lora") == []
    (said,) = found("qlora")
    assert said.startswith("E872")
    assert "a CUDA GPU and the package `bitsandbytes`" in said
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(gpu, "_has_gpu", lambda: True)
    assert found("qlora") == []


def test_a_cell_is_named_by_what_its_rows_say() -> None:
    assert cell_name({"skill": "step", "difficulty": 3}) == "step/3"
    assert cell_name({"skill": "step", "difficulty": ""}) == "step"
    assert cell_name({"difficulty": 3}) == "3"
    assert cell_name({}) == "all rows"
