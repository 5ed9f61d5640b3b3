"""What a row is, and how a data set's own rows become rows: compiler and runtime read by this one
function, so that what was checked is what is trained and tested on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from dagent.compiler.formats import Fault, Raw
from dagent.compiler.where import CannotJudge, Where

COLUMNS = ("id", "prompt", "answer", "skill", "difficulty")
HALF = re.compile("[\ud800-\udfff]")  # of a character: JSON's escapes let it be, no file holds it
# What some graders judge by; carried only where one does.
EXTRA = ("tests", "schema_sql", "database")
# By grader, those of which a row must have at least one.
BRINGS: Mapping[str, tuple[str, ...]] = {"code": ("tests",), "sql": ("database", "schema_sql")}
_TYPES: Mapping[str, tuple[Any, str]] = {
    "id": (str | int, "neither text nor integer"),
    "prompt": (str | int | float, "no text"),
    "answer": (str | int | float, "no text"),
    "skill": (str, "no text"),
    "difficulty": (str | int, "neither text nor integer"),
    "tests": (str | list, "neither text nor a list of texts"),
    "schema_sql": (str, "no text"),
    "database": (str, "no text"),
}
_ABSENT = object()


class Row(Struct, frozen=True):
    """``number`` counts from 1. ``values`` holds those of ``COLUMNS``, and of the view's ``extra``,
    that the row has; prompt, answer and id are texts."""

    number: int
    values: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        return str(self.values["prompt"])

    @property
    def answer(self) -> str:
        return str(self.values.get("answer", ""))

    @property
    def skill(self) -> str | None:
        return self.values.get("skill")

    @property
    def difficulty(self) -> str | int | None:
        return self.values.get("difficulty")


class View(Struct, frozen=True):
    """How to look at a data set's own rows.

    ``columns`` maps dagent's name of a column to the set's, where they differ; ``a.b`` and ``a.0``
    lead into nested values. ``where`` keeps some of the rows. ``answers``: whether a row needs one;
    the rows of a pool are there to be answered. ``text``: the format has no numbers (CSV).
    ``extra``: which of ``EXTRA`` the rows carry.
    """

    columns: Mapping[str, str]
    where: Where | None = None
    answers: bool = True
    text: bool = False
    extra: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        return ("prompt", "answer") if self.answers else ("prompt",)

    def get(self, raw: Mapping[str, Any], name: str) -> Any:
        """The value that dagent calls ``name``, or ``_ABSENT``."""
        value = _follow(raw, self.columns.get(name, name))
        if value is _ABSENT and name in ("prompt", "answer") and name not in self.columns:
            value = _from_chat(raw, name)
        if name == "difficulty" and self.text and isinstance(value, str) and value.isdecimal():
            return int(value)  # JSON's `1` and CSV's `1` are the same
        return value


def rows_of(raw: Iterable[Raw], view: View) -> Iterator[Row | Fault]:
    """The rows that ``view`` sees, in order; what is no row is a Fault in its place."""
    for number, item in raw:
        if isinstance(item, Fault):
            yield item
            continue
        try:
            if view.where and not view.where.keeps(_Lookup(item, view)):
                continue
        except CannotJudge as error:
            yield Fault(number, f"`where` cannot judge it: {error}", "E322")
            continue
        yield _row(number, item, view)


class _Lookup:
    """A row as `where` sees it: dagent's names first, then the set's own; ``None`` if absent."""

    def __init__(self, raw: Mapping[str, Any], view: View) -> None:
        self.raw, self.view = raw, view

    def __getitem__(self, name: str) -> Any:
        known = (*COLUMNS, *self.view.extra)
        value = self.view.get(self.raw, name) if name in known else _ABSENT
        return self.raw.get(name) if value is _ABSENT else value


def _row(number: int, raw: Mapping[str, Any], view: View) -> Row | Fault:
    values: dict[str, Any] = {}
    for name in (*COLUMNS, *view.extra):
        column, value = view.columns.get(name, name), view.get(raw, name)
        if isinstance(value, Fault):
            return Fault(number, value.message, value.code, value.column)
        if value is _ABSENT or (value is None and name not in view.needed):
            if name in view.needed:
                return Fault(number, f"no column `{column}` for the {name}", "E306", column)
            continue
        types, wrong = _TYPES[name]
        texts = not isinstance(value, list) or all(isinstance(v, str) for v in value)
        if not isinstance(value, types) or isinstance(value, bool) or not texts:
            return Fault(number, f"column `{column}` is {wrong}", column=column)
        parts = value if isinstance(value, list) else [str(value)]
        if half := next(filter(None, map(HALF.search, parts)), None):
            says = f"column `{column}`: `\\u{ord(half[0]):04x}` is half of a character"
            remedy = "write the whole, or leave it out"
            return Fault(number, says, column=column, remedy=remedy)
        if name == "prompt" and not str(value).strip():
            return Fault(number, f"column `{column}` is empty", column=column)
        values[name] = str(value) if name in ("id", "prompt", "answer") else value
    return Row(number, values)


def _follow(raw: Mapping[str, Any], path: str) -> Any:
    """The column of that name, or else what a dotted path leads to."""
    if path in raw:
        return raw[path]
    value: Any = raw
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, Sequence) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _ABSENT
    return value


def _from_chat(raw: Mapping[str, Any], name: str) -> Any:
    """Prompt or answer of one exchange in OpenAI's form, ``messages``; a system text leads the
    prompt, since it is part of what was asked."""
    messages = raw.get("messages")
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return _ABSENT
    turns = [(m.get("role"), m.get("content")) for m in messages if isinstance(m, Mapping)]
    roles = [role for role, _ in turns]
    texts = [text for _, text in turns]
    if roles[-2:] != ["user", "assistant"] or roles[:-2] not in ([], ["system"]):
        shape = "one of `user` and one of `assistant`, after at most one of `system`"
        return Fault(0, f"column `messages` is not one exchange: {shape}", column="messages")
    if not all(isinstance(text, str) for text in texts):
        return Fault(0, "column `messages` holds something else than text", column="messages")
    return texts[-1] if name == "answer" else "\n\n".join(map(str, texts[:-1]))
