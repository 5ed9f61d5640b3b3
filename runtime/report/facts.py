"""What a report says of one execution, or of one variant of it: from its journal and the store.

``past`` is a list of events as ``projection`` takes it. A file that is no longer in the store gives
``None`` or nothing, never an error: a report of an old execution says what is left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Plan, local
from dagent.compiler.rates import Span, together
from dagent.runtime.history import STORE, seconds_of
from dagent.runtime.journal import read_events
from dagent.runtime.projection import Event, output_path, rounds
from dagent.runtime.rows import Row, cell, named_skills, read_json, read_rows
from dagent.runtime.status import RUNS, execution_id
from dagent.runtime.steps.train import PEAK

EXAMPLES = 3  # shown of each kind and round


@dataclass(frozen=True, slots=True)
class Reason:
    """Why rows left: how many, and one of them where it may be shown."""

    says: str
    rows: int
    example: Row | None


@dataclass(frozen=True, slots=True)
class Flow:
    """Where a round's rows went. Every candidate is in exactly one of ``rejected``, ``duplicates``,
    ``leaks``, ``unchosen`` and ``added``; ``trained`` counts those of earlier rounds too.
    ``repeated`` rows of a program were never candidates: others were made in their place."""

    round: int
    candidates: int
    rejected: int
    repaired: int
    duplicates: int
    leaks: int
    unchosen: int
    added: int
    trained: int
    aside: int
    repeated: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A select row that was answered rightly before a round and wrongly after it, or vice versa."""

    row: Row
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All rows that moved, and some of them; against the champion that the round challenged."""

    round: int
    fixed: int
    broken: int
    examples_fixed: tuple[Change, ...]
    examples_broken: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class DataSet:
    """``digest`` is the SHA-256 of the locked file, or of the rows where no file was locked."""

    name: str
    role: str
    source: str
    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of all steps of a kind that ran: as estimated (low, likely, high), and as taken."""

    kind: str
    steps: int
    estimated: Span
    actual: float


def result(past: Sequence[Event], project: Path) -> Mapping[str, Any] | None:
    """What the step ``result`` found on test; ``None`` before the end."""
    path = stored(past, "result", "result", project)
    return read_json(path) if path else None


def test_rows(past: Sequence[Event], project: Path) -> int:
    """How many rows test has; 0 before it was opened."""
    path = stored(past, "test.champion", "answers", project)
    return _lines(path) if path else 0


def rows_by_skill(past: Sequence[Event], step: str, project: Path) -> Counter[str]:
    """How many rows of each skill a step had answered; empty where its answers are gone."""
    path = stored(past, step, "answers", project)
    skills = Counter(cell(row)[0] for row in read_rows(path)) if path else {}
    return Counter(named_skills(skills))


def opened_elsewhere(past: Sequence[Event], plan: Plan, project: Path) -> list[str]:
    """The other executions of this folder that tested a champion on the same rows of test."""
    named = {s.id for s in plan.steps if s.kind == "data" and s.params["role"] == "test"}
    test = {made for step, made in _rows_made(past) if step in named}
    found = []
    for path in sorted((project / RUNS).glob("*/journal.jsonl")):
        if path.parent.name == execution_id(plan.id):
            continue
        other = read_events(path)
        tested = any(
            e["event"] == "step_finished" and local(e["step"]) == "test.champion" for e in other
        )
        if tested and not test.isdisjoint(made for _, made in _rows_made(other)):
            found.append(path.parent.name)
    return found


def _rows_made(past: Sequence[Event]) -> list[tuple[str, str]]:
    """Each data set's step, and the digest of its rows."""
    done = (e for e in past if e["event"] == "step_finished" and e["kind"] == "data")
    return [(e["step"], e["outputs"]["rows"]["digest"]) for e in done]


def looks(past: Sequence[Event]) -> int:
    """How often the select half was looked at: once for the base and once for every round."""
    return len(rounds(past))


def trainings(past: Sequence[Event]) -> int:
    """How many rounds were trained, also where an equal training was done before."""
    return len({e["step"] for e in past if e["event"] == "step_finished" and e["kind"] == "train"})


def flows(past: Sequence[Event], project: Path) -> list[Flow]:
    """Of the rounds whose rows are all still there."""
    found = []
    for number in rounds(past):
        if number == 0:
            continue
        try:
            found.append(_flow(past, project, number))
        except FileNotFoundError:
            continue
    return found


def _flow(past: Sequence[Event], project: Path, number: int) -> Flow:
    def rows(step: str, output: str) -> list[Row]:
        path = stored(past, f"r{number}.{step}", output, project)
        if path is None:
            raise FileNotFoundError(f"r{number}.{step}/{output}")
        return read_rows(path)

    judge = "refine" if stored(past, f"r{number}.refine", "rejects", project) else "verify"
    candidates, verified = rows("generate", "candidates"), rows(judge, "verified")
    rejects, duplicates = rows(judge, "rejects"), rows("dedupe", "duplicates")
    clean, leaks = rows("decontaminate", "rows"), rows("decontaminate", "leaks")
    added = rows("mix", "added")
    aside = stored(past, f"r{number}.gate", "aside", project)
    return Flow(
        number,
        candidates=len(candidates),
        rejected=len(rejects),
        repaired=sum("refined" in row for row in verified),
        duplicates=len(duplicates),
        leaks=len(leaks),
        unchosen=len(clean) - len(added),
        added=len(added),
        trained=len(rows("mix", "train")),
        aside=len(read_rows(aside)) if aside else 0,
        repeated=_measured(past, f"r{number}.generate", "repeated"),
        reasons=(
            *_reasons("rejected", rejects),
            *_reasons("duplicate", duplicates, shown=False),
            # What overlaps with test may not be shown: it may be a test row.
            *_reasons("leak", leaks, shown=False),
        ),
    )


def _measured(past: Sequence[Event], step: str, name: str) -> int:
    done = (e["metrics"] for e in past if e["event"] == "step_finished" and e["step"] == step)
    return round(max((metrics.get(name, 0) for metrics in done), default=0))


def _reasons(what: str, rows: Sequence[Row], shown: bool = True) -> Iterator[Reason]:
    """The kinds of reason, most frequent first, each with its first row."""
    first: dict[str, Row] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        says = kind_of(str(row.get("reason", "")), str(row.get("matches", "")))
        counts[says] += 1
        first.setdefault(says, row)
    for says, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        yield Reason(f"{what}: {says}", n, first[says] if shown else None)


def kind_of(reason: str, matches: str = "") -> str:
    """A reason without what differs from row to row: the row that it ``matches``, quoted texts,
    numbers, what follows a colon. Rows of the user's have ids of any form.

    >>> kind_of("asks the same as row q-17", "q-17")
    'asks the same as another row'
    >>> kind_of("the same question as dev row 17", "dev row 17")
    'the same question as a row of dev'
    >>> kind_of("near-duplicate of row 0123456789abcdef")
    'near-duplicate of another row'
    >>> kind_of("prints 'a: b', not 21")
    'prints …, not …'
    """
    place, at, _ = matches.partition(" row ")
    named = (matches, f"a row of {place}") if at else (f"row {matches}", "another row")
    said = reason.replace(*named) if matches else reason
    said = re.sub(r"\brow [0-9a-f]{16}\b", "another row", said)
    return re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\b\d[\d.]*\b", "…", said).split(":")[0]


def changes(past: Sequence[Event], project: Path) -> list[Changes]:
    """Of each round: the student's answers on select against those of the champion before it."""
    found = []
    metric = next(e["metric"] for e in past if e["event"] == "execution_started")
    numbers = list(rounds(past))
    for before, number in pairwise(numbers):
        old = stored(past, f"r{before}.gate", "answers", project)
        new = stored(past, f"r{number}.evaluate", "answers", project)
        if old and new:
            found.append(changed(number, read_rows(old), read_rows(new), metric))
    return found


def changed(number: int, old: Sequence[Row], new: Sequence[Row], metric: str) -> Changes:
    """Rows are the same on both sides and in the same order."""
    pairs = [
        (o, n, n["scores"][metric] - o["scores"][metric]) for o, n in zip(old, new, strict=True)
    ]
    fixed = [Change(n, o["output"], n["output"]) for o, n, gain in pairs if gain > 0]
    broken = [Change(n, o["output"], n["output"]) for o, n, gain in pairs if gain < 0]
    return Changes(number, len(fixed), len(broken), _spread(fixed), _spread(broken))


def _spread(found: Sequence[Change]) -> tuple[Change, ...]:
    """Some of them, of as many skills as there are; always the same ones."""
    turns: Counter[Any] = Counter()
    ranked: list[tuple[int, int, Change]] = []
    for change in sorted(found, key=lambda c: (len(c.row["prompt"]), c.row["id"])):
        skill = change.row.get("skill")
        ranked.append((turns[skill], len(ranked), change))
        turns[skill] += 1
    return tuple(change for _, _, change in sorted(ranked, key=lambda r: r[:2])[:EXAMPLES])


def data_sets(past: Sequence[Event], plan: Plan | None, project: Path) -> list[DataSet]:
    found = {}
    params = {s.id: s.params for s in plan.steps if s.kind == "data"} if plan else {}
    for event in past:
        if event["event"] != "step_finished" or event["kind"] != "data":
            continue
        known = params.get(event["step"], {})
        made = event["outputs"]["rows"]
        path = project / STORE / made["path"]
        name = event["step"].removeprefix("data.")
        found[name] = DataSet(
            name,
            known.get("role", ""),
            str(known.get("path") or known.get("program") or known.get("hub") or ""),
            _lines(path) if path.is_file() else 0,
            known.get("sha256") or made["digest"],
        )
    return [found[name] for name in sorted(found)]


def took(past: Sequence[Event], plan: Plan, spans: Mapping[str, Span]) -> list[Took]:
    """By kind of step, the longest first; of steps that ran and were not reused. ``spans`` is what
    was expected of each."""
    seconds = seconds_of(past)
    by_kind: dict[str, list[Any]] = {}
    for step in plan.steps:
        if step.id in seconds:
            by_kind.setdefault(step.kind, []).append(step)
    found = [
        Took(
            kind,
            len(steps),
            together(spans[s.id] for s in steps if s.id in spans),
            sum(seconds[s.id] for s in steps),
        )
        for kind, steps in by_kind.items()
    ]
    return sorted(found, key=lambda t: -t.actual)


def peak_memory(past: Sequence[Event]) -> float:
    """Most bytes of tensors that a training held on its first accelerator; 0 without one."""
    found = (e["metrics"] for e in past if e["event"] == "step_finished" and e["kind"] == "train")
    return max((metrics.get(PEAK, 0) for metrics in found), default=0)


def _lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def stored(past: Sequence[Event], step: str, output: str, project: Path) -> Path | None:
    """A file that a step made, if it is still there."""
    relative = output_path(past, step, output)
    path = project / STORE / relative if relative else None
    return path if path and path.is_file() else None
