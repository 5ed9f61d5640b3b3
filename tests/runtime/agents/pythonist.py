"""A stand-in for a language model that knows Python, and of the domain only what prompts tell it.

It writes rows in the form of the examples that it is shown, with other letters, works out answers
by running the program in the question, and slips in a share of them. Whoever it answers in another
role it answers the same way: from the question, never from what a test knows of the domain.
"""

from __future__ import annotations

import io
import json
import random
import re
import string
from contextlib import redirect_stdout
from types import ModuleType
from typing import Any

_TEXT = re.compile(r'"([a-z]*)"')
_NUMBER = re.compile(r"\b\d+\b")
_QUOTED = re.compile(r"'(\w+)'")
_CALLED = re.compile(r"assert (.*) == .*")


def printed(program: str) -> str | None:
    """What a program prints; None where it does not run."""
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            exec(program, {})
    except Exception:
        return None
    return out.getvalue().strip()


def rewritten(program: str, rng: random.Random) -> str:
    """The same program about other text."""

    def other(found: re.Match[str]) -> str:
        return '"' + "".join(rng.choices(string.ascii_lowercase, k=len(found[1]))) + '"'

    return _TEXT.sub(other, program)


def coded(example: dict[str, str], rng: random.Random, slip: bool) -> dict[str, Any]:
    """A function like the example's with other numbers, and tests of it at inputs moved as far;
    by a slip they expect what another function gives, or any value at all."""
    by = rng.randrange(1, 40)

    def moved(text: str) -> str:
        return _NUMBER.sub(lambda found: str(int(found[0]) + by), text)

    question, result = moved(example["prompt"]), moved(example["answer"])
    names: dict[str, Any] = {}
    exec(result, names)
    calls = [moved(found) for found in _CALLED.findall(example["tests"])]
    expected = [repr(eval(call, names)) for call in calls]
    if slip:
        expected = [f"{calls[0]} or {value}" if by % 2 else "None" for value in expected]
    tests = [f"assert {call} == {value}" for call, value in zip(calls, expected, strict=True)]
    return {"question": question, "reasoning": "", "result": result, "tests": tests}


def queried(example: dict[str, str], rng: random.Random, slip: bool) -> dict[str, Any]:
    """The example's question about another value of its tables; by a slip the tables are empty."""
    question, result = example["prompt"], example["answer"]
    values = _QUOTED.findall(example["database"])
    for old in _QUOTED.findall(result):
        new = rng.choice(values)
        question, result = (
            question.replace(f"={old}", f"={new}"),
            result.replace(f"'{old}'", f"'{new}'"),
        )
    database = example["database"]
    database = database.partition(";")[0] + ";" if slip else database
    return {"question": question, "reasoning": "", "result": result, "database": database}


def retested(tests: str, answer: str, rng: random.Random) -> list[str]:
    """The same calls, with what the answer gives."""
    names: dict[str, Any] = {}
    exec(answer, names)
    calls = [found.partition(" or ")[0] for found in _CALLED.findall(tests)]
    return [f"assert {call} == {eval(call, names)!r}" for call in calls]


def refilled(database: str, answer: str, rng: random.Random) -> str:
    """The same table with rows of every kind: with the values that the query names, and others."""
    table, columns = re.findall(r"create table (\w+)\(([^)]*)\)", database)[0]
    texts = [*_QUOTED.findall(answer), "here", "there"]

    def value(column: str) -> str:
        number = column.endswith("integer")
        return str(rng.randrange(1, 99)) if number else f"'{rng.choice(texts)}'"

    rows = (", ".join(map(value, columns.split(", "))) for _ in range(12))
    return f"{database} insert into {table} values " + ", ".join(f"({row})" for row in rows) + ";"


def make(engineers: ModuleType, slips: float = 0.1) -> Any:
    """The engineer, which gets ``slips`` of its rows and of its judgements wrong."""

    class Pythonist(engineers.Engineer):  # type: ignore[misc, name-defined]
        def diagnoser(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            failures = json.loads(given["failures"])
            weakness = {
                "name": f"does not follow {given['skill']} through",
                "cause": "repeats the text of the program instead of running it",
                "difficulties": sorted({f["difficulty"] for f in failures}),
                "evidence": [f["id"] for f in failures],
            }
            return {"weaknesses": [weakness]}

        def planner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            cells, budget = json.loads(given["cells"]), json.loads(given["budget"])
            treats = {w["skill"]: w["id"] for w in json.loads(given["weaknesses"])}
            total = sum(c["wrong"] + 1 for c in cells)
            return {
                "curriculum": [
                    {
                        "skill": c["skill"],
                        "difficulty": c["difficulty"],
                        "count": round(budget["rows"] * (c["wrong"] + 1) / total),
                        "method": rng.choice(sorted(json.loads(given["methods"]))),
                        "weakness": treats.get(c["skill"], ""),
                        "rationale": f"{c['wrong']} of {c['asked']} go wrong",
                    }
                    for c in cells
                ]
            }

        def generator(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            examples = json.loads(given["examples"])
            rows = []
            for _ in range(int(given["count"])):
                drafted = {"tests": coded, "database": queried}
                for kind in drafted.keys() & examples[0].keys():
                    slip = rng.random() < slips
                    rows.append(drafted[kind](rng.choice(examples), rng, slip))
                if drafted.keys() & examples[0].keys():
                    continue
                question = rewritten(rng.choice(examples)["prompt"], rng)
                said = printed(question) or ""
                slip = rng.random() < slips
                rows.append(
                    {
                        "question": question,
                        "reasoning": "run it",
                        "result": said[1:] + said[:1] if slip else said,
                    }
                )
            return {"rows": rows}

        def judge(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            own = printed(given["question"])
            right = (own == given["proposed_answer"]) != (rng.random() < slips)
            fault = "" if right else f"it prints {own}"
            return {
                "working": "run it",
                "own_answer": own,
                "fault": fault,
                "score": 9 if right else 2,
            }

        def solver(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            return {"working": "run it", "answer": printed(given["question"]) or ""}

        def refiner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            for kind, mend in (("tests", retested), ("database", refilled)):
                if kind in given:
                    return {
                        "working": f"the {kind} are wrong",
                        "can_be_saved": True,
                        "repaired_question": given["question"],
                        "repaired_answer": given["rejected_answer"],
                        f"repaired_{kind}": mend(given[kind], given["rejected_answer"], rng),
                    }
            own = printed(given["question"])
            return {
                "working": "run it",
                "can_be_saved": own is not None,
                "repaired_question": given["question"] if own else "",
                "repaired_answer": own or "",
            }

    return Pythonist()
