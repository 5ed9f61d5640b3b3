"""Rows that a cap left unmade, unjudged or unmended, as the notes of steps tell it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dagent.compiler.quantity import how_many
from dagent.runtime.journal import Event

# Why a row was rejected, where a call for it was not paid.
UNVERIFIED, UNREPAIRED = "not verified: the budget was spent", "not repaired: the budget was spent"
_UNPAID = re.compile(
    r"[\w:.]+ (?P<unit>calls|tokens|money|rows): .* more needed"
    r"|[^;]*the caps leave[^;]*(?P<calls>calls?)[^;]*"
    rf"|[\d,]+ (?:{UNVERIFIED}|{UNREPAIRED})"
)
_ROWS = re.compile(rf"([\d,]+) (?:rows? short|{UNVERIFIED})")


def unpaid(note: str) -> str:
    """The words of a step's note that say that a cap ended it early; none, if no cap did.

    >>> unpaid("9 candidates from 3 calls; run calls: 3 of 3 spent, 1 more needed")
    'run calls: 3 of 3 spent, 1 more needed'
    """
    found = _UNPAID.search(note)
    return found[0].strip() if found else ""


def shortfall(events: Sequence[Event]) -> dict[str, Any]:
    """``short``: which ``steps`` caps ended early, in which ``rounds``, how many ``rows`` were not
    written or judged as far as steps count them, and caps on which ``units`` it was; empty where
    none did."""
    last = {e["step"]: e for e in events if e["event"] == "step_finished" and e["round"]}
    told = {id: (e["round"], e["note"]) for id, e in last.items() if unpaid(e["note"])}
    if not told:
        return {}
    notes = [note for _, note in told.values()]
    named = [found for note in notes for found in _UNPAID.finditer(note)]
    return {
        "short": {
            "steps": list(told),
            "rounds": sorted({number for number, _ in told.values()}),
            "rows": sum(int(n.replace(",", "")) for note in notes for n in _ROWS.findall(note)),
            "units": sorted({m["unit"] or "calls" for m in named if m["unit"] or m["calls"]}),
        }
    }


def shortfall_words(short: dict[str, Any]) -> str:
    """One line. A step that a cap ended early is done, and reused whatever the cap is later.

    >>> short = {"steps": ["r1.verify"], "rounds": [1, 3], "rows": 160, "units": ["calls"]}
    >>> shortfall_words(short).partition(";")[0]
    'the cap on calls left 160 rows unwritten or unjudged in rounds 1 and 3'
    """
    rounds = [str(number) for number in short["rounds"]]
    where = "round " + rounds[0] if len(rounds) == 1 else "rounds " + _listed(rounds)
    what = how_many(short["rows"], "rows") if short["rows"] else "some rows"
    caps = f"the cap on {_listed(short['units'])}" if short["units"] else "a cap"
    again = f"`dagent execute --force {short['steps'][0]}` makes up for it"
    return f"{caps} left {what} unwritten or unjudged in {where}; raise it, and {again}"


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last
