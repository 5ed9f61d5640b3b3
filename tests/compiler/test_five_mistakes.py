"""Five unrelated mistakes give five diagnostics and no noise, in either syntax."""

from __future__ import annotations

from typing import Any

import pytest

from dagent.compiler.pipeline import check
from dagent.compiler.settings import Settings
from dagent.dsl.render import render

DAGENT = """
let { most = 100 }
domain { name = demo  goal = "Answer." }
data dev { role = dev  path = "dev.jsonl" }
data test { role = test  path = "test.jsonl" }
student { model = "./model"  adapter = full  batch = 64 rows }
engineer { strategy = curriculum  generator { program = "programs.py:generate" } }
budget { rounds <= 2  wall <= 3h  per round { rows <= $most } }
criteria { metric accuracy { grader = exact }  require accuracy >= 60% on test }
train sft { learning_rate = 1e-3 }
"""
YAML = """
let: {most: 100}
domain: {name: demo, goal: "Answer."}
data: {dev: {role: dev, path: dev.jsonl}, test: {role: test, path: test.jsonl}}
student: {model: ./model, adapter: full, batch: 64 rows}
engineer: {strategy: curriculum, generator: {program: "programs.py:generate"}}
budget: {rounds: 2, wall: 3h, per: {round: {rows: $most}}}
criteria: {metric: {accuracy: {grader: exact}}, require: ["accuracy >= 60% on test"]}
train: [{stage: sft, learning_rate: 1e-3}]
"""
# What is right, what stands in its place, and the code; as it reads in both syntaxes.
MISTAKES = {
    "key": ("adapter", "adaptor", "E101"),
    "word": ("curriculum", "curiculum", "E106"),
    "unit": ("3h", "20 USD", "E203"),
    "spelling": ("64 rows", "64 rowz", "E202"),
    "name": ("$most", "$mots", "E703"),
    "goal": ("60% on test", "about 60%", "E503"),
    "missing": ("model", "revision", "E103"),
    "empty": ('"Answer."', '""', "E110"),
    "range": ("60%", "160%", "E204"),
    "block": ("train", "tarin", "E102"),
    "file": ("dev.jsonl", "devs.jsonl", "E301"),
    "function": ("py:generate", "py:generat", "E311"),
    "student": ("./model", "./modle", "E601"),
    "argument": ("learning_rate", "learning_rat", "E602"),
    "type": ("1e-3", "fast", "E603"),
    "rounds": ("rounds <= 2", "rounds <= two", "E201"),
}
SPECS = [
    "key word unit name missing",
    "key word unit goal block",
    "spelling unit name goal empty",
    "key spelling missing empty range",
    "block empty word name range",
    "goal missing empty block spelling",
    "unit range name key word",
    "missing block unit spelling key",
    "empty goal name word spelling",
    "range block missing unit name",
    "key file unit argument name",
    "rounds file function student type",
    "word student rounds file goal",
    "missing argument empty function spelling",
    "range type name student unit",
]


@pytest.mark.parametrize("base", [DAGENT, YAML], ids=["dagent", "yaml"])
@pytest.mark.parametrize("names", SPECS)
def test_five(names: str, base: str, project: Any) -> None:
    text = base
    for name in names.split():
        right, wrong, _ = MISTAKES[name]
        if base is YAML:
            right, wrong = right.replace(" <=", ":"), wrong.replace(" <=", ":")
        assert right in text
        text = text.replace(right, wrong, 1)
    path = project.text(text, "spec.dagent" if base is DAGENT else "spec.yaml")
    found = [d for d in check(path, Settings()) if d.severity == "error"]
    assert sorted(d.code for d in found) == sorted(MISTAKES[n][2] for n in names.split()), render(
        found
    )
