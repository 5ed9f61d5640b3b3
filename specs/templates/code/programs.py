"""Small functions by description: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer``, the unit ``tests`` that
judge it, and the cell it belongs to: a skill at a difficulty. At difficulty 2 something is done to
x first. The tests fail the functions that the right one is easily mistaken for (``mistakes``).
``python programs.py`` writes dev.jsonl and test.jsonl anew.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Cases = Sequence[tuple[Any, Any]]
"""Inputs of a function, each with what it returns."""


def near(a: int) -> list[Any]:
    return [a - 1, a, a + 1, -a, 0]


def around_multiples(a: int) -> list[Any]:
    """Beside multiples of a, those of its divisors that are none of its own."""
    divisors = [n for n in range(1, a) if a % n == 0]
    return [a - 1, a, 2 * a, 2 * a + 1, -a, -a - 1, *divisors[-3:]]


def lists(a: int) -> list[Any]:
    return [[], [a - 1, a, a + 1], [a + 7, 0, a + 2], [a, -4, a - 2, a]]


@dataclass(frozen=True)
class Shape:
    """The description of f(x), what it does, and inputs that tell it from others, for a number a.

    ``first`` is done to x before at difficulty 2: its description and what it does, for a number b.
    """

    text: str
    body: str
    inputs: Callable[[int], list[Any]]
    first: tuple[str, str] = ("take {b} from x, then ", "x -= {b}")


DROP = ("drop the first {b} items of x, then ", "x = x[{b}:]")
SHAPES = {
    "scale": Shape("x times {a}", "return x * {a}", near),
    "shift": Shape("x plus {a}", "return x + {a}", near),
    "larger": Shape("the larger of x and {a}", "return max(x, {a})", near),
    "divisible": Shape("whether {a} divides x", "return x % {a} == 0", around_multiples),
    "text": Shape("x as text, after {a}", "return str({a}) + str(x)", near),
    "multiples": Shape(
        "the sum of the multiples of {a} under x",
        "t = 0\n    for n in range(0, x, {a}):\n        t += n\n    return t",
        lambda a: [0, a, a + 1, 2 * a, 3 * a + 1],
    ),
    "each": Shape("each item of x times {a}", "return [n * {a} for n in x]", lists, DROP),
    "over": Shape("the items of x over {a}", "return [n for n in x if n > {a}]", lists, DROP),
    "count": Shape(
        "how many items of x are under {a}",
        "t = 0\n    for n in x:\n        if n < {a}:\n            t += 1\n    return t",
        lists,
        DROP,
    ),
    "first": Shape(
        "the first item of x over {a}, else 0",
        "for n in x:\n        if n > {a}:\n            return n\n    return 0",
        lists,
        DROP,
    ),
    "without": Shape(
        "the items of x sorted, without {a}",
        "return sorted(n for n in x if n != {a})",
        lists,
        DROP,
    ),
}
SKILLS, DIFFICULTIES = tuple(SHAPES), (1, 2)


def few(*bounds: int) -> range:
    """``range``, within reason."""
    if len(found := range(*bounds)) > 10_000:
        raise ValueError("a long loop")
    return found


BUILTINS = {"max": max, "min": min, "str": str, "sorted": sorted, "sum": sum, "len": len}
BUILTINS |= {"range": few}
NAMES = {"x", "n", "t", *BUILTINS}
LOOPS = (ast.For, ast.comprehension)


def forbidden(code: str) -> str | None:
    """Why a text is not run here: it is to define the function f of a few builtins, no more.

    It is no sandbox: dagent runs what a student wrote in its own.
    """
    tree = ast.parse(code)
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        return "it is not one function"
    nodes = list(ast.walk(tree))
    if unknown := {node.id for node in nodes if isinstance(node, ast.Name)} - NAMES:
        return f"unknown name {min(unknown)}"
    if any(isinstance(node, ast.Attribute | ast.While | ast.Pow) for node in nodes):
        return "attributes, powers and `while` are not allowed"
    return "more than one loop" if sum(isinstance(node, LOOPS) for node in nodes) > 1 else None


def run(code: str) -> Callable[[Any], Any]:
    """The function f of a text."""
    space: dict[str, Any] = {"__builtins__": BUILTINS}
    exec(code, space)
    f: Callable[[Any], Any] = space["f"]
    return f


def texts(skill: str, difficulty: int) -> tuple[str, str]:
    """A prompt and its function, with the numbers a and b to be filled in."""
    shape = SHAPES[skill]
    asked, done = shape.first if difficulty == 2 else ("", "")
    lines = [line for line in (done, shape.body) if line]
    return f"f(x): {asked}{shape.text}", "def f(x):\n    " + "\n    ".join(lines)


@dataclass(frozen=True)
class Question:
    """What a prompt asks for."""

    skill: str
    difficulty: int
    a: int
    b: int

    def answer(self, a: int = 0, b: int = 0) -> str:
        """Its function, one number off where that is asked for."""
        return texts(self.skill, self.difficulty)[1].format(a=self.a + a, b=self.b + b)


def inputs(question: Question) -> list[Any]:
    """Inputs that tell the function from its mistakes, whatever is done to x first."""
    shape, a, b = SHAPES[question.skill], question.a, question.b
    if question.difficulty == 1:
        return shape.inputs(a)
    if shape.first is not DROP:
        return [x + b for x in shape.inputs(a)]
    return [[(a + 9, -3)[i % 2]] * b + x for i, x in enumerate(shape.inputs(a))]


def solve(prompt: str) -> Question | None:
    """What a prompt asks for, None if it describes no function of ours."""
    for skill in SKILLS:
        for difficulty in DIFFICULTIES:
            asked = re.escape(texts(skill, difficulty)[0])
            asked = re.sub(r"\\{(\w)\\}", r"(?P<\1>[1-9]\\d*)", asked)
            if found := re.fullmatch(asked, prompt):
                numbers = {name: int(number) for name, number in found.groupdict().items()}
                return Question(skill, difficulty, numbers["a"], numbers.get("b", 0))
    return None


def mistakes(question: Question) -> Iterator[str]:
    """Functions that one is easily mistaken for: with another number, or another sign."""
    for by in (-1, 1):
        yield question.answer(a=by)
        if question.difficulty == 2:
            yield question.answer(b=by)
    code = question.answer()
    for sign, other in ((" > ", " < "), (" > ", " >= "), (" < ", " > "), (" < ", " <= ")):
        if sign in code:
            yield code.replace(sign, other)


def fault(code: str, cases: Cases, strange: bool = False) -> str | None:
    """How the function of a text, which a stranger may have written, does not do what it should;
    None if it does."""
    try:
        if strange and (why := forbidden(code)):
            return why
        f = run(code)
        for x, right in cases:
            if (given := f(list(x) if isinstance(x, list) else x)) != right:
                return f"f({x}) is {given!r}, not {right!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def cases_of(tests: Sequence[str]) -> Cases:
    """The cases of the tests that are of the form ``assert f(INPUT) == OUTPUT``."""
    found = [re.fullmatch(r"assert f\((.+)\) == (.+)", test) for test in tests]
    try:
        return [(ast.literal_eval(case[1]), ast.literal_eval(case[2])) for case in found if case]
    except (ValueError, SyntaxError):
        return []


def part(text: str) -> str:
    """Which set a question belongs to, so that no row to train on is ever one to test on."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 8
    return {0: "dev", 1: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, of: str) -> list[dict[str, Any]]:
    """Up to ``n`` distinct rows of one cell and one part; the same arguments give the same rows."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{of}")
    least, most = (1, 4) if SHAPES[skill].first is DROP else (1, 10)
    asked, rows = texts(skill, difficulty)[0], dict[str, Question]()
    for _ in range(100 * n):
        question = Question(skill, difficulty, rng.randrange(2, 250), rng.randrange(least, most))
        prompt = asked.format(a=question.a, b=question.b)
        if question.a != question.b and part(prompt) == of:  # x minus 5 plus 5 is no question
            rows.setdefault(prompt, question)
        if len(rows) == n:
            break
    return [row(prompt, question) for prompt, question in rows.items()]


def row(prompt: str, question: Question) -> dict[str, Any]:
    f = run(question.answer())
    return {
        "prompt": prompt,
        "answer": question.answer(),
        "tests": [f"assert f({x}) == {f(x)!r}" for x in inputs(question)],
        "skill": question.skill,
        "difficulty": question.difficulty,
    }


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict[str, Any]]:
    """dagent calls this for rows to train on."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    question = solve(row["prompt"])
    if question is None:
        return "it describes no function here"
    tests = row.get("tests") or []
    cases = cases_of(tests)
    if not cases or len(cases) < len(tests):
        return "its tests are not of the form assert f(INPUT) == OUTPUT, or there are none"
    if wrong := fault(question.answer(), cases):
        return f"its tests are wrong: {wrong}"
    if wrong := fault(row["answer"], [*cases, *others(question, cases)], strange=True):
        return f"its function is wrong: {wrong}"
    if all(x == right for x, right in cases) or len({str(right) for _, right in cases}) == 1:
        return "its tests are passed by x itself, or by one value whatever x is"
    passed = (code for code in mistakes(question) if fault(code, cases) is None)
    return next((f"its tests are passed by {code!r}" for code in passed), None)


def others(question: Question, cases: Cases) -> Cases:
    """Inputs that the tests do not have, with what is right for them."""
    rng, right = random.Random(str(question)), run(question.answer())
    numbers = [*range(-20, 20), *(rng.randrange(-300, 900) for _ in range(40))]
    listed = [rng.sample(numbers, n) for n in range(12)]
    tried = {str(x) for x, _ in cases}
    found = listed if SHAPES[question.skill].first is DROP else numbers
    return [(x, right(x)) for x in found if str(x) not in tried]


def main() -> None:
    for of, rows in {"dev": 11, "test": 15}.items():  # rows of each cell
        made = [row for s in SKILLS for d in DIFFICULTIES for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
