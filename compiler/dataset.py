"""Reading a data file row by row, every fault with its file and row.

The runtime reads the same files with the same rules; here they are only checked and counted.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = ("id", "prompt", "answer", "skill", "difficulty")
NEEDED = ("prompt", "answer")


@dataclass(frozen=True, slots=True)
class Fault:
    """``row`` counts from 1; ``column`` is the file's own name of it, where one is to blame."""

    row: int
    message: str
    code: str = "E302"
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What is checked of a row. ``number`` counts from 1, a CSV's header not among them."""

    number: int
    prompt: str
    answer: str
    skill: str | None
    difficulty: str | int | None


def read_rows(path: Path, format: str, columns: Mapping[str, str]) -> Iterator[Row | Fault]:
    """The rows of a file; what is no row is a Fault in its place.

    Raises:
        OSError: when the file cannot be read.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        byte = error.start - data.rfind(b"\n", 0, error.start)
        yield Fault(row, f"not UTF-8 text (byte {byte})")
        return
    raw = _csv(text) if format == "csv" else _jsonl(text)
    for number, item in raw:
        yield item if isinstance(item, Fault) else _row(number, item, columns, format == "csv")


def _jsonl(text: str) -> Iterator[tuple[int, Mapping[str, Any] | Fault]]:
    # Only \n ends a line of JSONL: str.splitlines would also cut at U+2028 inside a text.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, Fault(number, f"not JSON at column {error.colno}: {error.msg}")
            continue
        except RecursionError:
            yield number, Fault(number, "JSON nested too deeply")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            yield number, Fault(number, "not a JSON object `{…}`")


def _csv(text: str) -> Iterator[tuple[int, Mapping[str, Any] | Fault]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Fault(number, f"not CSV: {error}")
            return
        if None in row:
            yield number, Fault(number, "more fields than the header names")
        elif None in row.values():
            yield number, Fault(number, "fewer fields than the header names")
        else:
            yield number, row


def _row(
    number: int, raw: Mapping[str, Any], columns: Mapping[str, str], from_text: bool
) -> Row | Fault:
    named = {name: raw.get(columns.get(name, name)) for name in COLUMNS}
    for name in NEEDED:
        column = columns.get(name, name)
        if column not in raw:
            return Fault(number, f"no column `{column}` for the {name}", "E306", column)
        if not isinstance(named[name], str | int | float) or isinstance(named[name], bool):
            return Fault(number, f"column `{column}` is no text", column=column)
        if name == "prompt" and not str(named[name]).strip():
            return Fault(number, f"column `{column}` is empty", column=column)
    for name, types, wanted in (
        ("skill", str, "no text"),
        ("difficulty", str | int, "neither text nor integer"),
    ):
        if named[name] is not None and (
            not isinstance(named[name], types) or isinstance(named[name], bool)
        ):
            column = columns.get(name, name)
            return Fault(number, f"column `{column}` is {wanted}", column=column)
    difficulty = named["difficulty"]
    if from_text and isinstance(difficulty, str) and difficulty.isdecimal():
        difficulty = int(difficulty)  # a CSV has no integers; JSON's `1` and its `1` are the same
    return Row(number, str(named["prompt"]), str(named["answer"]), named["skill"], difficulty)


def prompt_hash(prompt: str) -> bytes:
    """Of the prompt as overlap is judged: NFKC, case folded, white space collapsed."""
    text = " ".join(unicodedata.normalize("NFKC", prompt).casefold().split())
    return hashlib.sha256(text.encode()).digest()
