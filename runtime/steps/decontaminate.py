"""``decontaminate``: removes rows that overlap with what the student is judged on.

It cannot be switched off, and what it removes is listed with the row that it matches. It is the
one step besides the evaluations that reads test rows, and it hands none of them on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, normalised, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "decontaminate"
version = 1
# Thirteen words in a row are shared by texts that were copied, not by texts on one subject
# (Brown et al. 2020, appendix C).
NGRAM = 13
_WORD = re.compile(r"\w+")


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    exact: dict[str, str] = {}
    grams: dict[tuple[str, ...], str] = {}
    for name, artifact in sorted(inputs.items()):
        if name.startswith("against."):
            for row in read_rows(artifact.path):
                place = f"{name.removeprefix('against.')} row {row['id']}"
                exact.setdefault(normalised(row["prompt"]), place)
                for gram in ngrams(row["prompt"]):
                    grams.setdefault(gram, place)
    clean: list[Row] = []
    leaks: list[Row] = []
    for row in read_rows(inputs["rows"].path):
        if same := exact.get(normalised(row["prompt"])):
            leaks.append({**row, "reason": f"the same question as {same}", "matches": same})
        elif near := next((grams[g] for g in ngrams(row["prompt"]) if g in grams), None):
            reason = f"{NGRAM} words in a row shared with {near}"
            leaks.append({**row, "reason": reason, "matches": near})
        else:
            clean.append(row)
    return StepOutput(
        {
            "rows": write_rows(context.scratch / "rows.jsonl", clean),
            "leaks": write_rows(context.scratch / "leaks.jsonl", leaks),
        },
        {"clean": len(clean), "leaks": len(leaks)},
        f"{len(leaks)} rows removed that overlap with dev, test or a guard",
    )


def ngrams(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(normalised(text))
    return zip(*(words[i:] for i in range(NGRAM)), strict=False)
