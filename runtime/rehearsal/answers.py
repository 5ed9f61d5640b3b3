"""What the stand-in for a language model says: valid against the schema that a prompt states.

A prompt as DSPy writes it lists its inputs as ``[[ ## name ## ]]`` and its outputs as JSON with
their schemas. Values come from the inputs where these have one by the same name. Rows are rows of
the domain with a stand-in's marks, so that they are new and nobody takes them for real.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from dagent.runtime.rehearsal.author import program
from dagent.runtime.rehearsal.serving import inputs

MARK = "stand-in"
_MARKED = re.compile(rf" ~(?:[a-z]{{10}}|{MARK})")
_FIVE_WORDS = re.compile(r"(?:\S+\s+){4}\S+")
# Inputs that are no plain text; a row's answer may look like JSON and be none of these.
_LISTS = frozenset({"budget", "cells", "count", "examples", "failures", "limits", "methods"})
_OUTPUT = re.compile(r'^  "(\w+)": ("\{\1\}.*?"),?$', re.MULTILINE)
_SCHEMA = "JSON schema: "
RIGHT, WRONG = 9.0, 1.0  # scores of a judge

Schema = Mapping[str, Any]


def answer(request: Mapping[str, Any], known: Mapping[str, str], faults: bool = False) -> str:
    """The answer to a request; ``known`` are right answers by question. With ``faults`` an author's
    first program breaks off. What is no prompt of ours is answered by the mark alone."""
    messages = request["messages"]
    outputs = _outputs(messages[0]["content"])
    if not outputs:
        return MARK
    given = {
        name: json.loads(value) if name in _LISTS else value
        for name, value in inputs(request).items()
    }
    if "program" in outputs:
        return json.dumps({"plan": f"a plan of a {MARK}", "program": program(given, faults)})
    salt = hashlib.sha256(msgspec.json.encode(messages)).hexdigest()
    said = {
        name: _value(name, schema, given, known, f"{salt}{name}", 0)
        for name, schema in outputs.items()
    }
    return json.dumps(said)


@lru_cache(maxsize=64)  # a step's prompts begin alike
def _outputs(system: str) -> Mapping[str, Schema]:
    """The fields that a prompt asks for."""
    notes = _OUTPUT.findall(system.split("Outputs will be")[-1])
    return {name: _schema(json.loads(note)) for name, note in notes}


def _schema(note: str) -> Schema:
    """The schema of an output field, from what its note says."""
    if _SCHEMA in note:
        found: Schema = json.loads(note.partition(_SCHEMA)[2])
        return found
    for word, kind in (("float", "number"), ("int", "integer"), ("True or False", "boolean")):
        if word in note:
            return {"type": kind}
    return {"type": "string"}


def _value(
    name: str, schema: Schema, given: Mapping[str, Any], known: Mapping[str, str], salt: str, n: int
) -> Any:
    whole = {**schema, "$defs": schema.get("$defs", {})}
    if "$ref" in schema:
        target = whole["$defs"][schema["$ref"].rpartition("/")[2]]
        return _value(name, {**target, "$defs": whole["$defs"]}, given, known, salt, n)
    match schema.get("type"):
        case "array":
            items = {**schema["items"], "$defs": whole["$defs"]}
            count = _many(name, given)
            return [_value(name, items, given, known, f"{salt}.{i}", i) for i in range(count)]
        case "object":
            return {
                key: _value(key, {**part, "$defs": whole["$defs"]}, given, known, salt, n)
                for key, part in schema.get("properties", {}).items()
            }
        case "boolean":
            return True
        case "integer":
            return max(1, _rows(given) // max(1, len(given.get("cells", ()))))
        case "number":
            return _score(given, known)
    return _text(name, given, known, salt, n)


def _many(name: str, given: Mapping[str, Any]) -> int:
    if name == "rows":
        return int(given.get("count", 1))
    return len(given["cells"]) if name == "curriculum" else 1


def _rows(given: Mapping[str, Any]) -> int:
    budget = given.get("budget")
    return int(budget["rows"]) if isinstance(budget, dict) else 1


def _score(given: Mapping[str, Any], known: Mapping[str, str]) -> float:
    """Of a question that nobody knows, a judge that lets pass shows what comes after it."""
    proposed = str(given.get("proposed_answer", ""))
    return RIGHT if known.get(str(given.get("question")), proposed) == proposed else WRONG


def _marked(text: str, salt: str) -> str:
    """The text with marks in it: so many that it shares no passage with what it was made from, and
    is no near-duplicate of others made from that."""
    numbers = itertools.count()

    def mark() -> str:
        letters = hashlib.sha256(f"{salt}.{next(numbers)}".encode()).digest()[:10]
        return f" ~{''.join(chr(97 + byte % 26) for byte in letters)}"

    end = "".join(mark() for _ in range(4 + len(text) // 50))
    return f"{_FIVE_WORDS.sub(lambda words: words[0] + mark(), text)}{end} ~{MARK}"


def _right(question: str, known: Mapping[str, str]) -> str:
    """The answer to a question that may have been cut short."""
    whole = (answer for asked, answer in known.items() if question and asked.startswith(question))
    return known.get(question) or next(whole, MARK)


def _text(name: str, given: Mapping[str, Any], known: Mapping[str, str], salt: str, n: int) -> str:
    cells, failures, examples = (given.get(k) or [] for k in ("cells", "failures", "examples"))
    if cells and name in cells[n % len(cells)]:
        return str(cells[n % len(cells)][name])
    if name == "method":
        return str(next(iter(given["methods"])))
    if failures and name in ("evidence", "difficulties"):
        return str(failures[0]["id" if name == "evidence" else "difficulty"])
    example = examples[int(salt[:4], 16) % len(examples)] if examples else {}
    if name == "question":
        return _marked(str(example.get("prompt", "")), salt)
    if name == "result":
        return str(example.get("answer") or _right(str(example.get("prompt", "")), known))
    if name in ("tests", "database"):
        return str(example.get(name, MARK))
    if name in ("skill", "difficulty"):
        return str(example.get(name, ""))
    if name in ("answer", "own_answer", "repaired_answer"):
        return known.get(_MARKED.sub("", str(given.get("question", ""))), MARK)
    if name.startswith("repaired_"):
        return str(given.get(name.removeprefix("repaired_"), MARK))
    return MARK
