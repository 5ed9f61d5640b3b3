"""What a generator writes of a row: question and answer, and where the domain's answers are judged
by running them, what to run them against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pydantic

from dagent.runtime.code_grader import as_text
from dagent.runtime.rows import Row

SHOWN = 1500  # characters of an example's tests or tables


# DSPy shows a schema's keys in the order of the alphabet, and models write them in the order shown:
# these names put tables before the question, reasoning before the result, and tests after it. A
# docstring would be shown as well.
class DraftedRow(pydantic.BaseModel):
    question: str = pydantic.Field(description="Exactly as the student will see it.")
    reasoning: str = pydantic.Field(default="", description="The solution, step by step, checked.")
    result: str = pydantic.Field(description="The right answer in the wanted form, nothing else.")


class DraftedCode(DraftedRow):
    tests: list[str] = pydantic.Field(description="`assert` statements that judge an answer.")


class DraftedQuery(DraftedRow):
    database: str = pydantic.Field(
        description="SQLite statements that create and fill the tables of the question."
    )


DRAFTS: Mapping[str, type[DraftedRow]] = {"": DraftedRow, "code": DraftedCode, "sql": DraftedQuery}
# What a draft holds besides question and answer: its field, the column of a row, and what is said
# of it.
BRINGS: Mapping[str, tuple[str, str, str]] = {
    "code": (
        "tests",
        "tests",
        """
An answer is judged by `tests`, which run after it in one module: three to eight statements such as
`assert f(3) == [1, 2]`, each complete on a line of its own. They use only what the question names,
and write out what is expected, worked out from the question and not from your code. Between them
they try an ordinary case, the extremes, and the inputs on which a plausible mistake gives something
else: any program that is wrong fails one of them, and any right one passes them all, however it is
written. The question says all that a test asks: names, arguments, what is returned, what is raised.
""",
    ),
    "sql": (
        "database",
        "schema_sql",
        """
A query is judged by its result on `database`: the CREATE TABLE and INSERT statements of a small
SQLite database, with the tables and columns that the question speaks of. Write them first. Fill
each table so that a wrong query gives another result than the right one: values on both sides of
every condition and on its edge, ties, rows that a wrong join or a forgotten DISTINCT would add, a
NULL where one could be. The right query returns at least one row. Where the order of the result
matters, the question says so.
""",
    ),
}


def brought(grader: str, draft: Any, as_list: bool) -> Row:
    """The further columns of a drafted row; tests as a list or as one text, as the domain's are."""
    if grader not in BRINGS:
        return {}
    return column(grader, getattr(draft, BRINGS[grader][0]), as_list)


def column(grader: str, value: str | list[str], as_list: bool) -> Row:
    """What was written of a row besides question and answer, as the row holds it."""
    return {BRINGS[grader][1]: value if as_list or isinstance(value, str) else as_text(value)}


def shown(grader: str, row: Row, most: int | None = SHOWN) -> dict[str, str]:
    """The same of a row, as a prompt shows it: of an example, ``most`` characters."""
    if grader not in BRINGS:
        return {}
    field, name, _ = BRINGS[grader]
    return {field: as_text(row[name])[:most]} if row.get(name) else {}
