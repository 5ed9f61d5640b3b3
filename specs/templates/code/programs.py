"""Small functions by description: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer``, the unit ``tests`` that
judge it, and the cell it belongs to: a skill at a difficulty. At difficulty 2 the function works on
x minus something. ``python programs.py`` writes dev.jsonl and test.jsonl anew.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

# Skill -> the description of f(x) and what it returns.
FUNCTIONS = {
    "scale": ("x times {a}", "x * {a}"),
    "shift": ("x plus {a}", "x + {a}"),
    "larger": ("the larger of x and {a}", "max(x, {a})"),
    "divisible": ("whether {a} divides x", "x % {a} == 0"),
    "text": ("x as text, after {a}", "str({a}) + str(x)"),
}
SKILLS = tuple(FUNCTIONS)
INPUTS = (0, 1, 7, 12, 30)
BUILTINS = {"max": max, "str": str}


def describe(skill: str, a: int, b: int | None) -> tuple[str, str]:
    """A prompt and its function."""
    text, result = FUNCTIONS[skill]
    text, result = text.format(a=a), result.format(a=a)
    if b is not None:
        text = re.sub(r"\bx\b", f"(x minus {b})", text)
        result = re.sub(r"\bx\b", f"(x - {b})", result)
    return f"f(x): {text}", f"def f(x):\n    return {result}"


def run(code: str) -> Any:
    """The function f of a text that defines nothing else, computed with a few builtins alone.

    It is no sandbox: dagent runs what a student wrote in its own.
    """
    tree = ast.parse(code)
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        raise ValueError("not one function")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if unknown := names - {"x", *BUILTINS}:
        raise ValueError(f"unknown name {sorted(unknown)[0]}")
    if any(isinstance(node, ast.Attribute | ast.While | ast.For) for node in ast.walk(tree)):
        raise ValueError("attributes and loops are not allowed")
    space: dict[str, Any] = {"__builtins__": BUILTINS}
    exec(compile(tree, "<answer>", "exec"), space)
    return space["f"]


def make(rng: random.Random, skill: str, difficulty: int) -> dict[str, Any]:
    a = rng.randrange(2, 200)
    prompt, answer = describe(skill, a, rng.randrange(1, 10) if difficulty == 2 else None)
    f = run(answer)
    return {
        "prompt": prompt,
        "answer": answer,
        "tests": [f"assert f({x}) == {f(x)!r}" for x in INPUTS],
    }


def part(text: str) -> str:
    """Which set a question belongs to, so that no row to train on is ever one to test on."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 8
    return {0: "dev", 1: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, of: str) -> list[dict[str, Any]]:
    """Up to ``n`` distinct rows of one cell and one part; the same arguments give the same rows."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{of}")
    rows: dict[str, dict[str, Any]] = {}
    for _ in range(100 * n):
        row = make(rng, skill, difficulty)
        if len(rows) < n and part(row["prompt"]) == of:
            rows.setdefault(row["prompt"], row)
    return [{**row, "skill": skill, "difficulty": difficulty} for row in rows.values()]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict[str, Any]]:
    """dagent calls this for rows to train on."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    try:
        f = run(row["answer"])
        for test in row["tests"]:
            exec(test, {"__builtins__": {}, "f": f})
    except AssertionError:
        return "a test fails"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    for of, rows in {"dev": 24, "test": 30}.items():  # rows of each cell
        made = [row for s in SKILLS for d in (1, 2) for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
