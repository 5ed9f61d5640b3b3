"""The rows of a file as a data set sees them: each a row, with the columns that are named."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct

from dagent.compiler.dataset import COLUMNS, EXTRA, Row, rows_of
from dagent.compiler.digests import content_digest
from dagent.compiler.formats import Fault, read_file
from dagent.compiler.read import inside_text
from dagent.compiler.rowchecks import SHOWN, first_rows, too_few
from dagent.compiler.settings import Recall
from dagent.compiler.spec import DataSet, Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean, nearest

REMEDIES = {
    "E306": "give these rows the column, or leave them out by `where`",
    "E322": "convert it, as in `int(score) > 3`, or test for `None` before",
    "E324": "`pip install pyarrow`, or save the rows as JSON Lines",
}


class Loaded(Struct, frozen=True):
    data: DataSet
    sha256: str
    rows: tuple[Row, ...]
    hashes: Mapping[bytes, int]  # normalised prompt -> first row that has it


class _Read(Struct, frozen=True):
    """What is in a file: how many rows with which columns, what each is that `where` keeps, the
    first row of each prompt, and the pairs of rows that repeat one."""

    total: int
    columns: tuple[str, ...]
    found: tuple[Row | Fault, ...]
    first: Mapping[bytes, int]
    again: tuple[tuple[int, int], ...]


def _read(path: Path, data: DataSet) -> _Read:
    raw = list(read_file(path, data.format))
    columns = {column: None for _, item in raw if isinstance(item, Mapping) for column in item}
    found = tuple(rows_of(raw, data.view))
    first, again = first_rows(row for row in found if isinstance(row, Row))
    return _Read(len(raw), tuple(columns), found, first, tuple(again))


def load(
    spec: Spec, data: DataSet, path: Path, recall: Recall, diagnostics: Diagnostics
) -> Loaded | None:
    span = spec.at("data", data.name, "path")
    if any(c not in (*COLUMNS, *EXTRA) for c in data.columns):
        return None  # the structure check refused it
    try:
        where = data.where and data.where.text
        how = (data.format, data.role, where, data.extra, *sorted(data.columns.items()))
        read = recall(path, how, partial(_read, path, data))
        sha256 = recall(path, content_digest, partial(content_digest, path))
    except OSError as error:
        diagnostics.error("E005", f"`{data.path}`: {error.strerror}", span)
        return None
    if read.columns and not _check_columns(spec, data, read.columns, diagnostics):
        return None
    if read.columns and not _check_where(spec, data, read.columns, diagnostics):
        return None
    faults = [f for f in read.found if isinstance(f, Fault)]
    rows = tuple(r for r in read.found if isinstance(r, Row))
    if faults:
        _report_faults(spec, data, faults, len(read.found), diagnostics)
        return None
    few = too_few(data.path, data.role, len(rows))
    if few:
        kept = data.where is not None
        notes = [Note(f"`where` keeps {len(rows)} of {read.total} rows")] if kept else []
        place = spec.at("data", data.name, "where" if kept else "path")
        remedy = "add rows, or let `where` keep more" if kept else "add rows"
        diagnostics.error("E308", few, place, remedy, notes)
        return None
    if data.sample is not None and data.sample > len(rows):
        diagnostics.error(
            "E204",
            f"`sample` asks for {data.sample} rows and `{data.path}` has {len(rows)}",
            spec.at("data", data.name, "sample"),
            f"write at most {len(rows)}, or remove `sample`",
        )
    if read.again:
        _report_repeats(spec, data, len(rows), read.again, diagnostics)
    return Loaded(data, sha256, rows, read.first)


def _check_columns(
    spec: Spec, data: DataSet, columns: tuple[str, ...], diagnostics: Diagnostics
) -> bool:
    """Whether some row has each column that `columns` names, and the ones that are needed."""
    wanted = dict(data.columns)
    if "messages" not in columns:
        wanted = {**{name: name for name in data.view.needed}, **wanted}
    lacking = [n for n, c in wanted.items() if not {c, c.split(".")[0]} & set(columns)]
    listed = ", ".join(f"`{column}`" for column in columns)
    if len(lacking) == len(wanted) > 1:  # what is wrong is the file, or that it is this file
        remedy = f"its columns are {listed}: map them, as in `columns {{ prompt = COLUMN }}`"
        if data.format == "csv":
            apart = "set the fields apart by commas" if len(columns) == 1 else None
            remedy = f"{apart or remedy}; a CSV's first line names its columns"
        names = ", ".join(dict.fromkeys(f"`{wanted[name]}`" for name in lacking))
        message = f"`{data.path}` has none of the columns {names}"
        diagnostics.error("E306", message, spec.at("data", data.name, "path"), remedy)
        return False
    for name in lacking:
        column, mapped = wanted[name], name in data.columns
        remedy = did_you_mean(column, columns) or f"name one of {listed}"
        if not mapped:
            guess = nearest(name, columns) or "COLUMN"
            remedy = f"write `columns {{ {name} = {guess} }}`; there are {listed}"
        diagnostics.error(
            "E306",
            f"`{data.path}` has no column `{column}`{'' if mapped else f' for the {name}'}",
            spec.at("data", data.name, *(("columns", name) if mapped else ("path",))),
            remedy,
        )
    return not lacking


def _check_where(
    spec: Spec, data: DataSet, columns: tuple[str, ...], diagnostics: Diagnostics
) -> bool:
    """Whether `where` reads columns that some row has: dagent's own names, or the file's."""
    named = {n: data.columns.get(n, n).split(".")[0] for n in (*COLUMNS, *data.extra)}
    chat = {"prompt", "answer"} if "messages" in columns else set()
    known = {*columns, *chat, *(n for n, column in named.items() if column in columns)}
    unknown = [n for n in (data.where.names if data.where else ()) if n[0] not in known]
    for name, start, end in unknown:
        assert data.where is not None
        diagnostics.error(
            "E321",
            f"`{data.path}` has no column `{name}`",
            inside_text(spec.at("data", data.name, "where"), data.where.text, start, end),
            did_you_mean(name, known, "columns: " + ", ".join(sorted(known))),
        )
    return not unknown


def _report_faults(
    spec: Spec, data: DataSet, faults: list[Fault], total: int, diagnostics: Diagnostics
) -> None:
    """The first few faults of each code, each naming file, row and column; then their number."""
    for code in sorted({f.code for f in faults}):
        of_code = [f for f in faults if f.code == code]
        first = of_code[0]
        notes = [Note(f"{_place(data, f)}: {f.message}") for f in of_code[1:SHOWN]]
        if len(of_code) > SHOWN:
            notes.append(Note(f"{len(of_code)} of {total} rows in all"))
        mapped = [name for name, v in data.columns.items() if v == first.column]
        place = ("columns", mapped[0]) if code == "E306" and mapped else ("path",)
        diagnostics.error(
            code,
            f"{_place(data, first)}: {first.message}",
            spec.at("data", data.name, *(("where",) if code == "E322" else place)),
            first.remedy or REMEDIES.get(code, "mend the row"),
            notes,
        )


def _place(data: DataSet, fault: Fault) -> str:
    return f"{data.path}, row {fault.row}" if fault.row else data.path


def _report_repeats(
    spec: Spec,
    data: DataSet,
    rows: int,
    again: tuple[tuple[int, int], ...],
    diagnostics: Diagnostics,
) -> None:
    diagnostics.warn(
        "E309",
        f"`{data.path}` repeats {len(again)} of {rows} prompts",
        spec.at("data", data.name, "path"),
        "remove the repetitions: they count twice and make intervals too narrow",
        [Note(f"rows {a} and {b} have the same prompt") for a, b in again[:SHOWN]],
    )
