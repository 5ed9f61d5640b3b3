"""Amounts with units: ``4k rows``, ``3h``, ``2 %``, ``20 USD`` -> a number in base units.

Base units: rows, rounds, calls and tokens in ones; time in seconds; shares and points as a fraction
(``2%`` is 0.02, ``0.5pp`` is 0.005); memory in bytes; money in the currency that is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from dagent.dsl.nearest import surely

COUNTS = ("rows", "rounds", "calls", "tokens")
SI = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
TIME = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
MEMORY = {
    **{f"{p}B": 1000**n for n, p in enumerate(("", "k", "M", "G", "T"))},
    **{f"{p}iB": 1024**n for n, p in enumerate(("K", "M", "G", "T"), 1)},
}
# Currencies of the providers' price lists, by ISO 4217.
MONEY = ("USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", "CAD", "AUD")
# A kind's name in messages, and how an amount of it is written.
SHOWN = {
    "rows": ("a number of rows", "4k rows"),
    "rounds": ("a number of rounds", "5 rounds"),
    "calls": ("a number of calls", "10k calls"),
    "tokens": ("a number of tokens", "5M tokens"),
    "time": ("a time", "3h"),
    "money": ("an amount of money", "20 USD"),
    "fraction": ("a share", "2%"),
    "points": ("percentage points", "0.5pp"),
    "memory": ("an amount of memory", "24GB"),
}
CAPPED = {"wall": "time", "gpu": "time"}  # caps that are not named after their unit
# Spellings that are in use elsewhere, in small letters.
SPELLINGS = {
    "time": {"m": "min", "hr": "h", "hrs": "h", "mins": "min", "secs": "s"},
    "money": {"$": "USD", "dollar": "USD", "dollars": "USD", "€": "EUR", "euro": "EUR",
              "euros": "EUR", "£": "GBP"},
    "points": {"points": "pp", "percentage points": "pp"},
    "fraction": {"per cent": "%", "pct": "%"},
}  # fmt: skip
_COUNTED = re.compile(r"(?P<suffix>[kKmMgG]?)\s*(?P<word>\w*)")
_AMOUNT = re.compile(r"\s*([+-]?(?:\d[\d_]*)?\.?\d+(?:[eE][+-]?\d+)?|[+-]?\d[\d_]*\.)\s*(.*?)\s*$")


class Money(Struct, frozen=True):
    amount: float
    currency: str


class Problem(Struct, frozen=True):
    """Why a text is no amount of the kind. ``part`` is the piece of it to point at.

    ``instead`` is what surely was meant in its place.
    """

    code: str
    message: str
    suggestion: str
    part: str
    instead: str | None = None


def kind_of(unit: str) -> str | None:
    """What a unit measures, or None if there is no such unit."""
    if unit in TIME:
        return "time"
    if unit in MEMORY:
        return "memory"
    if unit in MONEY:
        return "money"
    if unit in ("%", "percent"):
        return "fraction"
    if unit == "pp":
        return "points"
    suffix, _, word = unit.rpartition(" ") if " " in unit else ("", "", unit)
    if suffix.strip() in SI:
        return next((kind for kind in COUNTS if word in (kind, kind[:-1])), None)
    return None


def _tidy(number: Decimal) -> int | float:
    """Whole numbers as int, so that ``3`` and ``3.0`` give the same plan."""
    return int(number) if number == number.to_integral_value() else float(number)


def parse(value: str | int | float, kind: str) -> int | float | Money | Problem:
    """The amount in base units of ``kind``.

    Plain numbers are fine where the key itself names the unit (rows, rounds, calls, tokens) and for
    shares; time, money and points have no unit of their own and demand one.

    >>> parse("4k rows", "rows"), parse("1.5h", "time"), parse("2 %", "fraction")
    (4000, 5400, 0.02)
    >>> parse("20 USD", "time").part
    'USD'
    """
    says, example = SHOWN[kind]
    text = str(value)
    match = _AMOUNT.match(text)
    if not match:
        return Problem("E201", f"`{text}` is not {says}", f"write it like `{example}`", text)
    # Decimal: 1.001k rows are 1001 rows, and 0.7 % is 0.007, which floats would miss.
    number, unit = Decimal(match[1].replace("_", "")), match[2]
    amount: Decimal | Money | None
    if kind in COUNTS:
        amount = _count(number, unit, kind)
    elif not unit and kind != "fraction":
        return Problem("E205", f"`{text}` has no unit", f"write it like `{example}`", text)
    else:
        amount = _scaled(number, unit, kind)
    if amount is None:
        return _wrong_unit(unit, kind)
    if isinstance(amount, Money):
        return amount
    return _in_range(text, unit, amount, kind)


def _count(number: Decimal, unit: str, kind: str) -> Decimal | None:
    suffix, word = unit[:1] if unit[:1] in ("k", "M", "G") else "", unit
    if suffix:
        word = unit[1:].strip()
    return number * SI[suffix] if word in ("", kind, kind[:-1]) else None


def _scaled(number: Decimal, unit: str, kind: str) -> Decimal | Money | None:
    if kind == "money" and unit in MONEY:
        return Money(float(number), unit)
    if kind == "points" and unit == "pp":
        return number / 100
    if kind == "fraction" and unit in ("", "%", "percent"):
        return number / 100 if unit else number
    scale = {"time": TIME, "memory": MEMORY}.get(kind, {}).get(unit)
    return None if scale is None else number * scale


def _wrong_unit(unit: str, kind: str) -> Problem:
    says, example = SHOWN[kind]
    word = unit.removeprefix("k").removeprefix("M").removeprefix("G").strip()
    other = kind_of(unit)
    if other is None:  # `4k USD`: a suffix, and then a unit of another kind
        other, unit = kind_of(word), word or unit
    if other is None or other == kind:
        if re.search(r"\d", unit):  # `4,000 rows`, `1h30min`
            remedy = f"write one number without commas, and one unit, like `{example}`"
            return Problem("E202", f"`{unit}` is no unit", remedy, unit)
        meant = _meant(unit, kind)
        meant = None if meant == unit else meant
        remedy = f"write `{meant}`" if meant else f"write {says} like `{example}`"
        return Problem("E202", f"unknown unit `{unit}`", remedy, unit, meant)
    if (other, kind) == ("fraction", "points"):
        remedy = "write `pp`: a drop from 50% to 48% is one of 2pp, and of 4%"
        return Problem("E203", f"`{unit}` is a share; here {says} are wanted", remedy, unit)
    return Problem(
        "E203",
        f"`{unit}` measures {SHOWN[other][0]}; here {says} is wanted",
        f"write it like `{example}`",
        unit,
    )


def _meant(unit: str, kind: str) -> str | None:
    """The unit of the kind that a wrong spelling can only stand for, such as `hrs` for `h`."""
    if kind in COUNTS:
        match = _COUNTED.fullmatch(unit)
        if not match:
            return None
        suffix, word = match["suffix"].replace("K", "k").replace("m", "M").replace("g", "G"), kind
        if match["word"].lower() in ("", kind, kind[:-1]) or surely(match["word"], [kind]):
            return f"{suffix} {word}".strip()
        return None
    units: Mapping[str, Iterable[str]] = {
        "time": TIME,
        "memory": MEMORY,
        "money": MONEY,
        "fraction": ("%", "percent"),
        "points": ("pp",),
    }
    if unit.lower() in SPELLINGS.get(kind, {}):
        return SPELLINGS[kind][unit.lower()]
    same = [name for name in units[kind] if name.lower() == unit.lower()]
    return (
        same[0] if len(same) == 1 else surely(unit, [name for name in units[kind] if len(name) > 3])
    )


def _in_range(text: str, unit: str, number: Decimal, kind: str) -> int | float | Problem:
    says, example = SHOWN[kind]
    if abs(number.adjusted()) > 15:
        return Problem("E204", f"`{text}` is beyond any use", f"write it like `{example}`", text)
    amount = _tidy(number)
    if kind in COUNTS and not isinstance(amount, int):
        return Problem("E206", f"`{text}` is not a whole number", "write a whole number", text)
    if amount < 0:
        return Problem("E204", f"{says} cannot be negative", f"write it like `{example}`", text)
    if kind in ("fraction", "points") and amount > 1:
        remedy = f"write `{text}%` if per cent is meant" if not unit else "choose at most 100"
        return Problem("E204", f"{says} is at most 1, or 100 %; `{text}` is more", remedy, text)
    return amount


def capped(amount: float, kind: str) -> str:
    """A cap of ``budget``, by its key, for people.

    >>> capped(3600, "gpu")
    '1h of accelerators'
    """
    return shown(amount, CAPPED.get(kind, kind)) + (" of accelerators" if kind == "gpu" else "")


def shown(amount: float, kind: str) -> str:
    """An amount for people: ``10k rows``, ``3min``.

    >>> shown(10000, "rows"), shown(90, "time"), shown(0.02, "fraction")
    ('10k rows', '1.5min', '2%')
    """
    if kind == "time":
        for unit, scale in (("d", 86400), ("h", 3600), ("min", 60)):
            if amount >= scale:
                return f"{amount / scale:.3g}{unit}"
        return f"{amount:.3g}s"
    if kind == "money":
        return f"{amount:g} USD"
    if kind in ("fraction", "points"):
        return f"{amount * 100:.3g}{'%' if kind == 'fraction' else 'pp'}"
    for suffix, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if amount >= scale and amount % (scale // 1000) == 0:
            return f"{amount / scale:g}{suffix} {kind}"
    return f"{amount:g} {kind[:-1] if amount == 1 else kind}"


def how_many(amount: float, what: str) -> str:
    """A count in full, and one of them as one.

    >>> how_many(1, "rows"), how_many(0, "rows"), how_many(1200, "calls")
    ('1 row', '0 rows', '1,200 calls')
    """
    return f"{amount:,.0f} {what[:-1] if amount == 1 else what}"
