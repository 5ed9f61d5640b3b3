"""What the stand-in for an author of programs writes: a real program, which the sandbox runs.

It uses every tool that its limits allow. It asks the teacher in the form that DSPy's prompts have,
so that the stand-in answers it as it does any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dagent.compiler.engineering import ROWS_PER_CALL

# The fields of a row, as ``answers`` knows them.
_ROW = {name: {"type": "string"} for name in ("question", "result", "skill", "difficulty")}
_ROWS = {"type": "array", "items": {"type": "object", "properties": _ROW}}
_NOTE = json.dumps("{rows}  # JSON schema: " + json.dumps(_ROWS))

PROGRAM = """\
# The program of a stand-in: it makes rows that teach nothing.
import json

SYSTEM = @system
WANTED, EACH = @wanted, @each
examples = json.load(open("few_shot.json", encoding="utf-8"))
for example in examples:
    del example["answer"]  # the teacher is to know it by itself
if @looks:
    evaluate_dataset()
rows, lot = [], 0
while len(rows) < WANTED and get_available_api_calls() > 0:
    calls = min(get_available_api_calls(), -(-(WANTED - len(rows)) // EACH))
    lot += 1
    prompts = [
        f"[[ ## count ## ]]\\n{EACH}\\n\\n[[ ## examples ## ]]\\n{json.dumps(examples)}\\n\\n"
        f"[[ ## lot ## ]]\\n{lot}.{n}"
        for n in range(calls)
    ]
    for answer in api_generate_batch(prompts, SYSTEM, json=True):
        if answer is None or not isinstance(answer["json"], dict):
            continue
        for row in answer["json"]["rows"]:
            rows.append({
                "prompt": row["question"], "answer": row["result"], "call": answer["call"],
                "skill": row["skill"], "difficulty": row["difficulty"],
            })
    if lot == 1 and @fails:
        raise RuntimeError("stand-in: a fault that was asked for")
with open("submission.json", "w", encoding="utf-8") as file:
    json.dump(rows, file)
told = check_submission()
if @trains and told["valid"] >= told["least"]:
    train_model()
    evaluate_dataset()
print(told["valid"], "valid;", api_count(), "calls;", json.dumps(told["reasons"]))
"""


def program(given: Mapping[str, Any], fails: bool) -> str:
    """The program for an author's inputs. With ``fails`` a first draft breaks off once it has
    asked, so that the states after it are walked too."""
    limits = given["limits"]
    values = {
        "system": f'Outputs will be\n  "rows": {_NOTE}',
        "wanted": limits["wanted"],
        "each": ROWS_PER_CALL,
        "looks": bool(given.get("base_score")),
        "trains": bool(limits["trainings"]),
        "fails": fails and given["state"] == "draft",
    }
    text = PROGRAM
    for name, value in values.items():
        text = text.replace(f"@{name}", repr(value))
    return text
