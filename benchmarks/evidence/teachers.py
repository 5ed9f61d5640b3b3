"""Teachers with systematic faults: each domain's generator, wrong by rule on some of its rows.

A real teacher is not wrong at random: it has rules that it gets wrong, and nothing in the row's
text shows it. Here a rule applies wherever its condition holds, on ``SHARE`` of those rows, chosen
by their text, so that the same prompt always gets the same wrong answer. Only the verifier, which
works the answer out again, can tell. Each function is a generator like ``programs.generate``, and
this file is put beside that one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import programs as domain

SHARE = 0.6
Row = dict[str, Any]
Fault = Callable[[Row], str | None]
"""A row, rightly answered -> the answer that the teacher gives, None where no rule applies."""


def programs(skill: str, difficulty: int, n: int, seed: int) -> list[Row]:
    """Off by one: how far a rotation goes, where a slice ends, which element is picked."""
    return _taught(domain.generate(skill, difficulty, n, seed), _off_by_one)


def ledger(skill: str, difficulty: int, n: int, seed: int) -> list[Row]:
    """Skipped carries in sums and differences, and the sign of expenses ignored."""
    return _taught(domain.generate(skill, difficulty, n, seed), _miscounted)


def units(skill: str, difficulty: int, n: int, seed: int) -> list[Row]:
    """Inverted ratios, and factors that are dropped when a power is derived."""
    return _taught(domain.generate(skill, difficulty, n, seed), _misapplied)


def _taught(rows: list[Row], fault: Fault) -> list[Row]:
    return [
        {**row, "answer": wrong} if _unlucky(row) and (wrong := fault(row)) is not None else row
        for row in rows
    ]


def _unlucky(row: Row) -> bool:
    return hashlib.sha256(f"fault/{row['prompt']}".encode()).digest()[0] < 256 * SHARE


def _off_by_one(row: Row) -> str | None:
    prompt = row["prompt"]
    if row["skill"] == "rotate":
        wrong = re.sub(r"(?<=[\[:])\d", lambda m: str(int(m[0]) + 1), prompt)
    elif row["skill"] in ("slice", "cut_reverse"):
        wrong = re.sub(r"(?<=\[)(\d):(\d)", lambda m: f"{m[1]}:{int(m[2]) - 1}", prompt)
    elif row["skill"] == "sort_pick":
        wrong = re.sub(r"\[(-?\d)\](?=\)$)", lambda m: f"[{int(m[1]) + 1 or -2}]", prompt)
    else:
        return None
    return domain.run(wrong)


def _miscounted(row: Row) -> str | None:
    if row["skill"] == "balance":
        unsigned = re.sub(r" -(?=\d)", " +", row["prompt"])
        return domain.solve(unsigned) if unsigned != row["prompt"] else None
    if not (match := re.fullmatch(r"(\d+)([+-])(\d+)=(-?\d+)", row["answer"])):
        return None
    a, sign, b, result = int(match[1]), match[2], int(match[3]), int(match[4])
    if sign == "+" and a % 10 + b % 10 >= 10:
        return f"{a}+{b}={result - 10}"
    if sign == "-" and a > b and a % 10 < b % 10:
        return f"{a}-{b}={result + 10}"
    return None


def _misapplied(row: Row) -> str | None:
    answer = row["answer"]
    if row["skill"] in ("solve_ratio", "solve_linear") and answer.count("/") == 1:
        over, under = (part.strip("()") for part in answer.split("/"))
        return f"{_bracketed(under)}/{_bracketed(over)}"
    if row["skill"] == "derive":
        kept = re.sub(r"^d/d\w ", "", row["prompt"])
        lowered = re.sub(r"\^(\d)", lambda m: "" if m[1] == "2" else f"^{int(m[1]) - 1}", kept)
        return lowered if "^" in kept else None
    return None


def _bracketed(part: str) -> str:
    return f"({part})" if re.search(r"[*+/-]", part) else part
