"""Grades SQL: the answer's result against that of the right query, on SQLite.

The database is the row's ``database``, a file that the plan pinned, opened for reading, or one in
memory made by the row's ``schema_sql``. A query may read and nothing else: an authorizer refuses
every other action. Its work is bounded by instructions of SQLite's machine rather than by a
clock, so that the same query is judged the same on every machine.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dagent.compiler.reading import unfenced
from dagent.runtime.grade import RIGHT, Grade, Grader, wrong
from dagent.runtime.rows import Row

_INSTRUCTIONS = 20_000_000  # some seconds
_CHECK_EVERY = 100_000
_ROWS = 10_000
_BYTES = 16 * 1024 * 1024  # of a result
_LENGTH = 1024 * 1024  # of one value, or a statement
_PAGES = 16_384  # of a database in memory: 64 MiB
# Those that load code, make large values from nothing, or answer differently each time.
_NO_FUNCTIONS = {"load_extension", "fts3_tokenizer", "zeroblob", "randomblob", "random"}

_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_MAKES = _READS | {
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_CREATE_INDEX,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_CREATE_VIEW,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_UPDATE,
}
_QUOTED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/", re.S
)
_INNERMOST = re.compile(r"\([^()]*\)")
_ORDERED = re.compile(r"\border\s+by\b", re.IGNORECASE)


class Result(NamedTuple):
    columns: int
    rows: list[tuple[Any, ...]]


class Stopped(Exception):
    """A query that failed or went beyond a limit; the text says which."""


def sql_grader(databases: Mapping[str, str], project: Path) -> Grader:
    """``databases`` are the files that the plan pinned, by the path that rows give."""

    def grade(answer: str, row: Row) -> Grade:
        try:
            right = result_of(row["answer"], row, databases, project)
        except Stopped as stopped:
            return wrong(f"the right query fails: {stopped}")
        try:
            given = result_of(answer, row, databases, project)
        except Stopped as stopped:
            return wrong(str(stopped))
        return compared(given, right, in_order=ordered(row["answer"]))

    return grade


def compared(given: Result, right: Result, *, in_order: bool) -> Grade:
    """Columns count by their place, whatever they are called; also where no row is found."""
    if given.columns != right.columns:
        return wrong(f"{given.columns} columns, not {right.columns}")
    have, want = [[tuple(map(_value, r)) for r in result.rows] for result in (given, right)]
    if have == want or (not in_order and Counter(have) == Counter(want)):
        return RIGHT
    if len(have) != len(want):
        return wrong(f"{len(have)} rows, not {len(want)}")
    if Counter(have) == Counter(want):
        return wrong("the right rows in the wrong order")
    missing = next((Counter(want) - Counter(have)).elements())
    return wrong(f"no row {missing}")


def ordered(query: str) -> bool:
    """Whether the query orders its result, rather than a part of it.

    >>> ordered("SELECT a FROM (SELECT a FROM t ORDER BY a) WHERE b = 'order by'")
    False
    """
    text, changed = _QUOTED.sub(" ", unfenced(query)), 1
    while changed:
        text, changed = _INNERMOST.subn(" ", text)
    return bool(_ORDERED.search(text))


def _value(value: Any) -> Any:
    """Floats to twelve digits: their sums differ by the order of the parts. Whole numbers, which
    may be keys or times, to the last one."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def result_of(query: str, row: Row, databases: Mapping[str, str], project: Path) -> Result:
    """
    Raises:
        Stopped: when it fails or asks for too much.
    """
    try:
        with closing(_open(row, databases, project)) as connection:
            _bound(connection, _READS)
            rows, size = [], 0
            cursor = connection.execute(unfenced(query))
            for found in cursor:
                rows.append(found)
                size += sum(len(v) for v in found if isinstance(v, str | bytes))
                if len(rows) > _ROWS or size > _BYTES:
                    raise Stopped(f"more than {_ROWS} rows or {_BYTES} bytes")
            return Result(len(cursor.description or ()), rows)
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        interrupted = str(error) == "interrupted"
        raise Stopped("it takes too many steps" if interrupted else str(error)) from None


def _open(row: Row, databases: Mapping[str, str], project: Path) -> sqlite3.Connection:
    if (name := row.get("database")) is not None:
        if name not in databases:
            raise Stopped(f"the plan pinned no database `{name}`")
        address = f"file:{quote(str((project / name).resolve()))}?mode=ro"
        return sqlite3.connect(address, uri=True)
    if not row.get("schema_sql"):
        raise Stopped("the row has neither `database` nor `schema_sql`")
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"PRAGMA max_page_count = {_PAGES}")
        _bound(connection, _MAKES)
        connection.executescript(row["schema_sql"])
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        connection.close()
        raise Stopped(f"`schema_sql`: {error}") from None
    return connection


def _bound(connection: sqlite3.Connection, allowed: set[int]) -> None:
    """Only these actions, only so much work."""

    def authorise(action: int, one: str | None, two: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_DENY if two in _NO_FUNCTIONS else sqlite3.SQLITE_OK
        return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY

    left = _INSTRUCTIONS // _CHECK_EVERY

    def tick() -> int:
        nonlocal left
        left -= 1
        return left < 0

    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LENGTH)
    connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, _LENGTH)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(tick, _CHECK_EVERY)
    connection.set_authorizer(authorise)
