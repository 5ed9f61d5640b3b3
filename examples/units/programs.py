"""Formulas and units: the generator and the exact checker of the science domain.

A prompt is a formula to rearrange, a polynomial to derive or expand, or units to compose; the
answer is the result. ``verify`` compares no texts: it works with the polynomials of ``algebra``, so
that ``a*b`` and ``b*a`` are one answer, and puts a rearranged formula back into the one it came
from.

By a hash of its text every prompt belongs to train, dev or test; ``generate`` emits train only.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from fractions import Fraction

from algebra import UNITS, derived, dimension, parse, times

DIFFICULTIES = (1, 2, 3)
LETTERS = "abcdefghkmnpqrstuvwxyz"
"""Variables; ``i``, ``j``, ``l`` and ``o`` are left out."""

PREFIXES = {"k": 1000, "h": 100}

Pair = tuple[str, str]
"""A prompt and its answer."""


# --- texts of terms ---------------------------------------------------------------------------


def power(variable: str, exponent: int) -> str:
    return "1" if exponent == 0 else variable if exponent == 1 else f"{variable}^{exponent}"


def polynomial(coefficients: dict[int, int], variable: str) -> str:
    """``{2: 3, 0: -1}`` in ``x`` is ``3x^2-1``; the highest power first."""
    text = ""
    for exponent in sorted(coefficients, reverse=True):
        if factor := coefficients[exponent]:
            letter = power(variable, exponent) if exponent else ""
            size = "" if abs(factor) == 1 and letter else str(abs(factor))
            text += ("-" if factor < 0 else "+" if text else "") + size + letter
    return text or "0"


def _coefficients(rng: random.Random, degree: int, terms: int) -> dict[int, int]:
    exponents = sorted(rng.sample(range(degree + 1), min(terms, degree + 1)))
    return {e: rng.choice([-1, 1, 1, 1]) * rng.randint(1, 9) for e in exponents}


def _letters(rng: random.Random, n: int) -> list[str]:
    return rng.sample(LETTERS, n)


# --- one function per skill: (random source, difficulty) -> prompt and answer -------------------


def _cancel(rng: random.Random, level: int) -> Pair:
    factors = _letters(rng, level + 1)
    gone = rng.choice(factors)
    return "*".join(factors) + f"/{gone}", "*".join(f for f in factors if f != gone)


def _multiply_powers(rng: random.Random, level: int) -> Pair:
    x, y = sorted(_letters(rng, 2))
    exponents = [rng.randint(1, 5) for _ in range(level + 1)]
    factors = [power(x, e) for e in exponents]
    factors.insert(rng.randrange(len(factors)), y)
    return "*".join(factors), f"{power(x, sum(exponents))}*{y}"


def _divide_powers(rng: random.Random, level: int) -> Pair:
    x, y = sorted(_letters(rng, 2))
    top = [rng.randint(2, 6) for _ in range(level)]
    under = rng.randint(1, sum(top) - 1)
    factors = "*".join([*(power(x, e) for e in top), y])
    return f"{factors}/{power(x, under)}", f"{power(x, sum(top) - under)}*{y}"


def _raise_power(rng: random.Random, level: int) -> Pair:
    x, y = sorted(_letters(rng, 2))
    inner, outer = rng.randint(2, 3 + level), rng.randint(2, 2 + level)
    other = rng.randint(1, level)
    return f"({power(x, inner)}*{power(y, other)})^{outer}", (
        f"{power(x, inner * outer)}*{power(y, other * outer)}"
    )


def _solve_product(rng: random.Random, level: int) -> Pair:
    whole, *factors = _letters(rng, level + 2)
    wanted = rng.choice(factors)
    others = [f for f in factors if f != wanted]
    under = others[0] if len(others) == 1 else f"({'*'.join(others)})"
    return f"{whole}={'*'.join(factors)}, {wanted}=?", f"{whole}/{under}"


def _solve_ratio(rng: random.Random, level: int) -> Pair:
    whole, top, under, *more = _letters(rng, level + 2)
    product = "*".join([whole, *more])
    right = f"{top}/{under}" if not more else f"{top}/({'*'.join([under, *more])})"
    if rng.random() < 0.5:
        return f"{whole}={right}, {top}=?", "*".join([whole, under, *more])
    return f"{whole}={right}, {under}=?", f"{top}/{product}" if not more else f"{top}/({product})"


def _solve_sum(rng: random.Random, level: int) -> Pair:
    whole, *terms = _letters(rng, level + 2)
    wanted = rng.choice(terms)
    others = [t for t in terms if t != wanted]
    return f"{whole}={'+'.join(terms)}, {wanted}=?", "-".join([whole, *others])


def _solve_linear(rng: random.Random, level: int) -> Pair:
    y, m, x, b = _letters(rng, 4)
    form = rng.randrange(level)
    if form == 0:
        return f"{y}={m}*{x}+{b}, {x}=?", f"({y}-{b})/{m}"
    if form == 1:
        return f"{y}={m}*{x}-{b}, {x}=?", f"({y}+{b})/{m}"
    return f"{y}={m}*({x}+{b}), {x}=?", f"{y}/{m}-{b}"


def _derive(rng: random.Random, level: int) -> Pair:
    (x,) = _letters(rng, 1)
    p = _coefficients(rng, level + 2, level)
    return f"d/d{x} {polynomial(p, x)}", polynomial({e - 1: e * f for e, f in p.items() if e}, x)


def _integrate(rng: random.Random, level: int) -> Pair:
    (x,) = _letters(rng, 1)
    q = {e + 1: f for e, f in _coefficients(rng, level + 1, level).items()}
    return f"int {polynomial({e - 1: e * f for e, f in q.items()}, x)} d{x}", polynomial(q, x)


def _collect(rng: random.Random, level: int) -> Pair:
    (x,) = _letters(rng, 1)
    text, total = "", {0: 0, 1: 0}
    for _ in range(level + 2):
        degree, factor = rng.choice([0, 1, 1]), rng.choice([-1, 1, 1]) * rng.randint(1, 9)
        term = polynomial({degree: factor}, x)
        text += term if term.startswith("-") or not text else f"+{term}"
        total[degree] += factor
    return f"{text}=?", polynomial(total, x)


def _expand(rng: random.Random, level: int) -> Pair:
    (x,) = _letters(rng, 1)
    a, b = rng.randint(1, 9), rng.choice([-1, 1]) * rng.randint(1, 9)
    if level == 1:
        return f"{a + 1}({x}{b:+d})=?", polynomial({1: a + 1, 0: (a + 1) * b}, x)
    c = rng.randint(2, 9)
    if level == 2:
        return f"{c}({polynomial({1: a, 0: b}, x)})=?", polynomial({1: a * c, 0: b * c}, x)
    return f"({x}{b:+d})({x}+{c})=?", polynomial({2: 1, 1: b + c, 0: b * c}, x)


def _evaluate(rng: random.Random, level: int) -> Pair:
    (x,) = _letters(rng, 1)
    p, value = _coefficients(rng, 1 + (level == 3), 2), rng.randint(1, 3 * level)
    result = sum(f * value**e for e, f in p.items())
    return f"{polynomial(p, x)}, {x}={value}", str(result)


def _name_unit(rng: random.Random, level: int) -> Pair:
    unit, amount = rng.choice(list(UNITS)), rng.randint(2, 99)
    top, _, under = UNITS[unit].partition("/")
    extra = rng.sample([b for b in ("m", "s", "A", "kg", "K", "mol") if b not in under], level - 1)
    parts = [*top.split("*"), *extra]
    rng.shuffle(parts)
    text = "*".join(parts) + (f"/{under}" if under else "")
    return f"{amount} {text} in short", f"{amount} " + "*".join([unit, *sorted(extra)])


def _convert(rng: random.Random, level: int) -> Pair:
    unit, n = rng.choice(["m", "g", "s", "V", "W", "J"]), rng.randint(1, 99 * 3 ** (level - 1))
    prefix = rng.choice("kh")
    return f"{n}{prefix}{unit} in {unit}", f"{n * PREFIXES[prefix]}{unit}"


def _proportion(rng: random.Random, level: int) -> Pair:
    y, x, z = _letters(rng, 3)
    exponent = rng.choice([1, 2, -1] if level == 1 else [1, 2, 3, -1, -2])
    factor = rng.randint(2, 1 + level)
    under = power(x, abs(exponent))
    law = (f"{z}*{under}" if level > 1 else under) if exponent > 0 else f"{z}/{under}"
    change = str(factor**exponent) if exponent > 0 else f"1/{factor**-exponent}"
    return f"{y}={law}, {x} times {factor}, {y} times?", change


MAKERS: dict[str, Callable[[random.Random, int], Pair]] = {
    "cancel": _cancel,
    "multiply_powers": _multiply_powers,
    "divide_powers": _divide_powers,
    "raise_power": _raise_power,
    "solve_product": _solve_product,
    "solve_ratio": _solve_ratio,
    "solve_sum": _solve_sum,
    "solve_linear": _solve_linear,
    "derive": _derive,
    "integrate": _integrate,
    "collect": _collect,
    "expand": _expand,
    "evaluate": _evaluate,
    "name_unit": _name_unit,
    "convert": _convert,
    "proportion": _proportion,
}
SKILLS = tuple(MAKERS)


# --- the checker ------------------------------------------------------------------------------

_SOLVE = re.compile(r"(\w)=(.+), (\w)=\?")
_DERIVE = re.compile(r"d/d(\w) (.+)")
_INTEGRATE = re.compile(r"int (.+) d(\w)")
_EVALUATE = re.compile(r"(.+), (\w)=(\d+)")
_PROPORTION = re.compile(r"(\w)=(.+), (\w) times (\d+), \1 times\?")
_SHORT = re.compile(r"(\d+) (.+) in short")
_CONVERT = re.compile(r"(\d+)([kh])(\w+) in \3")


def right(prompt: str, answer: str) -> bool:
    """Whether ``answer`` answers ``prompt``, whatever its form; where the prompt only asks for
    another form of itself, the answer must be simplified.

    Raises:
        ValueError: the prompt or the answer cannot be read.
    """
    if match := _PROPORTION.fullmatch(prompt):
        _, law, x, factor = match.groups()
        scaled = times({frozenset(): Fraction(factor)}, parse(x))
        return times(parse(law), parse(answer)) == parse(law, **{x: scaled})
    if match := _SOLVE.fullmatch(prompt):
        whole, formula, wanted = match.groups()
        return wanted not in answer and parse(formula, **{wanted: parse(answer)}) == parse(whole)
    if match := _DERIVE.fullmatch(prompt):
        return _simplified(answer) and parse(answer) == derived(parse(match[2]), match[1])
    if match := _INTEGRATE.fullmatch(prompt):
        return _simplified(answer) and derived(parse(answer), match[2]) == parse(match[1])
    if match := _EVALUATE.fullmatch(prompt):
        value = parse(match[1], **{match[2]: parse(match[3])})
        return bool(re.fullmatch(r"-?\d+", answer)) and parse(answer) == value
    if match := _CONVERT.fullmatch(prompt):
        return answer == f"{int(match[1]) * PREFIXES[match[2]]}{match[3]}"
    if match := _SHORT.fullmatch(prompt):
        amount, _, unit = answer.partition(" ")
        shorter = amount == match[1] and len(unit) < len(match[2])
        return shorter and dimension(unit) == dimension(match[2])
    return _simplified(answer) and parse(answer) == parse(prompt.removesuffix("=?"))


def _simplified(answer: str) -> bool:
    """One term for each power, and nothing left to multiply out or to divide by."""
    terms = len(re.findall(r"(?<!^)[+-]", answer)) + 1
    if re.search(r"[(/]|([a-z])[^+-]*\1", answer):
        return False
    return answer == "0" or len(parse(answer)) == terms


def grade(answer: str, row: dict) -> float:
    """The metric of the spec: 1 for the row's answer, or one that is right in another form."""
    said = answer.strip()
    return float(said == row["answer"] or verify({**row, "answer": said}) is None)


# --- what every domain needs: split, generate, verify ------------------------------------------


def partition(prompt: str) -> str:
    """The part a prompt belongs to: 1/16 of all prompts are dev, 2/16 test, the rest train."""
    bucket = hashlib.sha256(prompt.encode()).digest()[0] % 16
    return {0: "dev", 1: "test", 2: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, part: str) -> list[dict]:
    """Up to ``n`` distinct rows of one cell from one partition; fewer if the cell runs dry."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{part}")
    pairs: dict[str, str] = {}
    for _ in range(200 * n):
        if len(pairs) == n:
            break
        prompt, answer = MAKERS[skill](rng, difficulty)
        if partition(prompt) == part:
            pairs[prompt] = answer
    return [
        {"prompt": p, "answer": a, "skill": skill, "difficulty": difficulty}
        for p, a in pairs.items()
    ]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict]:
    """``n`` distinct training rows of one cell; the same arguments give the same rows."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict) -> str | None:
    """None if the row's answer answers its prompt, else the reason in words."""
    try:
        fine = right(row["prompt"], row["answer"])
    except ValueError as error:
        return str(error)
    return None if fine else f"{row['answer']!r} does not answer {row['prompt']!r}"
