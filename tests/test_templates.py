"""The rows of templates tell right answers from those that are easily taken for them."""

from __future__ import annotations

import ast
import copy
import json
import re
import runpy
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagent.specs
from dagent.runtime.sql_grader import sql_grader

FOLDER = Path(dagent.specs.__path__[0]) / "templates"
Row = dict[str, Any]


def programs(template: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / template / "programs.py"))


def rows(template: str) -> list[Row]:
    """Those that are measured, and some that are made to train on."""
    measured = [
        json.loads(line)
        for name in ("dev.jsonl", "test.jsonl")
        for line in (FOLDER / template / name).read_text(encoding="utf-8").splitlines()
    ]
    cells = sorted({(row["skill"], row["difficulty"]) for row in measured})
    generate = programs(template)["generate"]
    return measured + [row for cell in cells for row in generate(*cell, 3, 5)]


# --- text-to-sql --------------------------------------------------------------------------------


def wrong_queries(query: str) -> Iterator[str]:
    """The query with one thing left out or turned around, by its text alone."""
    head, where, rest = re.fullmatch(
        r"(.*?)(?: where (.*?))?((?: group by .*?)?(?: order by .*?)?)", query
    ).groups()  # type: ignore[union-attr]
    conditions = where.split(" and ") if where else []
    for i in range(len(conditions)):
        kept = conditions[:i] + conditions[i + 1 :]
        yield head + (f" where {' and '.join(kept)}" if kept else "") + rest
    for cut in (
        r" limit \d+",
        r" order by \S+( desc)?",
        r" group by \w+",
        r" having .*",
        "distinct ",
    ):
        if re.search(cut, query):
            yield re.sub(cut, "", query)
    if " using " in query:
        yield re.sub(r" using \(\w+\)", "", query)
    if " order by " in query:
        turned = re.sub(r"(order by \S+) desc", r"\1", query)
        yield turned if turned != query else re.sub(r"(order by \S+)", r"\1 desc", query)
    signs = [m.start() for m in re.finditer("[<>]", query)]
    for at in signs:
        yield query[:at] + {"<": ">", ">": "<"}[query[at]] + query[at + 1 :]


def test_the_wrong_queries_are_those_meant() -> None:
    query = "select a from t where b = 'x' and c > 1 order by c desc limit 2"
    assert list(wrong_queries(query)) == [
        "select a from t where c > 1 order by c desc limit 2",
        "select a from t where b = 'x' order by c desc limit 2",
        "select a from t where b = 'x' and c > 1 order by c desc",
        "select a from t where b = 'x' and c > 1 limit 2",
        "select a from t where b = 'x' and c > 1 order by c limit 2",
        "select a from t where b = 'x' and c < 1 order by c desc limit 2",
    ]
    assert list(wrong_queries("select distinct a from t join u using (k) group by a")) == [
        "select distinct a from t join u using (k)",
        "select a from t join u using (k) group by a",
        "select distinct a from t join u group by a",
    ]


def test_every_database_tells_wrong_queries_from_the_right_one() -> None:
    grade = sql_grader({}, FOLDER)
    untold, empty = [], []
    for row in rows("text-to-sql"):
        assert grade(row["answer"], row).score == 1
        made = sqlite3.connect(":memory:")
        made.executescript(row["schema_sql"])
        found = made.execute(row["answer"]).fetchall()
        made.close()
        if not found or None in found[0]:
            empty.append(row["answer"])
        untold += [
            (row["answer"], wrong)
            for wrong in wrong_queries(row["answer"])
            if grade(wrong, row).score == 1
        ]
    assert (untold, empty) == ([], [])


def test_sql_is_verified_by_what_it_gives() -> None:
    template = programs("text-to-sql")
    generate, verify = template["generate"], template["verify"]
    (sorted_,) = generate("distinct", 2, 1, 3)
    assert " order by " in sorted_["answer"]
    assert verify({**sorted_, "answer": sorted_["answer"] + " asc"}) is None
    unsorted = sorted_["answer"].partition(" order by ")[0]
    assert verify({**sorted_, "answer": unsorted}).startswith("the query gives")
    (ranked,) = generate("rank", 1, 1, 3)
    assert verify({**ranked, "answer": "drop table x"}).startswith("the query fails")
    other = {**ranked, "prompt": ranked["prompt"] + " please"}
    assert verify(other) == "the question is about no table here"
    few = re.sub(r"values (\([^)]*\)).*", r"values \1;", ranked["schema_sql"])
    assert "does not tell the right query from" in verify({**ranked, "schema_sql": few})


# --- code ---------------------------------------------------------------------------------------


class _Change(ast.NodeTransformer):
    """Makes one change, the ``number``-th of those that there are."""

    def __init__(self, number: int) -> None:
        self.left = number

    def _turn(self, node: ast.AST, ways: list[Any], key: str = "value") -> ast.AST:
        self.generic_visit(node)
        if 0 <= self.left < len(ways):
            setattr(node, key, ways[self.left])
        self.left -= len(ways)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return self._turn(node, [node.value - 1, node.value + 1])

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        ways = [ast.Lt(), ast.LtE(), ast.Gt(), ast.GtE(), ast.Eq(), ast.NotEq()]
        return self._turn(node, [[way] for way in ways], "ops")

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return self._turn(node, [ast.Add(), ast.Sub(), ast.Mult(), ast.FloorDiv()], "op")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._turn(node, ["min", "list"], "id") if node.id in ("max", "sorted") else node


def wrong_functions(row: Row) -> Iterator[str]:
    """The function with a number, a sign or a name changed; what gives the same whatever x is; one
    too much."""
    number, tree = 0, ast.parse(row["answer"])
    while (change := _Change(number)) and (made := change.visit(copy.deepcopy(tree))):
        if change.left >= 0:
            break
        yield ast.unparse(made)
        number += 1
    outputs = {test.partition(" == ")[2] for test in row["tests"]}
    yield from (f"def f(x):\n    return {value}" for value in ("x", *sorted(outputs)))
    yield re.sub(r"return (.*)$", r"return (\1) + 1", row["answer"])


def behaviour(code: str, inputs: list[Any]) -> list[str]:
    space: dict[str, Any] = {}
    exec(code, space)
    found = []
    for x in inputs:
        try:
            found.append(repr(space["f"](copy.copy(x))))
        except (ArithmeticError, TypeError, ValueError) as error:
            found.append(type(error).__name__)
    return found


def test_the_tests_of_every_function_fail_wrong_ones() -> None:
    passed, failed = [], 0
    for row in rows("code"):
        cases = [re.fullmatch(r"assert f\((.*)\) == (.*)", test).groups() for test in row["tests"]]  # type: ignore[union-attr]
        given, right = [ast.literal_eval(x) for x, _ in cases], [wanted for _, wanted in cases]
        assert behaviour(row["answer"], given) == right
        found = [wrong for wrong in wrong_functions(row) if behaviour(wrong, given) == right]
        failed += len(list(wrong_functions(row))) - len(found)
        probes = others(row["prompt"], isinstance(given[0], list)) if found else []
        wanted = behaviour(row["answer"], probes)
        # What gives the same everywhere is another way to write it.
        passed += [(row["answer"], w) for w in found if behaviour(w, probes) != wanted]
    assert passed == []
    assert failed > 5000


def others(prompt: str, listed: bool) -> list[Any]:
    a = max(int(number) for number in re.findall(r"\d+", prompt))
    numbers = [*range(-30, 30), *range(a - 12, a + 12), 2 * a, 3 * a]
    lists = [numbers[i : i + n] for n in range(7) for i in range(0, len(numbers), 5)]
    return lists if listed else numbers


def test_code_is_verified_against_its_description() -> None:
    template = programs("code")
    generate, verify = template["generate"], template["verify"]
    for skill in template["SKILLS"]:
        row, other = generate(skill, 2, 2, 3)
        assert verify({**row, "prompt": other["prompt"]}).startswith("its tests are wrong")
        assert verify({**row, "answer": other["answer"]}).startswith("its function is wrong")
        for tests in ([], row["tests"][:1], ["assert True"], [*row["tests"], "assert f"]):
            assert verify({**row, "tests": tests}) is not None
    (row,) = generate("scale", 1, 1, 3)
    cases = [re.findall(r"-?\d+", test) for test in row["tests"]]
    learned = "".join(f"{y} if x == {x} else " for x, y in cases)
    by_heart = f"def f(x):\n    return {learned}0"
    assert verify({**row, "answer": by_heart}).startswith("its function is wrong: f(")
    for endless in (
        "while x: x = x",
        "for n in range(10 ** 9): x = n",
        "for n in range(99999): x = n",
    ):
        assert verify({**row, "answer": f"def f(x):\n    {endless}\n    return x"}) is not None
