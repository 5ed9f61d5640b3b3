"""Checks of generated rows: several, each with its own cause."""

from __future__ import annotations

from pathlib import Path

from dagent.runtime.steps.verify import screen


def test_a_row_passes_only_if_every_check_does_and_the_first_that_fails_is_the_cause() -> None:
    params = {
        "verifier": None,
        "metric": {"name": "m", "grader": "normalised"},
        "checks": [
            {"name": "shape", "grader": "regex", "pattern": r"def (\w+)"},
            {"name": "tested", "grader": "code", "timeout": 5.0},
        ],
    }
    screened = screen(params, Path())
    row = {"prompt": "Double a number.", "tests": "assert double(2) == 4"}
    for answer, reason in (
        ("def double(n):\n    return 2 * n", None),
        ("double = lambda n: 2 * n", "shape: the pattern is not in it"),
        (
            "def double(n):\n    return n",
            "tested: tests, line 1: AssertionError at `assert double(2) == 4`",
        ),
    ):
        assert screened({**row, "answer": answer}) == reason
    untested = {"prompt": "Double a number.", "answer": "def double(n):\n    return 2 * n"}
    assert screened(untested) == "tested: the row has no `tests`"


def test_queries_of_generated_rows_must_run(tmp_path: Path) -> None:
    params = {
        "verifier": None,
        "metric": {"name": "m", "grader": "normalised"},
        "checks": [{"name": "runs", "grader": "sql", "databases": {}}],
    }
    screened = screen(params, tmp_path)
    row = {"prompt": "How many?", "schema_sql": "create table t (a int)"}
    assert screened({**row, "answer": "select count(*) from t"}) is None
    found = screened({**row, "answer": "select count(*) from u"})
    assert found == "runs: the right query fails: no such table: u"
