"""How something is judged: the graders there are, what each is told, and what rows must bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from dagent.compiler.dataset import BRINGS, Row
from dagent.compiler.models import KEYS, read_lm
from dagent.compiler.read import Reader

GRADERS = (
    "exact",
    "normalised",
    "numeric",
    "choice",
    "regex",
    "json",
    "code",
    "sql",
    "judge",
    "program",
)

# Options of each grader: those it needs, and those it may be given.
OPTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "exact": ((), ()),
    "normalised": ((), ()),
    "numeric": ((), ("tolerance", "relative_tolerance")),
    "choice": (("choices",), ()),
    "regex": (("pattern",), ()),
    "json": ((), ("schema", "fields")),
    "code": ((), ("timeout",)),
    "sql": ((), ()),
    "judge": (("lm",), (*KEYS[1:], "rubric")),
    "program": (("program",), ("timeout",)),
}

# Graders that judge otherwise than they once did, so that what was judged then is judged again.
VERSIONS: Mapping[str, int] = {
    "choice": 2,
    "code": 3,
    "json": 2,
    "numeric": 3,
    "program": 2,
    "regex": 2,
    "sql": 2,
}


def read_grading(block: Reader) -> tuple[str, dict[str, Any]]:
    """The grader of a block, and those of its options that were given. ``lm`` of a judge is a
    ``LanguageModel``, with all that is said of it."""
    grader = block.choice("grader", GRADERS, "exact")
    options: dict[str, Any] = {}
    if grader == "judge" and (lm := read_lm(block, None)):
        options["lm"] = lm
    for key in sorted({o for needed, optional in OPTIONS.values() for o in (*needed, *optional)}):
        if key in block and not (grader == "judge" and key in KEYS):
            seconds = key == "timeout"
            options[key] = block.amount(key, "time", None) if seconds else block.value(key)
    return grader, options


def columns(graders: Iterable[str]) -> tuple[str, ...]:
    """The further columns that rows carry for these graders."""
    return tuple(sorted({column for grader in graders for column in BRINGS.get(grader, ())}))


class Lack(Struct, frozen=True):
    """A row to which no answer can be right. ``why`` says it of the row; ``key`` is the metric's
    that is to blame."""

    row: int
    why: str
    remedy: str
    key: str = "grader"


def ungradable(rows: Iterable[Row], grader: str, options: Mapping[str, Any]) -> Lack | None:
    """The first row that brings nothing the grader could judge an answer by."""
    if brings := BRINGS.get(grader):
        named = "no " if len(brings) == 1 else "neither "
        named += " nor ".join(f"`{column}`" for column in brings)
        why = f"has {named}, which the grader `{grader}` needs"
        remedy = "add the column to the rows, or name it in `columns { … }`"
        return next(
            (Lack(r.number, why, remedy) for r in rows if not any(r.values.get(c) for c in brings)),
            None,
        )
    if grader == "choice" and (choices := options.get("choices")):
        from dagent.compiler.reading import choice_reader

        chosen = choice_reader(choices)
        row = next((r for r in rows if chosen(r.answer) is None), None)
        remedy = "add it to `choices`, or correct the rows"
        key, problem = "choices", "names none of the `choices`"
    elif grader == "numeric":
        from dagent.compiler.reading import last_number

        row = next((r for r in rows if last_number(r.answer) is None), None)
        remedy = "correct the row, or use another grader"
        key, problem = "grader", "holds no number"
    elif grader == "json" and (fields := options.get("fields")):
        return _without_fields(rows, fields)
    else:
        return None
    if row is None:
        return None
    return _lack(row, problem, remedy, key)


def _lack(row: Row, problem: str, remedy: str, key: str = "grader") -> Lack:
    said = row.answer if len(row.answer) <= 40 else row.answer[:39] + "…"
    if not said.strip():
        return Lack(row.number, "has an empty right answer", "give the row its answer")
    return Lack(row.number, f"has the right answer `{said}`, which {problem}", remedy, key)


def _without_fields(rows: Iterable[Row], fields: Sequence[str]) -> Lack | None:
    """A row whose answer is no JSON, or the first, where none has one of the fields: every answer
    without it would be right."""
    from dagent.compiler.reading import names, parsed

    first, missing = None, {field for field in fields if field != "*"}
    for row in rows:
        first = first or row
        try:
            found = set(names(parsed(row.answer)))
        except (ValueError, RecursionError) as error:
            return _lack(row, f"is no JSON: {error}", "correct the row")
        missing -= found
    if first is None or not missing:
        return None
    why = f"has, as all others, no field `{min(missing)}` in its right answer"
    return Lack(first.number, why, "correct the field's name, or the rows", "fields")
