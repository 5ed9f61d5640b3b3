"""What a bare word means: the same in both syntaxes, by the core schema of YAML 1.2."""

from __future__ import annotations

import math
import re

from dagent.dsl.document import Plain

_WORDS: dict[str, Plain] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
# No longer than a float can hold: what reads a number may ask for either.
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,250}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def resolve(word: str) -> Plain:
    """The value of a bare word. So ``1e-5`` is a number, and ``no`` and ``10:30`` are text.

    ``.inf`` and ``.nan``, and numbers too large to be finite, stay text: JSON has none of them.

    >>> resolve("1e-5"), resolve("no"), resolve("0x10"), resolve("1e999")
    (1e-05, 'no', 16, '1e999')
    """
    if word in _WORDS:
        return _WORDS[word]
    if _INT.fullmatch(word):
        base = {"0o": 8, "0x": 16}.get(word[:2], 10)
        return int(word[2:] if base != 10 else word, base)
    if _FLOAT.fullmatch(word) and math.isfinite(value := float(word)):
        return value
    return word
