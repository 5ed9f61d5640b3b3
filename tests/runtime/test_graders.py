"""Graders on real things: the sandbox, SQLite, jsonschema."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagent.compiler.digests import content_digest
from dagent.compiler.reading import unfenced
from dagent.dsl.diagnostics import Refused
from dagent.runtime.altered import altered
from dagent.runtime.grade import graded
from dagent.runtime.graders import TRUSTING, grader, ready
from dagent.runtime.sandbox import Sandbox

TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"


def test_code_is_graded_by_unit_tests_in_the_sandbox() -> None:
    grade = grader({"grader": "code", "timeout": 2.0}, Path())

    def said(answer: str, tests: Any = TESTS) -> tuple[float, str]:
        return grade(answer, {"tests": tests})

    assert said("def add(a, b):\n    return a + b").score == 1
    fenced = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\nIt adds."
    assert said(fenced, TESTS.splitlines()).score == 1
    for answer, reason in (
        ("def add(a, b):\n    return a - b", "tests, line 1: AssertionError at `assert add(1, 2)"),
        ("def add(a, b):\n    return a + c", "tests, line 1: NameError: name 'c' is not defined"),
        ("def add(a, b:", "answer, line 1: SyntaxError"),
        ("while True: pass", "still running after 2 seconds"),
        ("x = bytearray(10**12)", "MemoryError"),
        (f"open({str(Path(__file__))!r})", "FileNotFoundError"),
        # Ends before the tests could fail, and says what a passing run might say.
        ("import os\nprint('passed')\nos._exit(0)", "it ended before its tests did"),
        ("import sys\nsys.exit(0)", "SystemExit"),
        ("passed('0123456789abcdef0123456789abcdef')", "NameError"),
        ("import __main__, os\n__main__.passed('right')\nos._exit(0)", "it ended before"),
    ):
        score, why = said(answer)
        assert (score, reason in why) == (0, True), (answer, why)
    assert said("pass", None) == (0, "the row has no `tests`")


def test_a_dataclass_in_an_answer_finds_its_module() -> None:
    """Its annotations are texts, which it looks up there."""
    grade = grader({"grader": "code"}, Path())
    lines = (
        "from __future__ import annotations",
        "from dataclasses import dataclass",
        "@dataclass",
    )
    answer = "\n".join((*lines, "class Sum:", "    a: int", "def add(a, b): return Sum(a + b).a"))
    assert grade(answer, {"tests": TESTS}) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize("trusting", [False, True], ids=["apart", "together"])
def test_many_answers_are_graded_as_each_alone(trusting: bool) -> None:
    """Also those beside one that breaks the process in which they are graded together."""
    grade = grader({"grader": "code", "timeout": 3.0, TRUSTING: trusting}, Path())
    right, row = "def add(a, b):\n    return a + b", {"tests": TESTS}
    pairs = [
        (right, row),
        ("def add(a, b):\n    return a - b", row),
        (right, {"tests": TESTS.splitlines()}),
        (right, {"tests": None}),
        ("import os\nos._exit(0)", row),
        (right, row),
        ("while True: pass", row),
        ("print('x' * 2**21)", row),
        (f"```python\n{right}\n```", row),
    ]
    found = graded(grade, pairs)
    assert found == [grade(*pair) for pair in pairs]
    assert [score for score, _ in found] == [1, 0, 1, 0, 0, 1, 0, 0, 1]
    assert graded(grade, []) == []


def test_answers_that_are_trusted_share_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    run = Sandbox.run
    monkeypatch.setattr(Sandbox, "run", lambda *args, **more: runs.append(1) or run(*args, **more))
    pairs = [("def add(a, b):\n    return a + b", {"tests": TESTS})] * 60
    for trusting, most in ((True, 1), (False, 120)):
        runs.clear()
        grade = grader({"grader": "code", TRUSTING: trusting}, Path())
        assert graded(grade, pairs) == [(1, "")] * 60
        assert len(runs) == most


FORGED = {
    "takes the token": """
import __main__, os, sys
__main__.passed(sys.stdin.readline().strip())
os._exit(0)
""",
    "hears no failure": """
import __main__, atexit, os, sys
token = sys.stdin.readline().strip()
__main__.failed = lambda reason: None
def end():
    __main__.passed(token)
    os._exit(0)
atexit.register(end)
""",
    "equals everything": """
class Any:
    def __eq__(self, other):
        return True
def add(a, b):
    return Any()
""",
}


@pytest.mark.parametrize("answer", FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize(
    "tests",
    [TESTS, "def check(f):\n    assert f(1, 2) == 3\ncheck(globals().get('add'))\n"],
    ids=["statements", "function"],
)
def test_code_that_forges_a_pass_is_wrong(answer: str, tests: str) -> None:
    grade = grader({"grader": "code", "timeout": 2.0}, Path())
    assert grade("def add(a, b):\n    return a + b", {"tests": tests}).score == 1
    score, why = grade(answer, {"tests": tests})
    assert (score, why) == (0, "it passes tests that no right answer passes")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner)
            | st.tuples(inner)
            | st.dictionaries(st.text(), inner)
            | st.frozensets(st.integers()).map(set)
        ),
        max_leaves=8,
    )
)
def test_an_altered_literal_is_another_one(value: Any) -> None:
    tests = f"x = '€'; assert given == {value!r}  # note\n"
    changed = altered(tests, random.Random(0))
    if changed is None:  # no literal, as NaN, inf and an empty set are none
        assert any(word in repr(value) for word in ("nan", "inf", "set()"))
        return
    assert changed.startswith("x = '€'; assert given == ")
    exec(tests, {"given": value})
    with pytest.raises(AssertionError):
        exec(changed, {"given": value})


@pytest.mark.parametrize(
    "tests",
    [
        "def never(f):\n    assert f(1) == 2\n",
        "if False:\n    assert 1 == 2\n",
        "assert abs(f(1) - 2) < 1e-6\n",
        "assert f(1)\n",
        "assert (\n",
    ],
)
def test_tests_that_may_not_be_reached_are_left(tests: str) -> None:
    assert altered(tests, random.Random(0)) is None


def test_one_sandbox_grades_all_answers_and_nothing_of_one_reaches_the_next() -> None:
    grade = grader({"grader": "code"}, Path())
    writes = "open('note', 'w').write('x')\nimport builtins\nbuiltins.add = max"
    assert grade(writes, {"tests": "assert add(1, 2) == 2"}).score == 1
    reads = "import os\nassert not os.path.exists('note')"
    found = grade(reads, {"tests": "add"})
    assert "NameError" in found.reason


@pytest.mark.parametrize(
    ("answer", "right", "score"),
    [
        ("1,234", "1234", 1),
        ("1,234.50", "1234.5", 1),
        ("12 %", "12", 1),
        ("12 %", "0.12", 0),
        ("1e3", "1000", 1),
        ("-1.5E-3", "-0.0015", 1),
        ("-0.0", "0", 1),
        ("nan", "nan", 0),
        ("no", "0", 0),
        ("", "0", 0),
        ("$5.00.", "5", 1),
        ("3 kg", "3", 1),
        ("٤٢", "42", 1),
        ("```\n7\n```", "7", 1),
        ("first 3, then 4", "4", 1),
        (".5", "0.5", 1),
        ("1e999", "1", 0),
        ("\u22125", "-5", 1),
        ("3-5", "5", 1),
        ("(-5)", "-5", 1),
        ("x = -5", "-5", 1),
        ("5 m/s^2", "5", 1),
        ("5 m/s2", "5", 1),
        ("18 H2O", "18", 1),
        ("10^3", "1000", 1),
        ("1.5×10^3", "1500", 1),
        ("2 * 10^-2", "0.02", 1),
        ("1/2", "0.5", 1),
        ("-3 / 4", "-0.75", 1),
        ("1/0", "0", 0),
        ("10^999", "1", 0),
        ("1\u00a0234", "1234", 1),
        ("12\u202f345,6", "6", 1),
        ("1,2,3", "3", 1),
        ("-$5", "-5", 1),
        ("$5", "-$5", 0),
        ("\u20135", "-5", 1),
        ("3\u20135", "5", 1),
        ("1_000", "1000", 1),
        ("1'234", "1234", 1),
        ("½", "0.5", 1),
        ("1½", "1.5", 1),
        ("1 1/2", "1.5", 1),
        ("10³", "1000", 1),
        ("2.5×10⁻³", "0.0025", 1),
        (r"\(1.5 \times 10^{3}\)", "1500", 1),
        (r"\boxed{-\frac{3}{4}}", "-0.75", 1),
        ("1{,}234", "1234", 1),
        ("1.5 x 10^3", "1500", 1),
        ("2*10**3", "2000", 1),
        ("5 m s^-1", "5", 1),
        ("5 m s-1", "5", 1),
        ("5 kg·m²·s⁻²", "5", 1),
        ("12345678901234567890", "12345678901234567891", 0),
        ("1e999999999", "1", 0),
        ("9" * 5000, "9", 0),
    ],
)
def test_numeric(answer: str, right: str, score: float) -> None:
    assert grader({"grader": "numeric"}, Path())(answer, {"answer": right}).score == score


@pytest.mark.parametrize(
    ("options", "answer", "score"),
    [
        ({"tolerance": 0.01}, "1.01", 1),  # as floats they are further apart
        ({"tolerance": 0.01}, "1.0101", 0),
        ({"relative_tolerance": 0.1}, "1.1", 1),
        ({"relative_tolerance": 0.1}, "1.11", 0),  # 0.11 of the right number, 0.099 of itself
        ({"tolerance": 0.01, "relative_tolerance": 0.1}, "0.9", 1),
    ],
)
def test_tolerances_are_of_the_right_number(
    options: dict[str, float], answer: str, score: float
) -> None:
    grade = grader({"grader": "numeric", **options}, Path())
    assert grade(answer, {"answer": "1.00"}).score == score


@pytest.mark.parametrize(
    ("answer", "right", "score"),
    [
        ("Café", "Cafe\u0301", 1),
        ("ＡＢＣ", "abc", 1),
        ("a\u00a0\n b", "A b", 1),
        ("Straße", "STRASSE", 1),
        ("ab", "a b", 0),
    ],
)
def test_normalised(answer: str, right: str, score: float) -> None:
    assert grader({"grader": "normalised"}, Path())(answer, {"answer": right}).score == score


@pytest.mark.parametrize(
    ("answer", "right", "score"),
    [
        ("B.", "B", 1),
        ("(b)", "B", 1),
        ("The answer is B, not A", "B", 1),
        ("not sure", "not", 0),
        ("Bad", "B", 0),
        ("", "B", 0),
        ("I think it is a B", "B", 1),
        ("__B__", "B", 1),
        ("Ｂ", "B", 1),
        ("Not\n sure", "not sure", 1),
    ],
)
def test_choice(answer: str, right: str, score: float) -> None:
    grade = grader({"grader": "choice", "choices": ["A", "B", "not", "not sure"]}, Path())
    assert grade(answer, {"answer": right}).score == score


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "items": {"type": "array"}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("options", "answer", "score", "reason"),
    [
        ({"schema": SCHEMA}, '{"name": "x"}', 1, ""),
        ({"schema": SCHEMA}, '```json\n{"name": "x"}\n```', 1, ""),
        ({"schema": SCHEMA}, '{"name": 1}', 0, "$.name: 1 is not of type 'string'"),
        ({"schema": SCHEMA}, "{}", 0, "$: 'name' is a required property"),
        ({"schema": SCHEMA}, '{"name": "x"', 0, "not JSON"),
        ({"schema": SCHEMA}, "[" * 100_000, 0, "it is nested too deeply"),
        # 3 right leaves: name, and two items; order and kind of number do not count.
        ({"fields": ["*"]}, '{"name": "Ann", "items": [2, 1.0]}', 1, ""),
        ({"fields": ["*"]}, '{"name": "Ann", "items": [2, 1], "more": {}}', 6 / 7, "`more` is {}"),
        ({"fields": ["*"]}, '{"name": "Ann"}', 2 * 1 / (1 + 3), "`items` is missing, not [1, 2]"),
        ({"fields": ["*"]}, '{"name": "Bob", "items": [1, 2]}', 2 * 2 / (3 + 3), "`name` is"),
        ({"fields": ["*"]}, '{"name": "Ann", "items": [1, 2, 2]}', 2 * 3 / (4 + 3), "`items`"),
        ({"fields": ["name"]}, '{"name": "Ann", "items": "wrong"}', 1, ""),
        ({"fields": ["name"], "schema": SCHEMA}, '{"name": "Ann", "items": 1}', 0, "$.items"),
        ({"fields": ["*"]}, '["Ann"]', 0, ""),
    ],
)
def test_json(options: dict[str, Any], answer: str, score: float, reason: str) -> None:
    right = json.dumps({"name": "Ann", "items": [1, 2]})
    found = grader({"grader": "json", **options}, Path())(answer, {"answer": right})
    assert found.score == pytest.approx(score)
    assert reason in found.reason
    assert bool(found.reason) == (score < 1)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ('{"a.b": 1}', '{"a": {"b": 1}}'),
        ('{"a": [1]}', '{"a": 1}'),
        ('{"a": []}', '{"a": [[]]}'),
        ("{}", '{"a": []}'),
        ("[]", "{}"),
        ('{"a": 2, "a": 1}', '{"a": 1}'),
        ('{"a": NaN}', '{"a": NaN}'),
        ("[" * 700 + "]" * 700, "[]"),
    ],
)
def test_json_of_another_structure_is_wrong(given: str, right: str) -> None:
    found = grader({"grader": "json", "fields": ["*"]}, Path())(given, {"answer": right})
    assert found.score == 0
    assert found.reason


FENCES = {
    "info": "```python3.11 title='x'\n{}\n```",
    "tildes": "~~~\n{}\n~~~\nDone.",
    "longer": "````\n{}\n````",
    "after text": "Sure: ```python\n{}\n``` Bye",
    "open": "```\n{}",
    "order mark": "\ufeff{}",
    "none": "{}",
}


@pytest.mark.parametrize("form", FENCES.values(), ids=FENCES.keys())
def test_code_is_read_from_its_fence_whatever_stands_in_it(form: str) -> None:
    code = 'def f():\n    """As in\n\n    ```\n    f()\n    ```\n    """'
    assert unfenced(form.format(code)).strip() == code


@pytest.mark.parametrize("flood", ["`" * 100_000, "~" * 100_000, "1 " * 50_000, "{" * 100_000])
def test_an_answer_that_is_a_flood_is_read_at_once(flood: str) -> None:
    started = time.process_time()
    unfenced(flood)
    for metric in ({"grader": "numeric"}, {"grader": "json", "fields": ["*"]}):
        assert grader(metric, Path())(flood, {"answer": '"7"'}).score == 0
    assert time.process_time() - started < 5  # a minute, when every part of a run was tried


def test_a_regex_compares_what_it_finds_without_the_space_around_it() -> None:
    grade = grader({"grader": "regex", "pattern": "####(.*)"}, Path())
    assert grade("6 * 7 #### 42 \r\n", {"answer": "#### 42"}).score == 1
    assert grade("#### 4 2", {"answer": "42"}).score == 0


SLOW = r"^(a|aa)+$"


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"grader": "regex", "pattern": SLOW}, "a" * 60 + "!"),
        ({"grader": "json", "schema": {"pattern": SLOW}}, '"' + "a" * 60 + '!"'),
    ],
)
def test_a_pattern_that_would_search_for_ever_finds_the_answer_wrong(
    options: dict[str, Any], answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagent.runtime.patterns.LIMIT", 0.2)
    found = grader(options, Path())(answer, {"answer": "a"})
    assert found.score == 0
    assert "the pattern takes over" in found.reason
    fine = '"aaaa"' if options["grader"] == "json" else "aaaa"
    assert grader(options, Path())(fine, {"answer": "aaaa"}).score == 1


MADE = """
create table sale (item text, price real);
insert into sale values ('pen', 1.1), ('pen', 2.2), ('cup', 3.3), ('hat', null);
"""
FOREVER = "with recursive n(x) as (select 1 union all select x + 1 from n) select max(x) from n"


@pytest.mark.parametrize(
    ("answer", "right", "score", "reason"),
    [
        ("select item from sale where price > 3;", "select 'cup'", 1, ""),
        ("```sql\nselect price from sale\n```", "select price from sale order by 1", 0, "order"),
        ("select price from sale order by 1 desc", "select price from sale", 1, ""),
        ("select sum(price) from sale", "select 3.3 + (2.2 + 1.1)", 1, ""),
        ("select count(*) from sale", "select 4.0", 1, ""),
        ("select distinct item from sale", "select item from sale", 0, "3 rows, not 4"),
        ("select item, price from sale", "select item from sale", 0, "2 columns, not 1"),
        ("select item from sale limit 1", "select 'hat'", 0, "no row ('hat',)"),
        ("select item from sales", "select 1", 0, "no such table: sales"),
        ("delete from sale", "select 1", 0, "not authorized"),
        ("attach ':memory:' as other", "select 1", 0, "not authorized"),
        ("pragma writable_schema = 1", "select 1", 0, "not authorized"),
        ("select load_extension('x')", "select 1", 0, "not authorized"),
        ("select 1; delete from sale", "select 1", 0, "one statement"),
        (FOREVER, "select 1", 0, "it takes too many steps"),
        (FOREVER.replace("max(x)", "x"), "select 1", 0, "more than 10000 rows"),
        ("select 1", "select broken", 0, "the right query fails: no such column: broken"),
        ("select 1700000000123", "select 1700000000456", 0, "no row (1700000000456,)"),
        ("", "select item from sale where 0", 0, "0 columns, not 1"),
        ("select 1 where 0", "select 1, 2 where 0", 0, "1 columns, not 2"),
        ("select 7 where 0", "select item from sale where 0", 1, ""),
    ],
)
def test_sql(answer: str, right: str, score: float, reason: str) -> None:
    row = {"answer": right, "schema_sql": MADE}
    found = grader({"grader": "sql", "databases": {}}, Path())(answer, row)
    assert (found.score, reason in found.reason) == (score, True), found


def test_sql_reads_only_the_databases_that_the_plan_pinned(tmp_path: Path) -> None:
    for name in ("shop ?.db", "other.db"):
        with sqlite3.connect(tmp_path / name) as made:
            made.executescript(MADE)
        made.close()
    path = tmp_path / "shop ?.db"
    metric = {"grader": "sql", "databases": {"shop ?.db": content_digest(path)}}
    grade = grader(metric, tmp_path)
    row = {"answer": "select count(*) from sale", "database": "shop ?.db"}
    assert grade("select 4", row).score == 1
    assert grade("drop table sale", row) == (0, "not authorized")
    assert "pinned no database" in grade("select 4", {**row, "database": "other.db"}).reason
    assert not list(ready(metric, tmp_path))
    path.unlink()
    assert [d.code for d in ready(metric, tmp_path)] == ["E804"]


PROGRAMS = """
import json

def fair(answer, row):
    return 0.5, "half\\nright"

def fails(answer, row):
    return json.loads(answer)["x"]

def odd(answer, row):
    return "good"

def takes(answer, row):
    return answer == row.pop("answer")

def beyond(answer, row):
    return 7

def hangs(answer, row):
    while True:
        try:
            answer = answer or answer
        except ValueError:
            pass

def leaves(answer, row):
    raise SystemExit(2)

def summed(answer, row):
    return 0.7 + 0.2 + 0.1 if answer else 1.1 - 1.0 - 0.1
"""


def test_a_users_grader_gives_a_score_and_a_reason_or_a_finding(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PROGRAMS)

    def grade(name: str) -> Any:
        metric = {"grader": "program", "program": f"mine.py:{name}", "timeout": 0.2}
        return grader(metric, tmp_path)

    assert grade("fair")("a", {}) == (0.5, "half right")
    assert [grade("summed")(answer, {}).score for answer in ("a", "")] == [1, 0]
    row = {"answer": "a"}
    assert grade("takes")("a", row) == (1, "")
    assert row == {"answer": "a"}
    for name, said in (
        ("fails", "raised JSONDecodeError"),
        ("odd", "returned 'good'"),
        ("beyond", "returned 7"),
        ("leaves", "raised SystemExit: 2"),
        ("hangs", "raised TimeoutError: 0.2 s are over; `timeout` of the metric allows more"),
    ):
        with pytest.raises(Refused) as refused:
            grade(name)("a", {})
        (found,) = refused.value.diagnostics
        assert (found.code, said in found.message) == ("E815", True), found
        assert found.file == str(tmp_path / "mine.py")
        if name == "fails":  # in the user's own code, not in the library that it called
            assert found.notes[0].message.startswith("at mine.py:8:")
