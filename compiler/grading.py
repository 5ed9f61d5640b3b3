"""How something is judged: the graders there are, what each is told, and what rows must bring."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
        named_in = choice_pattern(choices)
        row = next((r for r in rows if not named_in.search(r.answer)), None)
        remedy = "add it to `choices`, or correct the rows"
        key, problem = "choices", "names none of the `choices`"
    elif grader == "numeric":
        row = next((r for r in rows if not re.search(r"\d", r.answer)), None)
        remedy = "correct the row, or use another grader"
        key, problem = "grader", "holds no number"
    else:
        return None
    if row is None:
        return None
    said = row.answer if len(row.answer) <= 40 else row.answer[:39] + "…"
    if not said.strip():
        return Lack(row.number, "has an empty right answer", "give the row its answer")
    return Lack(row.number, f"has the right answer `{said}`, which {problem}", remedy, key)


def choice_pattern(choices: Iterable[str]) -> re.Pattern[str]:
    """Finds the first of the choices that a text names.

    >>> choice_pattern(["not", "not sure"]).search("I am Not sure.").group()
    'Not sure'
    """
    # Longest first, so that "not sure" is not read as "not".
    ordered = "|".join(re.escape(c) for c in sorted(choices, key=len, reverse=True))
    return re.compile(rf"(?<!\w)(?:{ordered})(?!\w)", re.IGNORECASE)
