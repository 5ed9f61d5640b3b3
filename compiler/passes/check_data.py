"""The data sets: there, inside the project, readable, each in one role, none shared with test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dagent.compiler.dataset import BRINGS, COLUMNS, EXTRA, Row, rows_of
from dagent.compiler.digests import content_digest
from dagent.compiler.facts import DataFacts, inside
from dagent.compiler.formats import TITLES, Fault, read_file
from dagent.compiler.grading import ungradable
from dagent.compiler.hub import pinned, read_pins
from dagent.compiler.read import inside_text
from dagent.compiler.rowchecks import SHOWN, first_rows, must_not_share, shared, too_few, unlisted
from dagent.compiler.settings import Recall, Settings
from dagent.compiler.spec import DataSet, Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean, nearest

REMEDIES = {
    "E306": "name the right column in `columns { … }`",
    "E322": "convert it, as in `int(score) > 3`, or test for `None` before",
    "E324": "`pip install pyarrow`, or save the rows as JSON Lines",
}
# Of a set whose rows are not at hand, for estimates only.
ASSUMED_ROWS, ASSUMED_CHARACTERS = 1000, 200.0


@dataclass(frozen=True)
class _Loaded:
    data: DataSet
    sha256: str
    rows: tuple[Row, ...]
    hashes: Mapping[bytes, int]  # normalised prompt -> first row that has it


def check_data(
    spec: Spec, project: Path, settings: Settings, diagnostics: Diagnostics
) -> dict[str, DataFacts]:
    """What lowering needs to know of every data set; incomplete after a finding."""
    _check_roles(spec, diagnostics)
    loaded, facts = {}, {}
    for data, path in _check_paths(spec, project, diagnostics):
        if data.path:
            found = _load(spec, data, path, settings.recall, diagnostics)
            if found is not None:
                loaded[data.name] = found
                facts[data.name] = _facts(found)
        else:
            sha256 = settings.recall(path, content_digest, partial(content_digest, path))
            facts[data.name] = _later(data, sha256=sha256)
    # What a lock pinned stays pinned until the spec asks for something else.
    pins = read_pins(project / "dagent.lock") if settings.pins is None else settings.pins
    for data in spec.data:
        if data.program:
            facts[data.name] = _later(data)
        elif data.hub and not data.local_hub:
            commit = pinned(data.hub, data.revision, pins, settings.env)
            if commit is None:
                _report_unpinned(spec, data, diagnostics)
            else:
                facts[data.name] = _later(data, revision=commit)
    _check_overlap(spec, loaded, diagnostics)
    _check_cells(spec, facts, diagnostics)
    return facts


def _facts(item: _Loaded) -> DataFacts:
    difficulties = {r.difficulty for r in item.rows if r.difficulty is not None}
    return DataFacts(
        sha256=item.sha256,
        rows=len(item.rows),
        characters=sum(len(r.prompt) + len(r.answer) for r in item.rows) / max(1, len(item.rows)),
        skills=tuple(sorted({r.skill for r in item.rows if r.skill is not None})),
        difficulties=tuple(sorted(difficulties, key=lambda d: (isinstance(d, str), d))),
        ungradable={g: row.number for g in BRINGS if (row := ungradable(item.rows, g))},
        databases=_databases(item.rows),
    )


def _databases(rows: Iterable[Row]) -> dict[str, int]:
    """The first row that names each database."""
    found: dict[str, int] = {}
    for row in rows:
        if "database" in row.values:
            found.setdefault(row.values["database"], row.number)
    return found


def _later(data: DataSet, sha256: str | None = None, revision: str | None = None) -> DataFacts:
    """Of a set whose rows are fetched or made when the plan runs, and checked then."""
    rows = data.sample or ASSUMED_ROWS
    return DataFacts(sha256, rows, ASSUMED_CHARACTERS, revision=revision, known=False)


def _report_unpinned(spec: Spec, data: DataSet, diagnostics: Diagnostics) -> None:
    asked = f"`{data.revision}` of `{data.hub}`" if data.revision else f"`{data.hub}`"
    diagnostics.error(
        "E323",
        f"nothing here says which commit {asked} is, and compiling asks no network",
        spec.at("data", data.name, "revision" if data.revision else "hub"),
        f'write `revision = "<commit>"`, the 40 digits that'
        f" `git ls-remote https://huggingface.co/datasets/{data.hub}` shows",
    )


def _check_roles(spec: Spec, diagnostics: Diagnostics) -> None:
    for role in ("dev", "test"):
        having = [d for d in spec.data if d.role == role]
        if not having:
            diagnostics.error(
                "E305",
                f"no data set has the role `{role}`",
                spec.key("data"),
                f'add `data {role} {{ role = {role}  path = "{role}.jsonl" }}`',
            )
        for extra in having[1:]:
            diagnostics.error(
                "E312",
                f"two data sets have the role `{role}`",
                spec.at("data", extra.name, "role"),
                "keep one, or join their files",
                [Note("the other is here", spec.at("data", having[0].name, "role"))],
            )
    guarded = {g.set for g in spec.criteria.guards}
    for data in spec.data:
        if data.role == "guard" and data.name not in guarded:
            diagnostics.error(
                "E313",
                f"nothing guards `{data.name}`: `criteria` has no `guard {data.name}`",
                spec.at("data", data.name, "role"),
                f"add `guard {data.name} {{ max_drop = 2pp }}` to `criteria`",
            )


def _check_paths(spec: Spec, project: Path, diagnostics: Diagnostics) -> list[tuple[DataSet, Path]]:
    """The files and folders that are there; one in two sets of different splits is refused."""
    found: list[tuple[DataSet, Path]] = []
    for data in spec.data:
        key, source = data.source
        if not source or data.program or (data.hub and not data.local_hub):
            continue
        span = spec.at("data", data.name, key)
        path = inside(source, project, span, diagnostics)
        if path is None:
            continue
        if not (path.is_dir() if data.hub else path.is_file()):
            kind = "folder" if data.hub else "file"
            near = _similar(path)
            remedy = f"did you mean `{near}`?" if near else _wanted(data)
            diagnostics.error("E301", f"there is no {kind} `{source}`", span, remedy)
            continue
        same = next((d for d, p in found if _same_rows(d, data) and p.samefile(path)), None)
        if same is not None:
            diagnostics.error(
                "E303",
                f"`{same.name}` and `{data.name}` read the same file",
                span,
                "give each its own file",
                [Note(f"`{same.name}` reads it here", spec.at("data", same.name, key))],
            )
            continue
        found.append((data, path))
    return found


def _same_rows(one: DataSet, other: DataSet) -> bool:
    return (one.config, one.split) == (other.config, other.split)


def _wanted(data: DataSet) -> str:
    """What to put in the place of a missing file, by the names that its own columns have."""
    brought = [names for names in BRINGS.values() if set(names) <= set(data.extra)]
    needed = [(name,) for name in data.view.needed] + (brought if data.view.answers else [])
    *first, last = [_either(data, names) for names in needed]
    listed = f"{', '.join(first)} and {last}" if first else last
    form = f" of {TITLES[data.format]}" if data.path else ""
    skill = f" (and {_either(data, ('skill',))}, if there are several)" if data.view.answers else ""
    return f"put rows{form} there with {listed}{skill}, or correct the path"


def _either(data: DataSet, names: Iterable[str]) -> str:
    return " or ".join(f"`{data.columns.get(name, name)}`" for name in names)


def _similar(path: Path) -> str | None:
    known = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, known)


@dataclass(frozen=True)
class _Read:
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


def _load(
    spec: Spec, data: DataSet, path: Path, recall: Recall, diagnostics: Diagnostics
) -> _Loaded | None:
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
        diagnostics.error("E308", few, place, "add rows", notes)
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
    return _Loaded(data, sha256, rows, read.first)


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
        mapped = code == "E306" and any(v == first.column for v in data.columns.values())
        place = "columns" if mapped else "where" if code == "E322" else "path"
        diagnostics.error(
            code,
            f"{_place(data, first)}: {first.message}",
            spec.at("data", data.name, place),
            REMEDIES.get(code, "mend the row"),
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


def _check_overlap(spec: Spec, loaded: Mapping[str, _Loaded], diagnostics: Diagnostics) -> None:
    """Test shares no prompt with what training, the gate or the engineer can see, and neither do
    guards and dev with what they must not be learned from."""
    pairs = sorted(
        (a.data.name, b.data.name)
        for a in loaded.values()
        for b in loaded.values()
        if must_not_share(a.data.role, b.data.role)
    )
    for one, other in pairs:
        ours, theirs = loaded[one], loaded[other]
        same = shared(ours.hashes, theirs.hashes)
        if same:
            notes = [
                Note(f"{ours.data.path} row {a} is {theirs.data.path} row {b}")
                for a, b in same[:SHOWN]
            ]
            notes.append(Note(f"`{other}` is declared here", spec.at("data", other, "path")))
            diagnostics.error(
                "E304",
                f"`{one}` and `{other}` share {len(same)} prompts",
                spec.at("data", one, "path"),
                "remove them from one of the two files",
                notes,
            )


def _check_cells(spec: Spec, facts: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    """Where the domain lists skills or difficulties, dev asks for these and no others: rows of
    another would be measured and never taught, and an unmeasured skill taught blindly."""
    dev = next((d for d in spec.data if d.role == "dev" and d.name in facts), None)
    if dev is None or not facts[dev.name].known:
        return
    for key, listed, seen in (
        ("skills", spec.domain.skills, facts[dev.name].skills),
        ("difficulties", spec.domain.difficulties, facts[dev.name].difficulties),
    ):
        if listed is None:
            continue
        for value in unlisted(seen, listed):
            diagnostics.error(
                "E314",
                f"`{dev.path}` has rows of `{value}`, which `domain.{key}` does not list",
                spec.key("domain", key),
                did_you_mean(str(value), map(str, listed), f"add it to `{key}`"),
                [Note("the data set is here", spec.at("data", dev.name, "path"))],
            )
        for index, value in enumerate(listed):
            if value not in seen:
                diagnostics.warn(
                    "E315",
                    f"`{dev.path}` has no row of `{value}`, so nothing measures it",
                    spec.at("domain", key, index),
                    "add rows, or remove it from the list",
                )
