"""The rows of a data file as its format gives them: mappings, each with its number."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

TITLES = {"jsonl": "JSON Lines", "json": "JSON", "csv": "CSV", "parquet": "Parquet"}
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}


class Fault(Struct, frozen=True):
    """Why something is no row. ``row`` counts from 1, and 0 is the whole file; ``column`` is the
    file's own name of it, where one is to blame; ``remedy`` what to do, where mending the row is
    not it."""

    row: int
    message: str
    code: str = "E302"
    column: str | None = None
    remedy: str | None = None


Raw = tuple[int, Mapping[str, Any] | Fault]


def read_file(path: Path, format: str) -> Iterator[Raw]:
    """Numbered rows, from 1, a CSV's header not among them; what is no row is a Fault.

    Raises:
        OSError: when the file cannot be read.
    """
    if format == "parquet":
        yield from _parquet(path)
        return
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        byte = error.start - data.rfind(b"\n", 0, error.start)
        yield row, Fault(row, f"not UTF-8 text (byte {byte})", remedy="save the file as UTF-8")
        return
    if format == "csv":
        yield from _csv(text)
    elif format == "json" and not text.lstrip().startswith("{"):
        yield from _json(text)
    else:  # many a `.json` is JSON Lines
        yield from _jsonl(text)


def _json(text: str) -> Iterator[Raw]:
    """The items of one array, each read by itself, so that a fault is of its row."""
    decoder, space = json.JSONDecoder(), re.compile(r"[ \t\r\n]*")

    def skip(at: int) -> int:
        found = space.match(text, at)
        return found.end() if found else at

    at, number = skip(0), 0
    if text[at : at + 1] != "[":
        yield 0, Fault(0, "neither a JSON array `[…]` nor JSON Lines", remedy="save it as either")
        return
    at = skip(at + 1)
    while text[at : at + 1] != "]":
        number += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            yield number, Fault(number, f"not JSON at {place}: {error.msg}")
            return
        except RecursionError:
            yield number, Fault(number, "JSON nested too deeply")
            return
        yield number, value if isinstance(value, dict) else Fault(number, "not an object `{…}`")
        at = skip(at)
        if text[at : at + 1] == ",":
            at = skip(at + 1)
        elif text[at : at + 1] != "]":
            line = text.count("\n", 0, at) + 1
            yield number + 1, Fault(number + 1, f"expected `,` or `]` in line {line}")
            return
    if text[at + 1 :].strip():
        yield number + 1, Fault(number + 1, "something stands behind the array's end")


def _jsonl(text: str) -> Iterator[Raw]:
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


def _csv(text: str) -> Iterator[Raw]:
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


def _parquet(path: Path) -> Iterator[Raw]:
    try:
        # Half a second to import: only who has a Parquet file waits for it.
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        yield 0, Fault(0, "reading Parquet needs `pyarrow`", "E324")
        return
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except pyarrow.ArrowInvalid as error:
        yield number, Fault(number, f"not Parquet: {str(error).splitlines()[0]}")
