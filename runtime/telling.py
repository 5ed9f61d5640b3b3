"""Whether what a model brought to judge answers by tells right answers from wrong ones.

The row's own answer must pass it, which the grader says. Here wrong answers must fail it: those
that the right one is turned into by a change in one place. Some changes make no difference, so a
share of them may pass; a program that does nothing may not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dagent.compiler.reading import unfenced
from dagent.runtime.code_grader import CodeGrader
from dagent.runtime.mutants import hollow, of_code, of_query
from dagent.runtime.rows import Row
from dagent.runtime.sql_grader import Stopped, compared, ordered, result_of

# Of the changed answers, the share that must be told from the right one. The unit tests of shipped
# templates tell nine of ten; a bound that moves by one is often not seen in a small table.
LEAST = {"tests": 2 / 3, "tables": 1 / 2}
Telling = Callable[[Sequence[Row]], list[str | None]]


def telling(grader: str, options: Mapping[str, Any], project: Path) -> Telling:
    """Why each row whose answer passes cannot judge others; None if it can. ``options`` are those
    of the grader, as the plan states them."""
    if grader == "code":
        judge = CodeGrader(options.get("timeout"), trusting=False)
        return lambda rows: judge.at_once(partial(_tests_tell, judge=judge), rows)
    return lambda rows: [_tables_tell(r, options.get("databases", {}), project) for r in rows]


def _tests_tell(row: Row, judge: CodeGrader) -> str | None:
    source = unfenced(row["answer"])
    try:
        wrong = [hollow(source), *of_code(source)]
    except (SyntaxError, ValueError, RecursionError):
        return None  # it passed, and no change of it can be made
    passed = judge.each(wrong, row)
    if passed[:1] == [True]:
        return "its tests pass an answer that does nothing"
    return _too_few(sum(passed[1:]), len(passed[1:]), "tests", "pass")


def _tables_tell(row: Row, databases: Mapping[str, str], project: Path) -> str | None:
    right = result_of(row["answer"], row, databases, project)
    if not right.rows:
        return "its query finds nothing in its tables, as many wrong ones would"
    same = tried = 0
    for query in of_query(unfenced(row["answer"])):
        try:
            found = result_of(query, row, databases, project)
        except Stopped:
            continue
        tried += 1
        same += compared(found, right, in_order=ordered(row["answer"])).score == 1
    return _too_few(same, tried, "tables", "give the same result to")


def _too_few(passed: int, tried: int, what: str, do: str) -> str | None:
    if tried - passed >= LEAST[what] * tried:
        return None
    return f"its {what} {do} {passed} of {tried} answers that were changed in one place"
