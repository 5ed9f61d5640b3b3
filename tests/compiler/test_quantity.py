"""Amounts with units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagent.compiler.quantity import COUNTS, SHOWN, Money, Problem, parse, shown


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("4k rows", "rows", 4000),
        ("1 row", "rows", 1),
        ("1.5k", "rows", 1500),
        ("1.001k rows", "rows", 1001),
        ("0.7%", "fraction", 0.007),
        ("0", "fraction", 0),
        (2000, "rows", 2000),
        ("4_000 rows", "rows", 4000),
        ("5M tokens", "tokens", 5_000_000),
        ("10k calls", "calls", 10_000),
        ("5 rounds", "rounds", 5),
        ("30s", "time", 30),
        ("90 min", "time", 5400),
        ("1.5h", "time", 5400),
        ("2 d", "time", 172_800),
        ("2%", "fraction", 0.02),
        ("0.3", "fraction", 0.3),
        (1, "fraction", 1),
        ("0.5pp", "points", 0.005),
        ("24GB", "memory", 24 * 10**9),
        ("24 GiB", "memory", 24 * 2**30),
        ("20 USD", "money", Money(20, "USD")),
    ],
)
def test_amounts(text: str, kind: str, value: object) -> None:
    assert parse(text, kind) == value


@pytest.mark.parametrize(
    ("text", "kind", "code", "part"),
    [
        ("soon", "time", "E201", "soon"),
        ("10 fortnights", "time", "E202", "fortnights"),
        ("20 USD", "time", "E203", "USD"),
        ("4k USD", "rows", "E203", "USD"),
        ("3 rows", "rounds", "E203", "rows"),
        ("-1", "rows", "E204", "-1"),
        ("1e999", "rows", "E204", "1e999"),
        ("2", "fraction", "E204", "2"),
        ("10", "time", "E205", "10"),
        ("0.5", "points", "E205", "0.5"),
        ("2.5", "rounds", "E206", "2.5"),
    ],
)
def test_what_is_wrong_and_where(text: str, kind: str, code: str, part: str) -> None:
    problem = parse(text, kind)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.part) == (code, part)
    assert problem.part in text


@given(st.text(max_size=12), st.sampled_from(sorted(SHOWN)))
def test_any_text_gives_an_amount_or_a_problem(text: str, kind: str) -> None:
    assert isinstance(parse(text, kind), int | float | Money | Problem)


@given(st.integers(0, 10**12), st.sampled_from(COUNTS))
def test_what_is_shown_reads_back(amount: int, kind: str) -> None:
    text = shown(amount, kind)
    if "e+" not in text and float(amount) == float(f"{amount:g}"):
        assert parse(text, kind) == amount
