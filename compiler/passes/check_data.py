"""The data sets: there, inside the project, readable, each in one role, none shared with test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from dagent.compiler.dataset import BRINGS, Row
from dagent.compiler.digests import content_digest
from dagent.compiler.facts import DataFacts, inside
from dagent.compiler.formats import TITLES
from dagent.compiler.grading import Lack, ungradable
from dagent.compiler.hub import pinned, read_pins
from dagent.compiler.passes.check_rows import Loaded, load
from dagent.compiler.rowchecks import SHOWN, must_not_share, shared, unlisted
from dagent.compiler.settings import Settings
from dagent.compiler.spec import DataSet, Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean, nearest

# Of a set whose rows are not at hand, for estimates only.
ASSUMED_ROWS, ASSUMED_CHARACTERS = 1000, 200.0


def check_data(
    spec: Spec, project: Path, settings: Settings, diagnostics: Diagnostics
) -> dict[str, DataFacts]:
    """What lowering needs to know of every data set; incomplete after a finding."""
    _check_roles(spec, diagnostics)
    loaded, facts = {}, {}
    for data, path in _check_paths(spec, project, diagnostics):
        if data.path:
            found = load(spec, data, path, settings.recall, diagnostics)
            if found is not None:
                loaded[data.name] = found
                facts[data.name] = _facts(spec, found)
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


def _facts(spec: Spec, item: Loaded) -> DataFacts:
    difficulties = {r.difficulty for r in item.rows if r.difficulty is not None}
    return DataFacts(
        sha256=item.sha256,
        rows=len(item.rows),
        characters=sum(len(r.prompt) + len(r.answer) for r in item.rows) / max(1, len(item.rows)),
        skills=tuple(sorted({r.skill for r in item.rows if r.skill is not None})),
        skill_sizes=Counter(r.skill or "" for r in item.rows),
        difficulties=tuple(sorted(difficulties, key=lambda d: (isinstance(d, str), d))),
        ungradable=_ungradable(spec, item),
        databases=_databases(item.rows),
        longest=max(
            ((r.number, r.prompt) for r in item.rows), key=lambda r: len(r[1]), default=None
        ),
        answered=max(
            ((r.number, r.answer) for r in item.rows), key=lambda r: len(r[1]), default=None
        ),
    )


def _ungradable(spec: Spec, item: Loaded) -> dict[str, Lack]:
    found = {
        m.name: ungradable(item.rows, m.grader, m.options)
        for m in spec.criteria.metrics
        if m.name in spec.judged_by(item.data)
    }
    return {name: lack for name, lack in found.items() if lack is not None}


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
    guards = {d.name for d in spec.data if d.role == "guard"}
    # One that is misspelt there is said there.
    guarded = {nearest(g.set, guards) or g.set for g in spec.criteria.guards if not g.task}
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


def _check_overlap(spec: Spec, loaded: Mapping[str, Loaded], diagnostics: Diagnostics) -> None:
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
                f"`{one}` and `{other}` share {len(same)} prompt{'' if len(same) == 1 else 's'}",
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
