"""What graders read in a text: the number it ends with, the choice it names, its JSON or code."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

# Markdown's fences (CommonMark 0.31, 4.5), opened after text on the same line as well, as models
# do; what is indented further is part of a text, such as the example in a docstring.
_FENCED = re.compile(
    # A fence is a whole run of its sign: every part of a long one would be tried else.
    r"(?:^[ ]{0,3}|(?<=\S)[ \t]*)(?P<fence>(?<!`)`{3,}(?!`)|(?<!~)~{3,}(?!~))[^\n`]*\n"
    r"(?P<block>.*?)(?:(?<![ ]{4})(?<!\t)(?P=fence)|\Z)",
    re.DOTALL | re.MULTILINE,
)
_MOST = 400  # largest exponent; what is beyond a float is no number

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
# A dash that is no hyphen may be a minus; which it is, the number's place decides.
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\uff0d": "-", "\ufe63": "-"})
_PLAINLY = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"(?<=\d)(?=\\[dt]?frac\{)", " "),
        (r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2"),
        (r"\{,\}|(?<=\d)\\[,;:! ](?=\d{3})", "\u2009"),
        (r"\\(?:times|cdot)\b", "×"),
        (r"\\\$", "$"),
        (r"(\^|\*\*)[{(]([-+]?\d+)[})]", r"\1\2"),
    )
)
_DIGITS = r"(?:\d{1,3}(?:[,\u00a0\u202f\u2009'’_]\d{3})+(?!\d)|\d+)"
# A sign belongs to a number only where nothing stands before it to be subtracted from; a number
# that is part of a word, or the exponent of a unit, is none.
_NUMBER = re.compile(
    rf"""
    (?<![\w^./]) (?<!\^[-+]) (?<![^\W\d_]-)
    (?P<sign>(?<![\w)])[-+])?
    (?:[$€£¥]\s?)?
    (?:(?P<whole>\d+)\ +(?=\d+/\d))?
    (?P<digits>{_DIGITS}?(?:\.\d+)?(?<=\d))
    (?:[eE](?P<e>[-+]?\d+))?
    (?:\s?[×*x·⋅]\s?10(?:\^|\*\*)(?P<ten>[-+]?\d+) | (?:\^|\*\*)(?P<power>[-+]?\d+))?
    (?:\s?/\s?(?P<under>{_DIGITS}(?:\.\d+)?)(?![\d/]))?
    """,
    re.VERBOSE,
)
_APART = re.compile(r"[^\d.]")


def last_number(text: str) -> Fraction | None:
    """The last number in a text, exactly as written: 1.01 is 0.01 from 1, and of twenty digits the
    last one counts. ``None`` when there is none, or one beyond all measure.

    Thousands may be set apart by commas, apostrophes, low lines or any space that does not break.
    Powers (``10^3``, ``1.5×10³``), fractions (``1/2``, ``½``) and mixed numbers count as their
    value; of a unit, a currency or a per cent sign nothing is made.

    >>> [str(last_number(t)) for t in ("3-5", "5 m s^-1", "-$1,234.50", r"\\frac{1}{2}", "1½")]
    ['5', '5', '-2469/2', '1/2', '3/2']
    """
    found = [*_NUMBER.finditer(_plainly(text))]
    return _value(found[-1]) if found else None


def _plainly(text: str) -> str:
    if not text.isascii():
        text = re.sub(
            r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", lambda m: "^" + m[0].translate(_SUPERSCRIPT), text.translate(_MINUS)
        )
        text = re.sub("(?<=\\d)(?=[¼-¾⅐-⅞])", " ", text)
        text = re.sub("[¼-¾⅐-⅞]", lambda m: unicodedata.normalize("NFKC", m[0]), text)
        text = text.replace("\u2044", "/")
    if "\\" in text or "{" in text or "(" in text:
        for pattern, plain in _PLAINLY:
            text = pattern.sub(plain, text)
    return text


def _value(found: re.Match[str]) -> Fraction | None:
    try:
        exponents = [int(found[name] or 0) for name in ("e", "ten", "power")]
        if max(map(abs, exponents)) > _MOST:
            return None
        number = Fraction(_APART.sub("", found["digits"]))
        number *= Fraction(10) ** (exponents[0] + exponents[1])
        if found["power"]:
            number **= exponents[2]
        if found["under"]:
            number /= Fraction(_APART.sub("", found["under"]))
        number += int(found["whole"] or 0)
        float(number)
    except (OverflowError, ValueError, ZeroDivisionError):  # thousands of digits are no integer
        return None
    return -number if found["sign"] == "-" else number


def choice_reader(choices: Iterable[str]) -> Callable[[str], str | None]:
    """What finds the first of the choices that a text names, case folded; ``None`` without one.

    A choice of one letter is looked for as it is written first: "a" may be an article.

    >>> named = choice_reader(["A", "B", "not", "not sure"])
    >>> [named(text) for text in ("It is a **B**", "(b)", "I am Not\\nsure.", "Bad")]
    ['b', 'b', 'not sure', None]
    """
    # Longest first, so that "not sure" is not read as "not".
    plain = sorted((_plain(c) for c in choices), key=len, reverse=True)
    patterns = [
        re.compile(rf"(?<![^\W_])(?:{'|'.join(each)})(?![^\W_])")
        for each in (
            [c if len(c) == 1 else f"(?i:{c})" for c in map(re.escape, plain)],
            [f"(?i:{re.escape(c)})" for c in plain],
        )
    ]

    def named(text: str) -> str | None:
        found = filter(None, (pattern.search(_plain(text)) for pattern in patterns))
        return next((match[0].casefold() for match in found), None)

    return named


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def unfenced(answer: str) -> str:
    """The first block between Markdown's fences, else the whole answer.

    >>> unfenced("Sure:\\n```sql\\nSELECT 1\\n```\\nDone.")
    'SELECT 1\\n'
    """
    answer = answer.removeprefix("\ufeff")  # the mark of a byte order
    found = _FENCED.search(answer)
    return found["block"] if found else answer


def parsed(text: str) -> Any:
    """
    Raises:
        ValueError: it is no JSON, or has a key twice, of which nobody could say which one counts.
        RecursionError: it is nested too deeply.
    """
    return json.loads(unfenced(text), object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = Counter(key for key, _ in pairs)
        raise ValueError(f"the key `{keys.most_common(1)[0][0]}` stands twice in an object")
    return made


def _no_number(name: str) -> None:
    raise ValueError(f"`{name}` is none of its numbers")


def names(value: Any, path: str = "") -> Iterator[str]:
    """The names of all fields of an object, as the grader ``json`` takes them.

    >>> list(names({"a": {"b": 1}, "c": [{"d": 2}]}))
    ['a', 'a.b', 'c']
    """
    for key, inner in value.items() if isinstance(value, dict) else ():
        name = f"{path}.{key}" if path else key
        yield name
        yield from names(inner, name)
