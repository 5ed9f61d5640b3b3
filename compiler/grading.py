"""How something is judged: the graders there are, what each is told, and what rows must bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
    "program": (("program",), ()),
}

# Graders that judge otherwise than they once did, so that what was judged then is judged again.
VERSIONS: Mapping[str, int] = {"code": 2, "numeric": 2}


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


def ungradable(rows: Iterable[Row], grader: str) -> Row | None:
    """The first row that brings nothing the grader could judge an answer by."""
    brings = BRINGS.get(grader)
    if brings is None:
        return None
    return next((row for row in rows if not any(row.values.get(c) for c in brings)), None)


def lacks(grader: str) -> str:
    """
    >>> lacks("sql")
    'has neither `database` nor `schema_sql`, which the grader `sql` needs'
    """
    brings = BRINGS[grader]
    named = f"no `{brings[0]}`" if len(brings) == 1 else f"neither `{brings[0]}` nor `{brings[1]}`"
    return f"has {named}, which the grader `{grader}` needs"
