"""Questions about tables, answered in SQL: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer``, the script ``schema_sql``
that makes its database, and the cell it belongs to: a skill at a difficulty. A database tells the
right query from those that it is easily mistaken for (``mistakes``). ``python programs.py`` writes
dev.jsonl and test.jsonl anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Table -> what its columns may be called: a name, a place, a number.
TABLES = {
    "jobs": (("name", "boss"), ("city", "site"), ("pay", "age")),
    "ads": (("item", "firm"), ("shop", "town"), ("cost", "tax")),
    "tour": (("host", "crew"), ("port", "city"), ("days", "fare")),
    "cups": (("team", "club"), ("hall", "town"), ("wins", "fans")),
    "farm": (("crop", "boss"), ("area", "site"), ("cows", "pigs")),
    "ship": (("name", "crew"), ("port", "area"), ("oars", "age")),
    "inns": (("host", "name"), ("town", "hall"), ("beds", "cost")),
    "book": (("firm", "item"), ("city", "shop"), ("cost", "age")),
    "band": (("name", "club"), ("hall", "city"), ("fans", "fare")),
    "race": (("team", "host"), ("area", "town"), ("wins", "days")),
    "mine": (("firm", "crew"), ("site", "port"), ("tons", "tax")),
    "cars": (("crew", "firm"), ("city", "area"), ("fare", "cost")),
}
NAMES = ("ana", "ben", "eva", "tom", "ida", "max", "leo", "zoe")
PLACES = ("oslo", "rome", "lima", "bern", "kyiv", "riga", "baku", "doha", "giza", "bari")
SIDES = ("east", "west", "hill", "bay")
"""A second table, map, says on which side each place is."""
# Field of a question -> what it may say, and what its query does.
WORDS = {
    "over": {"over": ">", "under": "<"},
    "top": {"top": " desc", "last": ""},
    "total": {"total": "sum", "mean": "avg", "most": "max", "least": "min"},
}


@dataclass(frozen=True)
class Query:
    """A query in its parts."""

    what: str
    source: str = "{t}"
    where: tuple[str, ...] = ()
    group: str = ""
    having: str = ""
    order: str = ""
    limit: str = ""

    def __str__(self) -> str:
        parts = {"select": self.what, "from": self.source, "where": " and ".join(self.where)}
        parts |= {"group by": self.group, "having": self.having}
        parts |= {"order by": self.order, "limit": self.limit}
        return " ".join(f"{word} {part}" for word, part in parts.items() if part)

    def filled(self, names: Mapping[str, str]) -> Query:
        def fill(part: str) -> str:
            return part.format(**names)

        where = tuple(map(fill, self.where))
        group, having = fill(self.group), fill(self.having)
        order, limit = fill(self.order), fill(self.limit)
        return Query(fill(self.what), fill(self.source), where, group, having, order, limit)


JOINED = "{t} join map using ({p})"
HERE, SIDE, BEYOND = "{p} = '{x}'", "side = '{y}'", "{v} {sign} {k}"
# Skill -> by difficulty a question and its query. Of the table t the columns are n, p and v.
SHAPES: dict[str, tuple[tuple[str, Query], ...]] = {
    "list": (
        ("{n} in {p}={x}?", Query("{n}", where=(HERE,))),
        ("{n} in {p}={x}, {v} {over} {k}?", Query("{n}", where=(HERE, BEYOND))),
        (
            "{n} in {p}={x}, {v} over {k}, under {m}?",
            Query("{n}", where=(HERE, "{v} > {k}", "{v} < {m}")),
        ),
    ),
    "count": (
        ("how many in {p}={x}?", Query("count(*)", where=(HERE,))),
        ("how many in {p}={x}, {v} {over} {k}?", Query("count(*)", where=(HERE, BEYOND))),
        (
            "how many not in {p}={x}, {v} {over} {k}?",
            Query("count(*)", where=("{p} != '{x}'", BEYOND)),
        ),
    ),
    "total": (
        ("{total} {v} in {p}={x}?", Query("{sum}({v})", where=(HERE,))),
        ("{total} {v} in {p}={x}, {over} {k}?", Query("{sum}({v})", where=(HERE, BEYOND))),
        ("range of {v} in {p}={x}?", Query("max({v}) - min({v})", where=(HERE,))),
    ),
    "rank": (
        ("{top} {l} {n} by {v}?", Query("{n}", order="{v}{end}", limit="{l}")),
        (
            "{top} {l} {n} in {p}={x} by {v}?",
            Query("{n}", where=(HERE,), order="{v}{end}", limit="{l}"),
        ),
        (
            "{top} {l} {p} by {total} {v}?",
            Query("{p}", group="{p}", order="{sum}({v}){end}", limit="{l}"),
        ),
    ),
    "group": (
        ("{total} {v} per {p}?", Query("{p}, {sum}({v})", group="{p}")),
        (
            "{total} {v} per {p}, {over} {k}?",
            Query("{p}, {sum}({v})", where=(BEYOND,), group="{p}"),
        ),
        (
            "{p} with {total} {v} {over} {k}?",
            Query("{p}", group="{p}", having="{sum}({v}) {sign} {k}"),
        ),
    ),
    "distinct": (
        ("each {p} with {v} {over} {k}?", Query("distinct {p}", where=(BEYOND,))),
        (
            "each {p} with {v} {over} {k}, sorted?",
            Query("distinct {p}", where=(BEYOND,), order="{p}"),
        ),
        ("how many {p} with {v} {over} {k}?", Query("count(distinct {p})", where=(BEYOND,))),
    ),
    "join": (
        ("{n} in side={y}?", Query("{n}", JOINED, (SIDE,))),
        ("{total} {v} in side={y}?", Query("{sum}({v})", JOINED, (SIDE,))),
        ("{total} {v} per side?", Query("side, {sum}({v})", JOINED, group="side")),
    ),
}
SKILLS, DIFFICULTIES = tuple(SHAPES), (1, 2, 3)


def question(skill: str, difficulty: int) -> tuple[str, Query]:
    """A prompt and its query, with fields to be filled."""
    asked, query = SHAPES[skill][difficulty - 1]
    tables = "{t}({n}, {p}, {v})" + (" map({p}, side)" if query.source == JOINED else "")
    return f"{tables}: {asked}", query


def fields(rng: random.Random) -> dict[str, str]:
    """What a prompt may ask for."""
    table = rng.choice(list(TABLES))
    n, p, v = map(rng.choice, TABLES[table])
    k, m, top = rng.randrange(30, 60), rng.randrange(60, 80), rng.randrange(1, 4)
    said = {"t": table, "n": n, "p": p, "v": v, "k": str(k), "m": str(m), "l": str(top)}
    said |= {"x": rng.choice(PLACES), "y": rng.choice(SIDES)}
    return said | {key: rng.choice(list(words)) for key, words in WORDS.items()}


def meant(said: Mapping[str, str]) -> dict[str, str]:
    """The fields of a prompt and what follows from them for its query."""
    names = {"over": "sign", "top": "end", "total": "sum"}
    follow = {names[key]: words[said[key]] for key, words in WORDS.items() if key in said}
    return {**said, **follow}


def solve(prompt: str) -> Query | None:
    """The query of a prompt, None if it is no question of ours."""
    for skill in SKILLS:
        for difficulty in DIFFICULTIES:
            asked, query = question(skill, difficulty)
            if found := re.fullmatch(pattern(asked), prompt):
                return query.filled(meant(found.groupdict()))
    return None


def pattern(asked: str) -> str:
    """A regular expression with a group of each field, which says the same wherever it stands."""
    kinds = {key: "|".join(words) for key, words in WORDS.items()} | dict.fromkeys("klm", r"\d+")
    seen: set[str] = set()

    def group(field: re.Match[str]) -> str:
        name = field[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{kinds.get(name, '[a-z]+')})"

    return re.sub(r"\\{(\w+)\\}", group, re.escape(asked))


def mistakes(query: Query) -> Iterator[tuple[str, Query]]:
    """The queries that one is easily mistaken for, each with what is wrong with it."""
    for i, condition in enumerate(query.where):
        before, after = query.where[:i], query.where[i + 1 :]
        yield f"without `{condition}`", replace(query, where=before + after)
        for other in turned(condition):
            yield f"with `{other}`", replace(query, where=(*before, other, *after))
    if query.having:
        yield f"without `having {query.having}`", replace(query, having="")
        other = turned(query.having)[0]
        yield f"with `having {other}`", replace(query, having=other)
    if query.order:
        down = query.order.endswith(" desc")
        turn = query.order.removesuffix(" desc") if down else f"{query.order} desc"
        yield "in the opposite order", replace(query, order=turn)
        yield "in no order", replace(query, order="")
    if query.limit:
        yield "without its limit", replace(query, limit="")
    if query.group:
        yield "without its groups", replace(query, group="")
    if "distinct " in query.what:
        yield "with repetitions", replace(query, what=query.what.replace("distinct ", ""))
    if " using " in query.source:
        yield "of all pairs of rows", replace(query, source=query.source.partition(" using ")[0])


def turned(condition: str) -> list[str]:
    """The condition with its sign turned, and with the bound itself let in."""
    found = re.search(r"(.*) ([<>]) (.*)", condition)
    if not found:
        return []
    left, sign, right = found.groups()
    return [f"{left} {'<' if sign == '>' else '>'} {right}", f"{left} {sign}= {right}"]


def result(database: sqlite3.Connection, query: str, ordered: bool) -> Any:
    """What a query gives, to be compared: with its order only where an order was asked for."""
    rows = database.execute(query).fetchall()
    return rows if ordered else Counter(rows)


def weakness(script: str, query: Query) -> str | None:
    """What the database cannot tell the query from, None if it tells all."""
    ordered = bool(query.order)
    with closing(opened(script)) as database:
        right = result(database, str(query), ordered)
        if not right or not all(value for row in right for value in row):
            return "one that finds nothing"
        if query.order:
            ties = [replace(query, order=f"{query.order}, 1{end}") for end in ("", " desc")]
            if any(result(database, str(other), ordered) != right for other in ties):
                return "one that breaks ties otherwise"
        for what, other in mistakes(query):
            try:
                if result(database, str(other), ordered) == right:
                    return f"one {what}"
            except sqlite3.Error:
                continue  # a mistake that SQLite refuses is told
    return None


def opened(script: str) -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(script)
    return connection


def database(said: Mapping[str, str], query: Query, rng: random.Random) -> str:
    """A script that makes the tables: eight rows, more of them of the place that is asked for, with
    the numbers that are asked for among others; no number stands there twice."""
    here = [said["x"], *rng.sample([p for p in PLACES if p != said["x"]], 3)]
    bounds = [int(said["k"]), int(said["m"])]
    numbers = bounds + rng.sample([n for n in range(10, 100) if n not in bounds], len(NAMES) - 2)
    rng.shuffle(numbers)
    places = rng.choices(here, (rng.randrange(1, 4), 1, 1, 1), k=len(NAMES))
    rows = list(zip(rng.sample(NAMES, len(NAMES)), places, numbers, strict=True))
    script = table("{t}({n} text, {p} text, {v} integer)".format(**said), said["t"], rows)
    if " join " in query.source:
        sides = [said["y"], rng.choice([side for side in SIDES if side != said["y"]])]
        placed = [(place, rng.choice(sides)) for place in here]
        script += " " + table("map({p} text, side text)".format(**said), "map", placed)
    return script


def table(columns: str, name: str, rows: Sequence[tuple[Any, ...]]) -> str:
    return f"create table {columns}; insert into {name} values {', '.join(map(repr, rows))};"


def make(rng: random.Random, said: Mapping[str, str], query: Query) -> str | None:
    """A database that tells the query from every mistake, None if none was found."""
    for _ in range(60):
        script = database(said, query, rng)
        if weakness(script, query) is None:
            return script
    return None


def part(text: str) -> str:
    """Which set a question belongs to, so that no row to train on is ever one to test on."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 8
    return {0: "dev", 1: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, of: str) -> list[dict[str, Any]]:
    """Up to ``n`` distinct rows of one cell and one part; the same arguments give the same rows."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{of}")
    asked, query = question(skill, difficulty)
    cell = {"skill": skill, "difficulty": difficulty}
    rows: dict[str, dict[str, Any]] = {}
    for _ in range(100 * n):
        said = meant(fields(rng))
        prompt, right = asked.format(**said), query.filled(said)
        if len(rows) == n:
            break
        if part(prompt) == of and prompt not in rows and (script := make(rng, said, right)):
            rows[prompt] = {"prompt": prompt, "answer": str(right), "schema_sql": script, **cell}
    return list(rows.values())


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict[str, Any]]:
    """dagent calls this for rows to train on."""
    return draw(skill, difficulty, n, seed, "train")


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    query = solve(row["prompt"])
    if query is None:
        return "the question is about no table here"
    try:
        if weak := weakness(row["schema_sql"], query):
            return f"its database does not tell the right query from {weak}"
        with closing(opened(row["schema_sql"])) as database:
            given = result(database, row["answer"], bool(query.order))
            wanted = result(database, str(query), bool(query.order))
    except (sqlite3.Error, sqlite3.Warning) as error:
        return f"the query fails: {error}"
    return None if given == wanted else f"the query gives {list(given)}, not {list(wanted)}"


def main() -> None:
    for of, rows in {"dev": 12, "test": 16}.items():  # rows of each cell
        made = [row for s in SKILLS for d in DIFFICULTIES for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
