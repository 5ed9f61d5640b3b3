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
            own = printed(given["question"])
            return {
                "working": "run it",
                "can_be_saved": own is not None,
                "repaired_question": given["question"] if own else "",
                "repaired_answer": own or "",
            }

    return Pythonist()
