"""Author and teacher of the quickstart's domain, behind one HTTP server.

The author's first program breaks, its second makes too few rows, the others ask the teacher for
short Python programs and then twice for what each prints, and keep what both answers agree on. The
teacher runs the program; a share of its answers is off by a rotation.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from dagent.runtime.rehearsal.serving import inputs

Request = dict[str, Any]
FAULTS = 8  # one answer in as many is wrong
_LOT = re.compile(r"Write (\d+) programs: (\w+), difficulty (\d)\. Lot (\d+)\.")

BROKEN = """
api_generate_batch(["Write 3 programs: reverse, difficulty 1. Lot 900."])
raise ZeroDivisionError("the first draft")
"""
GOOD = """
import json
rows, lot = [], 0
while len(rows) < @wanted and get_available_api_calls() > 100 and lot < @lots:
    lot += 1
    asked = [(s, d) for s in @skills for d in (1, 2, 3)]
    prompts = [f"Write 5 programs: {s}, difficulty {d}. Lot {lot}." for s, d in asked]
    questions = []
    for (skill, level), made in zip(asked, api_generate_batch(prompts, json=True)):
        if made and isinstance(made["json"], list):
            questions += [(skill, level, text) for text in made["json"]]
    texts = [text for _, _, text in questions]
    first = api_generate_batch(texts, "What does it print?")
    second = api_generate_batch(texts, "Run it in your head and say what it prints.")
    for (skill, level, text), one, two in zip(questions, first, second):
        if one and two and one["text"] == two["text"]:
            rows.append({"prompt": text, "answer": one["text"], "call": [one["call"], two["call"]],
                         "skill": skill, "difficulty": level})
json.dump(rows, open("submission.json", "w"))
print(check_submission())
"""
LOOKING = GOOD + 'print(evaluate_dataset()["score"], train_model(), evaluate_dataset()["score"])\n'


def program(text: str, skills: list[str], wanted: int, lots: int = 99) -> str:
    for name, value in (("wanted", wanted), ("lots", lots), ("skills", skills)):
        text = text.replace(f"@{name}", repr(value))
    return text


@dataclass
class Model:
    """``programs`` is the quickstart's module. ``asked`` and ``states`` keep what it was asked."""

    programs: ModuleType
    wanted: int = 600
    asked: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> str:
        if "teacher" in request["model"]:
            return self.teach(request)
        told = inputs(request)
        self.states.append(told["state"])
        skills = json.loads(told["skills"])
        text = {
            "draft": BROKEN,
            "debug": program(GOOD, skills[:2], self.wanted, lots=1),
            "repair": program(GOOD, skills, self.wanted),
            "improve": program(LOOKING, skills, self.wanted + 50),
        }[told["state"]]
        return json.dumps({"plan": f"plan to {told['state']}", "program": text})

    def teach(self, request: Request) -> str:
        prompt = request["messages"][-1]["content"]
        self.asked.append(json.dumps(request["messages"]))
        if lot := _LOT.fullmatch(prompt):
            number, skill, level, seed = int(lot[1]), lot[2], int(lot[3]), int(lot[4])
            rows = self.programs.generate(skill, level, number, seed)
            return json.dumps([row["prompt"] for row in rows])
        said: str = self.programs.run(prompt)
        unlucky = hashlib.sha256(json.dumps(request["messages"]).encode()).digest()[0]
        return said[1:] + said[:1] if unlucky % FAULTS == 0 else said
