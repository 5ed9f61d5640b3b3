"""Which rows of a submission count: those that a call of the teacher's can be shown to have made.

A row names its call, or several. Its prompt must stand, to the letter, in what such a call asked or
answered, and its answer in what one answered; white space aside. So a row that a program wrote
itself, or whose numbers it changed, is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dagent.runtime.authoring.answers import said
from dagent.runtime.authoring.teacher import Call
from dagent.runtime.rows import Row, row_id
from dagent.runtime.steps.verify import Screen

SHOWN = 5  # refused rows that the author and its program are shown


@dataclass(frozen=True)
class Checked:
    """``refused`` are (row as it was submitted, reason). ``echoed`` counts valid rows whose answer
    every call that gave it had been told: the teacher may have repeated what a program wrote. It
    may also have named a label or quoted a passage of its prompt, so they are not refused."""

    valid: list[Row]
    refused: list[tuple[Any, str]]
    echoed: int = 0

    @cached_property
    def reasons(self) -> Counter[str]:
        return Counter(reason.split(":")[0] for _, reason in self.refused)

    def told(self, wanted: int, least: int) -> dict[str, Any]:
        """What ``check_submission`` answers. Nothing in it depends on dev or test."""
        return {
            "valid": len(self.valid),
            "wanted": wanted,
            "least": least,
            "reasons": dict(self.reasons.most_common()),
            "refused": [{"row": row, "reason": why} for row, why in self.refused[:SHOWN]],
        }


def check(
    submitted: object,
    calls: Mapping[str, Call],
    screen: Screen,
    grid: Mapping[str, Sequence[Any]],
    lineage: Mapping[str, Any],
) -> Checked:
    """Every row of a submission, in its order.

    ``grid`` holds the domain's ``skills`` and ``difficulties``; others are left out of the row.

    Raises:
        ValueError: it is no list of objects at all.
    """
    if not isinstance(submitted, list):
        raise ValueError("a submission is a list of rows")
    heard = {id: (_plain(call.prompt), *map(_plain, said(call.text))) for id, call in calls.items()}
    valid: list[Row] = []
    refused: list[tuple[Any, str]] = []
    seen: dict[str, int] = {}
    echoed = 0
    for number, raw in enumerate(submitted, 1):
        row, reason = _row(raw, heard, grid)
        reason = reason or screen(row)
        if reason is None and row["id"] in seen:
            reason = f"repeats an earlier row: row {seen[row['id']]}"
        if reason is None:
            seen[row["id"]] = number
            valid.append({**row, **lineage})
            echoed += _echoed(row, calls)
        else:
            refused.append((raw, reason))
    return Checked(valid, refused, echoed)


def _row(
    raw: object, heard: Mapping[str, tuple[str, ...]], grid: Mapping[str, Sequence[Any]]
) -> tuple[Row, str | None]:
    if not isinstance(raw, dict):
        return {}, "not an object"
    prompt, answer = raw.get("prompt"), raw.get("answer")
    if "instruction" in raw:  # the form of the paper
        prompt = "\n".join(t for t in (raw["instruction"], raw.get("input")) if t)
        answer = raw.get("output")
    if not isinstance(prompt, str) or not isinstance(answer, str):
        return {}, "no row: a prompt and an answer are needed, both texts"
    if not prompt.strip() or not answer.strip():
        return {}, "empty prompt or answer"
    named = raw.get("call")
    listed = named if isinstance(named, list) else [named]
    ids = [id for id in listed if isinstance(id, str)]
    if not ids or len(ids) < len(listed):
        return {}, "names no call of the teacher's"
    if unknown := [id for id in ids if id not in heard]:
        return {}, f"names a call that was not made: {unknown[0]}"
    if not any(_holds(text, prompt) for id in ids for text in heard[id]):
        return {}, "its prompt is not in what its call asked or answered"
    if not any(_holds(text, answer) for id in ids for text in heard[id][1:]):
        return {}, "its answer is not in what its call answered"
    row: Row = {"id": row_id(prompt), "prompt": prompt, "answer": answer, "calls": list(ids)}
    for key, allowed in (("skill", "skills"), ("difficulty", "difficulties")):
        own = {str(value): value for value in grid[allowed]}
        row[key] = own.get(str(raw.get(key)), "")
    return row, None


def _echoed(row: Row, calls: Mapping[str, Call]) -> bool:
    """Whether no call gave the answer of its own: the row's question aside, all were told it."""
    question = _plain(row["prompt"])
    for call in (calls[id] for id in row["calls"]):
        if any(_holds(_plain(text), row["answer"]) for text in said(call.text)):
            asked = f"{call.system} {call.prompt}"
            told = (_plain(text).replace(question, " ") for text in (asked, *said(call.prompt)))
            if not any(_holds(text, row["answer"]) for text in told):
                return False
    return True


def _plain(text: str) -> str:
    return " ".join(text.split())


def _holds(text: str, part: str) -> bool:
    """Whether a text holds a part as whole words: ``5`` is not in ``15``, nor in ``5.2``."""
    part = _plain(part)
    start = text.find(part)
    while start >= 0:
        end = start + len(part)
        before, after = text[max(0, start - 2) : start], text[end : end + 2]
        if not (_joined(before[::-1], part[0]) or _joined(after, part[-1])):
            return True
        start = text.find(part, start + 1)
    return False


def _joined(beside: str, edge: str) -> bool:
    """Whether what stands beside an edge belongs to the same word or number."""
    if not beside or not edge.isalnum():
        return False
    number = edge.isdigit() and beside[0] in ".," and beside[1:].isdigit()
    return beside[0].isalnum() or beside[0] == "_" or number
