"""What the author does next: Draft, Debug, Repair or Improve. It follows from the log alone.

The log is JSON: ``{"base", "attempts": […], "rounds": […]}``. An attempt is one program:
``{"id", "round", "state", "outcome", …}``. A round, added once its student was asked, has the
``score`` on the diagnose half, the ``rows`` that it was trained on and its worst cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Log = Mapping[str, Any]
Attempt = Mapping[str, Any]

VALID = "valid"
NO_PROGRAM = "no program"
# Ends of a program that left rows, or could have: the program runs, and its rows are too few.
SHORT = frozenset({"too few rows", "no submission", "unreadable submission"})
MENDS = 3  # failed attempts to mend one program, after which it is given up


def next_state(log: Log, number: int) -> str:
    """``draft``, ``debug``, ``repair`` or ``improve``, for the next attempt of a round.

    >>> failed = {"round": 1, "state": "draft", "outcome": "crashed"}
    >>> next_state({"attempts": [failed], "rounds": []}, 1)
    'debug'
    """
    tried = [a for a in log["attempts"] if a["round"] == number]
    if not tried:
        return "draft" if best(log) is None else "improve"
    last = tried[-1]
    if last["outcome"] == NO_PROGRAM:
        return str(last["state"])  # nothing to mend: the same again
    mended = 0
    for attempt in reversed(tried):
        if attempt["state"] not in ("debug", "repair"):
            break
        mended += 1
    if mended >= MENDS:
        return "draft"
    return "repair" if last["outcome"] in SHORT else "debug"


def best(log: Log) -> tuple[Attempt, Mapping[str, Any]] | None:
    """The attempt whose student did best on the diagnose half, and its round; the first of equals.

    The champion is another matter: the gate chooses it, on rows that no author hears of.
    """
    found = [r for r in log["rounds"] if r["rows"]]
    if not found:
        return None
    top = max(found, key=lambda r: (r["score"], -r["round"]))
    valid = [a for a in log["attempts"] if a["round"] == top["round"] and a["outcome"] == VALID]
    return valid[-1], top


def replay(log: Log) -> list[str]:
    """The states that the rules give for what the log says happened, attempt by attempt."""
    states = []
    for n, attempt in enumerate(log["attempts"]):
        known = {
            "attempts": log["attempts"][:n],
            "rounds": [r for r in log["rounds"] if r["round"] < attempt["round"]],
        }
        states.append(next_state(known, attempt["round"]))
    return states


def per_submission(attempts: Sequence[Attempt]) -> float | None:
    """Attempts for each valid submission (MATS); None without one."""
    valid = sum(a["outcome"] == VALID for a in attempts)
    return len(attempts) / valid if valid else None
