"""A stand-in for the engineer's language model: reads a prompt as DSPy writes it, and answers.

It stands behind the HTTP server of ``tests/runtime/lm/server.py``; all that asks it is real. Which
role it plays it learns from the fields that the prompt asks for. Its domain is that of ``stub.py``:
sums, where ``double`` adds a number to itself. It makes mistakes in a share of its rows that is a
function of the request alone.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

from dagent.runtime.rehearsal.serving import inputs as fields

Request = dict[str, Any]


def asks_for(request: Request) -> str:
    """The role, from the outputs that the system message describes."""
    system = request["messages"][0]["content"]
    for name, role in (
        ("weaknesses", "diagnoser"),
        ("curriculum", "planner"),
        ("can_be_saved", "refiner"),
        ("score", "judge"),
        ("rows", "generator"),
    ):
        if f'"{name}"' in system.split("Outputs will be")[-1]:
            return role
    return "solver"


def chance(request: Request, salt: str = "") -> random.Random:
    text = json.dumps(request["messages"], sort_keys=True) + salt
    return random.Random(hashlib.sha256(text.encode()).hexdigest())


def right(question: str) -> str | None:
    found = re.fullmatch(r"(\d+)\+(\d+)", question.strip())
    return str(int(found[1]) + int(found[2])) if found else None


@dataclass
class Engineer:
    """``wrong`` is the share of rows with a wrong sum; ``junk`` of answers that cannot be read;
    ``spoken`` counts answers by role."""

    wrong: float = 0.2
    junk: float = 0.0
    methods: list[str] = field(default_factory=list)
    spoken: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: Request) -> str:
        if request["messages"][0]["role"] != "system":
            return "```\nCheck every sum twice.\n```"  # GEPA asks for instructions in plain text
        role = asks_for(request)
        if role == "solver" and "question" not in fields(request):
            return json.dumps(self.proposer(request))
        self.spoken[role] = self.spoken.get(role, 0) + 1
        if chance(request, "junk").random() < self.junk:
            return "I would rather talk about the weather."
        answer = getattr(self, role)(fields(request), chance(request))
        return json.dumps(answer)

    def proposer(self, request: Request) -> dict[str, Any]:
        """What an optimiser asks of a model: advice, in whatever fields it names."""
        said = request["messages"][0]["content"].split("Outputs will be")[-1]
        advice = "Check every sum twice."
        return {
            name: {"self": advice} if "object" in kind else advice
            for name, kind in re.findall(r'"(\w+)": "\{\w+\}(.*)', said)
        }

    def diagnoser(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
        ids = [f["id"] for f in json.loads(given["failures"])]
        weakness = {
            "name": f"carries in {given['skill']}",
            "cause": "drops the carry",
            "difficulties": ["1"],
            "evidence": [*ids[:5], "no-such-row"],
        }
        return {"weaknesses": [weakness, {**weakness, "evidence": []}]}

    def planner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
        cells, budget = json.loads(given["cells"]), json.loads(given["budget"])
        methods = sorted(json.loads(given["methods"]))
        self.methods.append(methods[0])
        total = sum(c["wrong"] + 1 for c in cells)
        items = [
            {
                "skill": c["skill"].upper(),
                "difficulty": c["difficulty"],
                "count": round(budget["rows"] * (c["wrong"] + 1) / total),
                "method": methods[0],
                "weakness": "w1",
                "rationale": "it fails there",
            }
            for c in cells
        ]
        return {"curriculum": [*items, {**items[0], "skill": "juggling"}]}

    def generator(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
        rows = []
        for _ in range(int(given["count"])):
            a, b = rng.randrange(1000, 10**6), rng.randrange(10 ** int(given["difficulty"]))
            b = a if given["skill"] == "double" else b
            off = rng.random() < self.wrong
            rows.append({"question": f"{a}+{b}", "reasoning": "add", "result": str(a + b + off)})
        return {"rows": rows}

    def judge(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
        own = right(given["question"])
        score = 9 if own == given["proposed_answer"] else 2
        return {"working": "w", "own_answer": own, "fault": "the sum is off", "score": score}

    def solver(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
        return {"working": "w", "answer": right(given["question"])}

    def refiner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
        saved = rng.random() < 0.5
        return {
            "working": "w",
            "can_be_saved": saved,
            "repaired_question": given["question"] if saved else "",
            "repaired_answer": right(given["question"]) if saved else "",
        }
