"""Graders: a student's answer and the row it belongs to, to a score in 0..1.

A metric's grader is made once from the metric's parameters (``{"name", "grader", …}``) and then
called for every answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from dagent.compiler.reading import choice_reader, last_number
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.grade import RIGHT, Grade, Grader, shortened, wrong
from dagent.runtime.locked import loads, unchanged
from dagent.runtime.patterns import SLOW, search
from dagent.runtime.programs import limited, load_function
from dagent.runtime.rows import Row, cell, normalised

LONGEST = 60.0  # seconds for an answer, unless the metric says otherwise
TRUSTING = "trusting"
"""A key that no spec has: a rehearsal says by it that answers may be graded together."""


def grader(metric: Mapping[str, Any], project: Path) -> Grader:
    """The grader of a metric.

    Raises:
        Refused: when the user's grading program cannot be loaded.
    """
    match metric["grader"]:
        case "exact":
            return lambda answer, row: _same(answer.strip(), row["answer"].strip())
        case "normalised" | "judge":
            # Where one judge is asked for many answers, ``judging`` asks it; the rest compare a
            # row's own answer with another, which needs no opinion.
            return lambda answer, row: _same(normalised(answer), normalised(row["answer"]))
        case "numeric":
            return _numeric(metric.get("tolerance", 0.0), metric.get("relative_tolerance", 0.0))
        case "choice":
            return _choice(metric["choices"])
        case "regex":
            return _regex(metric["pattern"])
        case "json":
            from dagent.runtime.json_grader import json_grader

            return json_grader(metric.get("schema"), metric.get("fields"))
        case "code":
            from dagent.runtime.code_grader import code_grader

            return code_grader(metric.get("timeout"), metric.get(TRUSTING, False))
        case "sql":
            from dagent.runtime.sql_grader import sql_grader

            return sql_grader(metric.get("databases", {}), project)
        case "program":
            return _program(metric["program"], project, metric.get("timeout", LONGEST))
    raise ValueError(f"no grader {metric['grader']!r}")


def ready(metric: Mapping[str, Any], project: Path) -> Iterator[Diagnostic]:
    """What would make grading fail and can be seen before anything is graded."""
    match metric["grader"]:
        case "program":
            yield from loads(lambda: load_function(metric["program"], project))
        case "regex":
            try:
                search(metric["pattern"], "")
            except ValueError as error:
                what = f"`{metric['pattern']}` is no regular expression of the library `regex`"
                yield Diagnostic("E505", f"{what}: {error}", suggestion="mend the pattern")
        case "code":
            from dagent.runtime.sandbox import Sandbox

            yield from loads(lambda: Sandbox().close())
        case "sql":
            for name, sha256 in metric["databases"].items():
                yield from unchanged(f"the database `{name}`", project / name, sha256)


def _same(got: str, want: str) -> Grade:
    return RIGHT if got == want else wrong("another text")


def _numeric(tolerance: float, relative: float) -> Grader:
    """Numbers exactly as written. Either tolerance suffices; ``relative`` is to the right one."""
    least, share = Fraction(str(tolerance)), Fraction(str(relative))

    def grade(answer: str, row: Row) -> Grade:
        got, want = last_number(answer), last_number(row["answer"])
        if got is None or want is None:
            return wrong("no number in " + ("it" if got is None else "the right answer"))
        if abs(got - want) <= max(least, share * abs(want)):
            return RIGHT
        return wrong(f"{float(got):.12g} is not {float(want):.12g}")

    return grade


def _choice(choices: Sequence[str]) -> Grader:
    named = choice_reader(choices)

    def grade(answer: str, row: Row) -> Grade:
        got, want = named(answer), named(row["answer"])
        if got is None or want is None:
            return wrong("no choice in " + ("it" if got is None else "the right answer"))
        return RIGHT if got == want else wrong("another choice")

    return grade


def _regex(pattern: str) -> Grader:
    def extract(text: str) -> str | None:
        found = search(pattern, text)
        return None if found is None else (found[1] if found.re.groups else found[0])

    def grade(answer: str, row: Row) -> Grade:
        try:
            got, want = extract(answer), extract(row["answer"])
        except TimeoutError:
            return wrong(SLOW)
        if got is None:
            return wrong("the pattern is not in it")
        # The reference may be the bare value rather than a text to extract it from.
        return _same(got.strip(), (row["answer"] if want is None else want).strip())

    return grade


def _program(program: str, project: Path, seconds: float) -> Grader:
    """The user's function gives a score, or a score and a reason, within some seconds."""
    function = limited(load_function(program, project), program, seconds)

    def grade(answer: str, row: Row) -> Grade:
        said = function(answer, dict(row))  # what it does to its row is its own affair
        score, reason = said if isinstance(said, tuple) and len(said) == 2 else (said, "")
        try:
            number = float(score)
        except (TypeError, ValueError):
            number = math.nan
        # Weights such as 0.7 + 0.2 + 0.1 do not sum to 1, and right is what scores 1.
        number = next((end for end in (0.0, 1.0) if abs(number - end) < 1e-9), number)
        if not 0 <= number <= 1:
            raise Refused(
                Diagnostic(
                    "E815",
                    f"your grader `{program}` returned {said!r}",
                    suggestion="return a score in 0..1, or a score and a reason",
                    file=str(project / program.rpartition(":")[0]),
                )
            )
        return Grade(number, shortened(str(reason)))

    return grade


def average(scores: Sequence[float], rows: Sequence[Row], metric: Mapping[str, Any]) -> float:
    """``micro``: the mean over rows. ``macro``: the mean over skills of each skill's mean."""
    if not scores:
        return 0.0
    if not is_macro(metric):
        return sum(scores) / len(scores)
    means = by_skill(scores, rows).values()
    return sum(means) / len(means)


def is_macro(metric: Mapping[str, Any]) -> bool:
    return bool(metric.get("average") == "macro")


def weights(rows: Sequence[Row], metric: Mapping[str, Any]) -> list[float] | None:
    """What each row counts in the average, 1 in the mean; ``None`` where all count the same."""
    skills = [cell(row)[0] for row in rows]
    sizes = Counter(skills)
    if not is_macro(metric) or len(set(sizes.values())) < 2:
        return None
    return [len(rows) / (len(sizes) * sizes[skill]) for skill in skills]


def by_skill(scores: Sequence[float], rows: Sequence[Row]) -> dict[str, float]:
    """Mean score of each skill, sorted by name."""
    groups: dict[str, list[float]] = {}
    for score, row in zip(scores, rows, strict=True):
        groups.setdefault(cell(row)[0], []).append(score)
    return {skill: sum(v) / len(v) for skill, v in sorted(groups.items())}
