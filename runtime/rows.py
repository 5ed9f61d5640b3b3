"""What a row is, and rows as JSON Lines.

A row is a dict with at least ``prompt`` and ``answer`` (texts); ``skill`` and ``difficulty`` say
which cell it belongs to; ``id`` is the first 16 hex digits of the SHA-256 of the prompt. A row
that was set aside for a cause carries ``reason``.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from dagent.dsl.texts import characters

Row = dict[str, Any]
Cell = tuple[str, str]

NO_SKILL = "no skill"


def row_id(prompt: str) -> str:
    return hashlib.sha256(prompt.encode(errors="replace")).hexdigest()[:16]


def cell(row: Row) -> Cell:
    """Skill and difficulty as texts; rows without them share one cell."""
    return str(row.get("skill", "")), str(row.get("difficulty", ""))


def cell_name(row: Mapping[str, Any]) -> str:
    """``skill/difficulty``, or one of them where the other says nothing."""
    return "/".join(part for part in cell(dict(row)) if part) or "all rows"


def named_skills(by_skill: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of each skill, by a name that can be shown: rows without a skill have none, and
    where no row has one there is nothing to tell.

    >>> named_skills({"": 0.5, "sums": 0.2}), named_skills({"": 0.5})
    ({'no skill': 0.5, 'sums': 0.2}, {})
    """
    found = by_skill or {}
    return {skill or NO_SKILL: value for skill, value in found.items()} if any(found) else {}


def collapsed(text: str) -> str:
    """The text in one Unicode form and without the white space that makes no other question; case
    may make one (``"A".lower()``)."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def is_row(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether what a program returned has a question and an answer."""
    return isinstance(value, Mapping) and all(
        isinstance(value.get(key), str) for key in ("prompt", "answer")
    )


def own_columns(row: Mapping[str, Any]) -> Row:
    """The columns of a program's row that can be kept: plain values, and tests as a list. Half of a
    character, which no file can hold, is the replacement character, as in a model's rows."""
    return {
        k: _whole(v)
        for k, v in row.items()
        if isinstance(v, str | int | float | bool) or (k == "tests" and _texts(v))
    }


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [characters(item) for item in value]
    return characters(value) if isinstance(value, str) else value


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def normalised(text: str) -> str:
    """The text as overlap is judged: ``collapsed``, and case folded."""
    return collapsed(text).casefold()


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """One row a line, keys sorted, so that equal rows give equal bytes. Half of a character, which
    a program may return, becomes a question mark."""
    with path.open("w", encoding="utf-8", errors="replace") as out:
        for row in rows:
            out.write(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n")
    return path


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> Path:
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def with_reason(rows: Iterable[tuple[Row, str]]) -> Iterator[Row]:
    for row, reason in rows:
        yield {**row, "reason": reason}
