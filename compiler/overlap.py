"""When two questions are the same one: what the checks of data sets, dedupe and decontamination
compare texts by.

A question stays the same in other white space, case, Unicode forms, and with its numbers in another
script or in English words. Its *template* is what is left without its constants: numbers, quoted
texts and names.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

# Thirteen words in a row are shared by texts that were copied, not by texts on one subject
# (Brown et al. 2020, appendix C).
NGRAM = 13
MASK = "▢"
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d_]+(?:['’][^\W\d_]+)*|\w|[^\w\s]")
_QUOTED = re.compile(r"\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|“[^”]*”|«[^»]*»")
_THOUSANDS = re.compile(r"(?<=\d)[,\u00a0\u202f'](?=\d{3}(?!\d))")
_NAME = re.compile(r"\b[^\W\d_]\w*")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SMALL = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: n for n, word in enumerate(_SMALL.split())}
_UNITS |= {word: 10 * n for n, word in enumerate(_TENS.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}


def tokens(text: str) -> list[str]:
    """Words, numbers and single signs, case folded; every number in digits of ASCII."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    found = _TOKEN.findall(_THOUSANDS.sub("", text.casefold()))
    return _in_digits(found) if any(word in _UNITS for word in found) else found


def normalised(text: str) -> str:
    """Equal for texts that ask the same in other white space, case, forms or numerals."""
    return " ".join(tokens(text))


def prompt_hash(prompt: str) -> bytes:
    """Of the prompt as overlap is judged."""
    return hashlib.sha256(normalised(prompt).encode()).digest()


def ngrams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[i:] for i in range(n)), strict=False)


def words(found: Iterable[str]) -> list[str]:
    """The tokens that are words or numbers."""
    return [token for token in found if token[0].isalnum()]


def constants(text: str) -> tuple[str, ...]:
    """Numbers and quoted texts, sorted: two questions that differ in them are two questions."""
    quoted = [" ".join(q.split()) for q in _QUOTED.findall(text)]
    numbers = [t for t in tokens(_QUOTED.sub(" ", text)) if t[0].isdecimal()]
    return (*sorted(quoted), *sorted(numbers))


def template(text: str) -> tuple[str, ...]:
    """The tokens without constants: a number, a quoted text or a name is ``MASK``, and so is a list
    of them, however long."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = _NAME.sub(lambda m: MASK if m[0].istitle() else m[0], _QUOTED.sub(f" {MASK} ", text))
    masked: list[str] = []
    for token in tokens(text):
        token = MASK if token[0].isdecimal() else token
        if token == MASK and masked:
            # "▢, ▢, and ▢" is one list, and "- ▢" and "▢ ▢" one constant
            end = len(masked)
            while end and masked[end - 1] in (",", "and", "-", "+"):
                end -= 1
            if end and masked[end - 1] == MASK:
                del masked[end:]
                continue
        masked.append(token)
    return tuple(masked)


def _in_digits(found: list[str]) -> list[str]:
    """English number words as digits: ``twenty - three`` is ``23``, ``one two`` stays two."""
    made: list[str] = []
    position = 0
    while position < len(found):
        value, end = _spelt(found, position)
        made.append(found[position] if value is None else str(value))
        position = end
    return made


def _spelt(found: list[str], start: int) -> tuple[int | None, int]:
    """The number spelt from ``start`` on, or None, and where reading goes on."""
    if found[start] not in _UNITS:
        return None, start + 1
    total, current, position = 0, _UNITS[found[start]], start + 1
    while position < len(found):
        link = found[position] in ("-", "and") and position + 1 < len(found)
        word = found[position + 1] if link else found[position]
        if word in _SCALES and not link:
            scale = _SCALES[word]
            if scale == 100:
                current *= scale
            else:
                total, current = total + current * scale, 0
        elif word in _UNITS and _fits(total, current, _UNITS[word], link and found[position]):
            current += _UNITS[word]
        else:
            break
        position += 1 + link
    return total + current, position


def _fits(total: int, current: int, unit: int, link: str | bool) -> bool:
    """Whether a number word continues the number: after tens a digit, after hundreds anything."""
    if current % 100 >= 20 and current % 10 == 0:
        return 0 < unit < 10 and link != "and"
    after_scale = current % 100 == 0 and (current > 0 or total > 0)
    return after_scale and unit > 0 and link != "-"
