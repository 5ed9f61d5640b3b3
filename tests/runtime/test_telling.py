"""What a model brings to judge answers by: it must tell right answers from wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dagent.runtime.mutants import MOST, of_code, of_query
from dagent.runtime.telling import telling

SCALE = "def f(x):\n    return x * 7"
TOTAL = "def f(n):\n    t = 0\n    while n > 0:\n        t, n = t + n, n - 1\n    return t"
TABLE = "create table t(a text, b integer); insert into t values ('x', 1), ('y', 2), ('z', 3);"


def said(grader: str, answer: str, brought: Any) -> str | None:
    column = {"code": "tests", "sql": "schema_sql"}[grader]
    (found,) = telling(grader, {"timeout": 5.0}, Path())([{"answer": answer, column: brought}])
    return found


@pytest.mark.parametrize(
    ("answer", "tests", "reason"),
    [
        (SCALE, ["assert f(2) == 14", "assert f(-1) == -7"], None),
        (f"```python\n{SCALE}\n```", "assert f(2) == 14\nassert f(3) == 21", None),
        (SCALE, ["assert callable(f)"], "pass an answer that does nothing"),
        (SCALE, ["assert f(2) == 14 or True"], "pass an answer that does nothing"),
        (SCALE, ["assert f(2) is not None"], "pass 2 of 2 answers that were changed"),
        (SCALE, ["assert f(0) == 0"], "pass 1 of 2 answers that were changed"),
        (TOTAL, ["assert f(3) == 6", "assert f(1) == 1", "assert f(0) == 0"], None),  # some hang
    ],
)
def test_tests_that_pass_wrong_answers_are_told(
    answer: str, tests: Any, reason: str | None
) -> None:
    found = said("code", answer, tests)
    assert (found is None) if reason is None else (reason in (found or "")), found


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select a from t where b > 2", None),
        ("select max(b) from t", None),
        ("select a from t", None),  # nothing in it can be changed
        ("select a from t where b > 5", "finds nothing"),
        ("select distinct a from t where b < 9 or b < 8", "give the same result to 6 of 6"),
    ],
)
def test_tables_on_which_wrong_queries_look_right_are_told(query: str, reason: str | None) -> None:
    found = said("sql", query, TABLE)
    assert (found is None) if reason is None else (reason in (found or "")), found


def test_changes_are_bounded_and_each_is_another_program() -> None:
    source = "def f(x):\n    '''Adds.'''\n    return " + " + ".join(f"x * {n}" for n in range(40))
    found = of_code(source)
    assert len(found) == MOST == len({source, *found}) - 1
    assert all("Adds." in program for program in found), "words change nothing"
    assert of_query("select \"and\" from [or] -- 1 < 2\nwhere a = 'it''s'") == [
        "select \"and\" from [or] -- 1 < 2\nwhere a <> 'it''s'",
        "select \"and\" from [or] -- 1 < 2\nwhere a = 'it''s~'",
    ]
