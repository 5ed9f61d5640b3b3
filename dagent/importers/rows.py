"""Rows that other trainers keep in files -> rows with a question and its answer.

Two layouts: Alpaca's columns, and conversations, of OpenAI's or ShareGPT's names or others that a
config gives. A row of dagent is one question and one answer, so of a longer conversation the first
exchange is taken: it alone stands without what was said before. What is left out is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagent.compiler.formats import FORMATS, Fault, Raw, read_file

ROLES: Mapping[str, frozenset[str]] = {
    "system": frozenset({"system"}),
    "user": frozenset({"user", "human"}),
    "assistant": frozenset({"assistant", "gpt", "chatgpt", "bing", "bard", "model"}),
}
_SHOWN = 5


@dataclass(frozen=True)
class Alpaca:
    """Columns, by Alpaca's own names where nothing else is said."""

    prompt: str = "instruction"
    query: str | None = "input"
    answer: str = "output"
    system: str | None = "system"
    history: str | None = "history"


@dataclass(frozen=True)
class Chat:
    """A column of turns, each with its role and its text. ``roles`` says which words mean which
    role; ``system`` is a column beside the turns."""

    turns: str = "messages"
    role: str = "role"
    text: str = "content"
    roles: Mapping[str, frozenset[str]] = field(default_factory=lambda: ROLES)
    system: str | None = "system"
    tools: str = "tools"


SHAREGPT = Chat("conversations", "from", "value")


@dataclass(frozen=True)
class Converted:
    """``rows`` have a prompt and an answer; ``cut`` were conversations that went on; ``left`` are
    the numbers of those that could not be taken, by reason."""

    rows: tuple[dict[str, str], ...]
    cut: int
    left: Mapping[str, tuple[int, ...]]

    def remarks(self, name: str) -> Iterator[str]:
        total = len(self.rows) + sum(map(len, self.left.values()))
        if self.cut:
            yield f"{name}: {self.cut} of {total} conversations cut after their first exchange"
        for reason, numbers in self.left.items():
            more = ", …" if len(numbers) > _SHOWN else ""
            shown = ", ".join(map(str, numbers[:_SHOWN]))
            yield f"{name}: {len(numbers)} of {total} rows left out, {reason}: {shown}{more}"


class _CannotTake(Exception):
    """Why a row is left out."""


def convert(path: Path, form: Alpaca | Chat | None, good: str | None = None) -> Converted:
    """The rows of a file. Without a ``form`` each row shows its own; ``good`` is the column that
    marks a right answer, where wrong ones stand beside them.

    Raises:
        OSError: when the file cannot be read.
    """
    return _converted(read_file(path, FORMATS[path.suffix.lower()]), form, good)


def _converted(raw: Iterable[Raw], form: Alpaca | Chat | None, good: str | None) -> Converted:
    rows: list[dict[str, str]] = []
    left: dict[str, list[int]] = {}
    cut = 0
    for number, item in raw:
        try:
            if isinstance(item, Fault):
                raise _CannotTake(item.message)
            if good is not None and item.get(good) in (False, "false", "False", 0):
                raise _CannotTake("marked as wrong answers")
            prompt, answer, more = _exchange(item, form or form_of(item))
        except _CannotTake as why:
            left.setdefault(str(why), []).append(number)
            continue
        cut += more
        rows.append({"prompt": prompt, "answer": answer})
    return Converted(tuple(rows), cut, {why: tuple(numbers) for why, numbers in left.items()})


def form_of(row: Mapping[str, Any]) -> Alpaca | Chat:
    """The layout that a row shows by its columns."""
    column = next((c for c in ("messages", "conversations", "conversation") if c in row), None)
    if column is None:
        return Alpaca()
    turns = row[column]
    first = turns[0] if isinstance(turns, Sequence) and turns else {}
    if isinstance(first, Mapping) and "from" in first:
        return Chat(column, "from", "value")
    return Chat(column)


def _exchange(row: Mapping[str, Any], form: Alpaca | Chat) -> tuple[str, str, bool]:
    """Question, answer, and whether more was said after them."""
    turns = list(_alpaca(row, form) if isinstance(form, Alpaca) else _chat(row, form))
    system = [text for role, text in turns if role == "system"]
    said = [(role, text) for role, text in turns if role != "system"]
    if [role for role, _ in said[:2]] != ["user", "assistant"]:
        raise _CannotTake("not a question and then its answer")
    (_, prompt), (_, answer) = said[:2]
    if not prompt.strip() or not answer.strip():
        raise _CannotTake("without a question or without an answer")
    return "\n\n".join([*system[:1], prompt]), answer, len(said) > 2


def _alpaca(row: Mapping[str, Any], form: Alpaca) -> Iterator[tuple[str, str]]:
    if system := _text(row, form.system):
        yield "system", system
    for pair in row.get(form.history or "") or ():
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise _CannotTake("a history that is not of pairs")
        yield "user", str(pair[0])
        yield "assistant", str(pair[1])
    parts = [_text(row, form.prompt), _text(row, form.query)]
    yield "user", "\n".join(part for part in parts if part)
    yield "assistant", _text(row, form.answer)


def _chat(row: Mapping[str, Any], form: Chat) -> Iterator[tuple[str, str]]:
    turns = row.get(form.turns)
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise _CannotTake(f"no turns in `{form.turns}`")
    if row.get(form.tools):
        raise _CannotTake("with tools to call")
    if system := _text(row, form.system):
        yield "system", system
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise _CannotTake("a turn that is no object")
        word, text = str(turn.get(form.role)), turn.get(form.text)
        role = next((r for r, words in form.roles.items() if word in words), None)
        if role is None:
            raise _CannotTake(f"with a turn of `{word}`")
        if not isinstance(text, str):
            raise _CannotTake("a turn that is not of text alone")
        yield role, text


def _text(row: Mapping[str, Any], column: str | None) -> str:
    value = row.get(column) if column else None
    if isinstance(value, list | dict):
        raise _CannotTake(f"more than text in `{column}`")
    return "" if value is None else str(value)
