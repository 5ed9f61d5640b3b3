"""Two stand-ins behind one HTTP server: an author that answers with programs, a teacher that
computes what it is asked. Its domain is that of ``stub.py``; all that asks them is real.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagent.runtime.rehearsal.serving import inputs as fields

Request = dict[str, Any]
Author = Callable[[dict[str, str]], str]

# Asks for sums of both skills until enough are valid; ``rows`` are made of what was answered alone.
GOOD = """
import json, random
rows, batch = [], 0
while len(rows) < WANTED and get_available_api_calls() > 0:
    prompts = [
        f"Write 10 sums for {skill} at level {level}. Lot {batch}-{random.randrange(10**6)}."
        for skill in ("add", "double") for level in (1, 2, 3)
    ]
    batch += 1
    for prompt, answer in zip(prompts, api_generate_batch(prompts, "You teach sums.", json=True)):
        if answer is None or not answer["json"]:
            continue
        skill, level = prompt.split()[4], prompt.split()[7].strip(".")
        for row in answer["json"]["rows"]:
            rows.append({"prompt": row["question"], "answer": row["result"],
                         "call": answer["call"], "skill": skill, "difficulty": level})
with open("submission.json", "w") as file:
    json.dump(rows, file)
print(check_submission()["valid"], "valid")
"""
CRASHING = "rows = api_generate_batch(['1000+1'])\nraise KeyError('lost')\n"
FEW = GOOD.replace("WANTED", "7").replace("(1, 2, 3)", "(1,)")
SILENT = "print('done')\n"


def good(wanted: int = 240) -> str:
    return GOOD.replace("WANTED", str(wanted))


def by_turn(*programs: str) -> Author:
    """These programs, one after the other; the last for ever."""
    asked = iter(programs)
    last = programs[-1]
    return lambda given: next(asked, last)


@dataclass
class Model:
    """Author and teacher, told apart by the model's name. ``given`` keeps what authors were told,
    ``asked`` what the teacher was."""

    write: Author
    wrong: Callable[[str], bool] = lambda prompt: False
    given: list[dict[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> str:
        if request["model"] == "teacher":
            prompt = request["messages"][-1]["content"]
            self.asked.append(prompt)
            return answered(prompt)
        told = fields(request)
        self.given.append(told)
        return json.dumps({"plan": f"plan {len(self.given)}", "program": self.write(told)})

    @property
    def states(self) -> list[str]:
        return [told["state"] for told in self.given]


def answered(prompt: str) -> str:
    """Ten sums where ten are asked for, the value of a sum where one is sent."""
    if found := re.fullmatch(r"(\d+)\+(\d+)", prompt.strip()):
        return f"The result is {int(found[1]) + int(found[2])}."
    if found := re.search(r"Say: (\d+\.)", prompt):
        return found[1]
    lot = re.fullmatch(r"Write 10 sums for (\w+) at level (\d)\. Lot (\d+)-(\d+)\.", prompt)
    if lot is None:
        return "I only do sums."
    skill, level, batch, salt = lot[1], int(lot[2]), int(lot[3]), int(lot[4])
    rows = []
    for i in range(10):
        a = 1000 + (salt * 7919 + batch * 101 + i * 13 + level) % 900_000
        b = a if skill == "double" else (salt + i) % 10**level
        rows.append({"question": f"{a}+{b}", "result": str(a + b)})
    return json.dumps({"rows": rows})


def lines(path: Any) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
