"""The data sets: there, inside the project, readable, each in one role, none shared with test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dagent.compiler.dataset import COLUMNS, Fault, Row, prompt_hash, read_rows
from dagent.compiler.digests import content_digest
from dagent.compiler.facts import DataFacts, inside
from dagent.compiler.settings import Recall
from dagent.compiler.spec import DataSet, Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean, nearest

SHOWN = 5  # faults of one file that are shown; the rest are counted
# Least rows of a role. Dev is split in two, and a paired exact test on fewer than 10 rows cannot
# reach 0.05 unless it wins at least 5 of them without a loss; on test an interval needs some.
LEAST = {"dev": 20, "test": 10, "guard": 5}


@dataclass(frozen=True)
class _Loaded:
    data: DataSet
    sha256: str
    rows: tuple[Row, ...]
    hashes: Mapping[bytes, int]  # normalised prompt -> first row that has it


def check_data(
    spec: Spec, project: Path, recall: Recall, diagnostics: Diagnostics
) -> dict[str, DataFacts]:
    """What lowering needs to know of every data set; incomplete after a finding."""
    _check_roles(spec, diagnostics)
    paths = _check_paths(spec, project, diagnostics)
    loaded = {}
    for name, path in paths.items():
        data = next(d for d in spec.data if d.name == name)
        found = _load(spec, data, path, recall, diagnostics)
        if found is not None:
            loaded[name] = found
    _check_overlap(spec, loaded, diagnostics)
    facts = {name: _facts(item) for name, item in loaded.items()}
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


def _check_paths(spec: Spec, project: Path, diagnostics: Diagnostics) -> dict[str, Path]:
    """The files that are there, by data set; one file in two sets is refused."""
    paths: dict[str, Path] = {}
    for data in spec.data:
        span = spec.at("data", data.name, "path")
        path = inside(data.path, project, span, diagnostics) if data.path else None
        if path is None:
            continue
        if not path.is_file():
            diagnostics.error("E301", f"there is no file `{data.path}`", span, _similar(path))
            continue
        same = next((n for n, p in paths.items() if p.samefile(path)), None)
        if same is not None:
            diagnostics.error(
                "E303",
                f"`{same}` and `{data.name}` read the same file",
                span,
                "give each its own file",
                [Note(f"`{same}` reads it here", spec.at("data", same, "path"))],
            )
            continue
        paths[data.name] = path
    return paths


def _similar(path: Path) -> str:
    known = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    name = nearest(path.name, known)
    return f"did you mean `{name}`?" if name else "correct the path; it is relative to the spec"


def _load(
    spec: Spec, data: DataSet, path: Path, recall: Recall, diagnostics: Diagnostics
) -> _Loaded | None:
    span = spec.at("data", data.name, "path")
    unknown = [c for c in data.columns if c not in COLUMNS]
    if unknown:
        return None  # the structure check refused it
    try:
        how = (data.format, *sorted(data.columns.items()))
        found, hashes = recall(path, how, lambda: _read(path, data))
        sha256 = recall(path, content_digest, lambda: content_digest(path))
    except OSError as error:
        diagnostics.error("E005", f"`{data.path}`: {error.strerror}", span)
        return None
    faults = [f for f in found if isinstance(f, Fault)]
    rows = tuple(r for r in found if isinstance(r, Row))
    if faults:
        _report_faults(spec, data, faults, len(found), diagnostics)
        return None
    least = LEAST[data.role]
    if len(rows) < least:
        diagnostics.error(
            "E308",
            f"`{data.path}` has {len(rows)} rows; a {data.role} set needs at least {least}",
            span,
            "add rows",
        )
        return None
    if data.sample is not None and data.sample > len(rows):
        diagnostics.error(
            "E204",
            f"`sample` asks for {data.sample} rows and `{data.path}` has {len(rows)}",
            spec.at("data", data.name, "sample"),
            f"write at most {len(rows)}, or remove `sample`",
        )
    return _Loaded(data, sha256, rows, _hashes(spec, data, rows, hashes, diagnostics))


def _read(path: Path, data: DataSet) -> tuple[list[Row | Fault], list[bytes]]:
    """What each row of the file is, and the hash of each prompt that there is."""
    found = list(read_rows(path, data.format, data.columns))
    return found, [prompt_hash(row.prompt) for row in found if isinstance(row, Row)]


def _report_faults(
    spec: Spec, data: DataSet, faults: list[Fault], total: int, diagnostics: Diagnostics
) -> None:
    """The first few faults of each code, each naming file, row and column; then their number."""
    for code in sorted({f.code for f in faults}):
        of_code = [f for f in faults if f.code == code]
        first = of_code[0]
        notes = [Note(f"{data.path}, row {f.row}: {f.message}") for f in of_code[1:SHOWN]]
        if len(of_code) > SHOWN:
            notes.append(Note(f"{len(of_code)} of {total} rows in all"))
        mapped = code == "E306" and any(v == first.column for v in data.columns.values())
        diagnostics.error(
            code,
            f"{data.path}, row {first.row}: {first.message}",
            spec.at("data", data.name, "columns" if mapped else "path"),
            "name the right column in `columns { … }`" if code == "E306" else "mend the row",
            notes,
        )


def _hashes(
    spec: Spec,
    data: DataSet,
    rows: tuple[Row, ...],
    hashes: list[bytes],
    diagnostics: Diagnostics,
) -> dict[bytes, int]:
    """First row of each prompt. A prompt that is there twice counts twice: a warning."""
    first: dict[bytes, int] = {}
    again: list[tuple[int, int]] = []
    for row, key in zip(rows, hashes, strict=True):
        if key in first:
            again.append((first[key], row.number))
        else:
            first[key] = row.number
    if again:
        diagnostics.warn(
            "E309",
            f"`{data.path}` repeats {len(again)} of {len(rows)} prompts",
            spec.at("data", data.name, "path"),
            "remove the repetitions: they count twice and make intervals too narrow",
            [Note(f"rows {a} and {b} have the same prompt") for a, b in again[:SHOWN]],
        )
    return first


def _check_overlap(spec: Spec, loaded: Mapping[str, _Loaded], diagnostics: Diagnostics) -> None:
    """Test shares no prompt with dev or a guard, which training or the gate can see; dev shares
    none with a guard, which would let the engineer read what must stay unseen."""
    pairs = sorted(
        (a.data.name, b.data.name)
        for a in loaded.values()
        for b in loaded.values()
        if (a.data.role, b.data.role) in (("test", "dev"), ("test", "guard"), ("guard", "dev"))
    )
    for one, other in pairs:
        ours, theirs = loaded[one], loaded[other]
        shared = sorted(
            (ours.hashes[h], theirs.hashes[h]) for h in ours.hashes.keys() & theirs.hashes
        )
        if shared:
            notes = [
                Note(f"{ours.data.path} row {a} is {theirs.data.path} row {b}")
                for a, b in shared[:SHOWN]
            ]
            notes.append(Note(f"`{other}` is declared here", spec.at("data", other, "path")))
            diagnostics.error(
                "E304",
                f"`{one}` and `{other}` share {len(shared)} prompts",
                spec.at("data", one, "path"),
                "remove them from one of the two files",
                notes,
            )


def _check_cells(spec: Spec, facts: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    """Where the domain lists skills or difficulties, dev asks for these and no others: rows of
    another would be measured and never taught, and an unmeasured skill taught blindly."""
    dev = next((d for d in spec.data if d.role == "dev" and d.name in facts), None)
    if dev is None:
        return
    for key, listed, seen in (
        ("skills", spec.domain.skills, facts[dev.name].skills),
        ("difficulties", spec.domain.difficulties, facts[dev.name].difficulties),
    ):
        if listed is None:
            continue
        for value in seen:
            if value not in listed:
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
