"""What steps take together: estimates added up, and in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from dagent.compiler.plan import Estimate, Step
from dagent.compiler.quantity import shown

Range = tuple[float, float]
ADDS = frozenset({"mix", "submit"})  # steps that add rows to a round


class Totals(Struct, frozen=True):
    """Each as (low, high). ``rows`` counts those that the rounds add, ``memory`` is the largest of
    any step in bytes, ``money`` in US dollars, ``gpu`` in seconds of accelerators."""

    seconds: Range = (0, 0)
    rows: Range = (0, 0)
    calls: Range = (0, 0)
    tokens: Range = (0, 0)
    money: Range = (0, 0)
    memory: Range = (0, 0)
    gpu: Range = (0, 0)

    def __str__(self) -> str:
        words = [span(self.seconds, "time")]
        words += [span(r, u) for r, u in ((self.calls, "calls"), (self.rows, "rows")) if r[1]]
        words += [span(self.tokens, "tokens")] if self.tokens[1] else []
        words += [span(self.money, "money")] if self.money[1] else []
        words += [f"{span(self.memory, 'memory')} of memory"] if self.memory[1] else []
        words += [f"{span(self.gpu, 'time')} of accelerators"] if self.gpu[1] else []
        return ", ".join(words)

    def of(self, cap: str) -> Range | None:
        """What a cap of the budget counts; None for rounds."""
        found: Range | None = getattr(self, "seconds" if cap == "wall" else cap, None)
        return found

    def to_json(self) -> dict[str, Any]:
        return {f.name: [_tidy(x) for x in getattr(self, f.name)] for f in fields(self)}


def totals(steps: Iterable[Step]) -> Totals:
    """The sum over steps; rows of those only that add them, since others pass the same on."""
    steps = tuple(steps)
    estimates = [step.estimate for step in steps]
    memory = [e.memory for e in estimates if e.memory]
    return Totals(
        seconds=added(e.seconds for e in estimates),
        rows=added(s.estimate.rows for s in steps if s.kind in ADDS),
        calls=added(e.calls for e in estimates),
        tokens=added(e.tokens for e in estimates),
        money=added(e.money for e in estimates),
        memory=(max(m[0] for m in memory), max(m[1] for m in memory)) if memory else (0, 0),
        gpu=added(e.gpu for e in estimates),
    )


def cells(estimate: Estimate) -> dict[str, str]:
    """Each part of an estimate in words, by its name; what is not estimated is left out."""
    units = {"seconds": "time", "gpu": "time"}
    return {name: span(ends, units.get(name, name)) for name, ends in parts(estimate).items()}


def parts(estimate: Estimate) -> dict[str, Range]:
    """What an estimate says, by name."""
    ends = {f.name: getattr(estimate, f.name) for f in fields(estimate)}
    return {name: value for name, value in ends.items() if value is not None}


def span(ends: Range, kind: str) -> str:
    """One amount where both ends are the same.

    >>> span((200, 400), "calls"), span((1853220, 60668000), "tokens")
    ('200 to 400 calls', '1.853M to 60.67M tokens')
    """
    low, high = (_amount(x, kind) for x in ends)
    if low == high:
        return low
    unit = f" {kind}"
    return f"{low.removesuffix(unit)} to {high}"


def _amount(amount: float, kind: str) -> str:
    if kind == "money":
        return f"{amount:.2f} USD"
    if kind == "memory":
        return f"{amount / 1e9:.2g} GB" if amount < 1e10 else f"{amount / 1e9:.0f} GB"
    if kind == "time":
        return shown(float(f"{amount:.2g}"), kind)
    if kind == "tokens":
        amount = float(f"{amount:.4g}")
    return shown(round(amount), kind)


def added(ranges: Iterable[Range | None]) -> Range:
    low = high = 0.0
    for ends in ranges:
        if ends is not None:
            low, high = low + ends[0], high + ends[1]
    return low, high


def _tidy(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(f"{value:.3g}")
