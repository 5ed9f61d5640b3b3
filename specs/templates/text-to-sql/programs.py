"""Questions about tables, answered in SQL: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer``, the script ``schema_sql``
that makes its database, and the cell it belongs to: a skill at a difficulty. ``python programs.py``
writes dev.jsonl and test.jsonl anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

# Table -> what its columns are called: a name, a place, a number.
TABLES = {
    "staff": ("name", "city", "pay"),
    "sales": ("item", "shop", "units"),
    "trips": ("host", "town", "days"),
    "games": ("team", "place", "goals"),
    "farms": ("boss", "area", "cows"),
    "boats": ("crew", "port", "seats"),
}
NAMES = ("ana", "ben", "eva", "tom", "ida", "max", "leo", "zoe")
PLACES = (
    "oslo", "rome", "lima", "bern", "kyiv", "cairo", "quito", "delhi", "paris", "tunis",
    "accra", "hanoi", "minsk", "seoul", "sofia", "tokyo", "dakar", "malmo", "turin", "ghent",
)  # fmt: skip
HERE = 4
"""How many of the places occur in one table."""
# Skill -> the question and its query, over the table t with the columns n, p and v.
QUESTIONS = {
    "list": ("{n} in {p}={place}?", "select {n} from {t} where {p} = '{place}'"),
    "count": ("how many in {p}={place}?", "select count(*) from {t} where {p} = '{place}'"),
    "total": ("total {v} in {p}={place}?", "select sum({v}) from {t} where {p} = '{place}'"),
    "most": ("top {top} {n} by {v}?", "select {n} from {t} order by {v} desc limit {top}"),
}
SKILLS = tuple(QUESTIONS)
HARDER = (" over {k} {v}", " and {v} > {k}")
"""At difficulty 2 a question asks for more, and its query has a further condition."""


def question(t: str, skill: str, difficulty: int, place: str, k: int, top: int) -> tuple[str, str]:
    """A prompt and its query."""
    n, p, v = TABLES[t]
    text, query = QUESTIONS[skill]
    if difficulty == 2:
        more, condition = HARDER
        text = text.replace("?", f"{more}?")
        condition = condition if "where" in query else condition.replace(" and", " where")
        head, order, tail = query.partition(" order by")
        query = head + condition + order + tail
    names = {"t": t, "n": n, "p": p, "v": v, "place": place, "k": k, "top": top}
    return f"{t}({n}, {p}, {v}): {text.format(**names)}", query.format(**names)


def database(t: str, place: str, rng: random.Random) -> str:
    """A script that makes the table with eight rows, some of the place that is asked for; no number
    stands there twice."""
    n, p, v = TABLES[t]
    here = [place, *rng.sample(PLACES, HERE - 1)]
    numbers = rng.sample(range(10, 100), len(NAMES))
    rows = ", ".join(
        f"('{name}', '{rng.choice(here)}', {number})"
        for name, number in zip(NAMES, numbers, strict=True)
    )
    return f"create table {t}({n} text, {p} text, {v} integer); insert into {t} values {rows};"


def make(rng: random.Random, skill: str, difficulty: int) -> dict[str, Any]:
    table = rng.choice(list(TABLES))
    place, k, top = rng.choice(PLACES), rng.randrange(15, 95), rng.randrange(1, 80)
    prompt, answer = question(table, skill, difficulty, place, k, top)
    return {"prompt": prompt, "answer": answer, "schema_sql": database(table, place, rng)}


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


def solve(prompt: str) -> str | None:
    """The query of a prompt, None if it is no question of ours."""
    place, k = re.search(r"=(\w+)", prompt), re.search(r"over (\d+)", prompt)
    top = re.search(r"top (\d+)", prompt)
    for table in TABLES:
        for skill in SKILLS:
            said, query = question(
                table,
                skill,
                2 if k else 1,
                place[1] if place else "",
                int(k[1]) if k else 0,
                int(top[1]) if top else 0,
            )
            if said == prompt:
                return query
    return None


def result(script: str, query: str) -> list[Any]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script)
        return connection.execute(query).fetchall()


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    right = solve(row["prompt"])
    if right is None:
        return "the question is about no table here"
    try:
        given = result(row["schema_sql"], row["answer"])
    except sqlite3.Error as error:
        return f"the query fails: {error}"
    wanted = result(row["schema_sql"], right)
    return None if sorted(given) == sorted(wanted) else f"the query gives {given}, not {wanted}"


def main() -> None:
    for of, rows in {"dev": 30, "test": 40}.items():  # rows of each cell
        made = [row for s in SKILLS for d in (1, 2) for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
