"""The algebra that checks answers: polynomials in letters, and units in terms of the base units.

A polynomial is ``{letters with their exponents: factor}``; exponents may be negative, so that
``a*b`` and ``b*a``, ``a/b`` and ``a*b^-1`` are one. A unit is a polynomial of one term.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from fractions import Fraction

UNITS = {
    "N": "kg*m/s^2", "J": "N*m", "W": "J/s", "Pa": "N/m^2", "C": "A*s", "V": "J/C",
    "F": "C/V", "Wb": "V*s", "T": "Wb/m^2", "S": "A/V", "H": "Wb/A",
}  # fmt: skip

Monomial = frozenset[tuple[str, int]]
Polynomial = dict[Monomial, Fraction]


def plus(*parts: Polynomial) -> Polynomial:
    total: Counter[Monomial] = Counter()
    for part in parts:
        for monomial, factor in part.items():
            total[monomial] += factor
    return {m: f for m, f in total.items() if f}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    def joined(m: Monomial, n: Monomial) -> Monomial:
        exponents = Counter(dict(m))
        for letter, exponent in n:
            exponents[letter] += exponent
        return frozenset((x, e) for x, e in exponents.items() if e)

    return plus(*({joined(m, n): f * g} for m, f in a.items() for n, g in b.items()))


def powered(base: Polynomial, exponent: int) -> Polynomial:
    if exponent < 0:
        if len(base) != 1:
            raise ValueError("only a single term can be divided by")
        ((monomial, factor),) = base.items()
        base = {frozenset((x, -e) for x, e in monomial): 1 / factor}
    result: Polynomial = {frozenset(): Fraction(1)}
    for _ in range(abs(exponent)):
        result = times(result, base)
    return result


def parse(text: str, **values: Polynomial) -> Polynomial:
    """The polynomial that a text such as ``(y-b)/m`` or ``3x^2+4`` stands for.

    Raises:
        ValueError: it is none. Letters in ``values`` stand for those.
    """
    if len(text) > 80:
        raise ValueError("too long")
    explicit = re.sub(r"(?<=[\da-z)])(?=\()|(?<=[\d)])(?=[a-z])", "*", text).replace("^", "**")
    try:
        return _read(ast.parse(explicit, mode="eval").body, values)
    except (SyntaxError, ZeroDivisionError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a formula: {text!r}") from error


def _read(node: ast.expr, values: dict[str, Polynomial]) -> Polynomial:
    match node:
        case ast.Constant(value=int(number)):
            return {frozenset(): Fraction(number)} if number else {}
        case ast.Name(id=name) if len(name) == 1:
            return values.get(name, {frozenset([(name, 1)]): Fraction(1)})
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return times({frozenset(): Fraction(-1)}, _read(inner, values))
        case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(exponent))):
            if exponent > 40:
                raise ValueError("the exponent is too large")
            return powered(_read(base, values), exponent)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _read(left, values), _read(right, values)
            match op:
                case ast.Add():
                    return plus(a, b)
                case ast.Sub():
                    return plus(a, times({frozenset(): Fraction(-1)}, b))
                case ast.Mult():
                    return times(a, b)
                case ast.Div():
                    return times(a, powered(b, -1))
    raise ValueError("not a formula")


def derived(p: Polynomial, x: str) -> Polynomial:
    """The derivative with respect to ``x``."""
    parts: list[Polynomial] = []
    for monomial, factor in p.items():
        exponents = dict(monomial)
        if exponent := exponents.pop(x, 0):
            exponents[x] = exponent - 1
            parts.append({frozenset((y, e) for y, e in exponents.items() if e): factor * exponent})
    return plus(*parts)


def dimension(text: str) -> Polynomial:
    """A unit such as ``N*m/s`` in terms of kg, m, s, A, K and mol."""
    over, *under = text.split("/")
    exponents: Counter[str] = Counter()
    for sign, part in ((1, over), *((-1, u) for u in under)):
        for factor in part.split("*"):
            name, _, exponent = factor.partition("^")
            if name == "1":
                continue
            if not re.fullmatch(r"kg|mol|[msAK]", name) and name not in UNITS:
                raise ValueError(f"not a unit: {name!r}")
            base = dict(next(iter(dimension(UNITS[name])))) if name in UNITS else {name: 1}
            for letter, e in base.items():
                exponents[letter] += sign * e * int(exponent or 1)
    return {frozenset((x, e) for x, e in exponents.items() if e): Fraction(1)}
