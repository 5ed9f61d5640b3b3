"""``dedupe``: drops rows that ask what a kept row, or an earlier one of the same batch, asks.

The same question in other white space or Unicode forms is one question; so are two long ones of
nearly the same words with the same answer. Other constants make another question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dagent.compiler.overlap import constants, ngrams, tokens
from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, collapsed, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "dedupe"
version = 3
SHINGLE = 3  # tokens; one changed token changes three shingles
PERMUTATIONS = 128  # datasketch's default; its seed is fixed, so that equal rows fall alike
HIGHEST = 0.9  # threshold that so many permutations can tell; the comparison in full does the rest
# What a miss costs against a needless comparison: of pairs just at the threshold 98 % are proposed,
# where datasketch's even weights propose 40 %.
WEIGHTS = (0.01, 0.99)  # of false positives, of false negatives

Shingles = frozenset[tuple[str, ...]]


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    kept, batch = read_rows(inputs["kept"].path), read_rows(inputs["rows"].path)
    unique, duplicates = split(kept, batch, step.params["threshold"])
    return StepOutput(
        {
            "rows": write_rows(context.scratch / "rows.jsonl", unique),
            "duplicates": write_rows(context.scratch / "duplicates.jsonl", duplicates),
        },
        {"unique": len(unique), "duplicates": len(duplicates)},
        f"{len(duplicates)} duplicates dropped",
    )


def split(kept: list[Row], batch: list[Row], threshold: float) -> tuple[list[Row], list[Row]]:
    """The rows of a batch that are new, and those that are not, each with what it matches."""
    first = {collapsed(row["prompt"]): row["id"] for row in kept}
    rows, duplicates = [], []
    for row in batch:
        same = first.setdefault(collapsed(row["prompt"]), row["id"])
        if same == row["id"]:
            rows.append(row)
        else:
            duplicates.append({**row, "reason": f"asks the same as row {same}", "matches": same})
    near = _near(kept, rows, threshold)
    for row in rows:
        if match := near.get(row["id"]):
            reason = f"asks nearly the same as row {match}, with the same answer"
            duplicates.append({**row, "reason": reason, "matches": match})
    return [row for row in rows if row["id"] not in near], duplicates


def _near(kept: list[Row], rows: list[Row], threshold: float) -> dict[str, str]:
    """Ids of new rows that say nearly what an earlier one says -> that one's id.

    Only rows with the same constants are compared at all, which is why rows that differ in them by
    design cost nothing here.
    """
    alike: dict[tuple[str, ...], list[tuple[Row, bool]]] = defaultdict(list)
    for group, new in ((kept, False), (rows, True)):
        for row in group:
            alike[constants(row["prompt"])].append((row, new))
    found: dict[str, str] = {}
    for group_rows in alike.values():
        if len(group_rows) > 1 and any(new for _, new in group_rows):
            found |= _near_of(group_rows, threshold)
    return found


@cache
def _bands(threshold: float) -> tuple[int, int]:
    """Bands and their rows, which datasketch integrates anew for every index: 25 ms each."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=min(threshold, HIGHEST), num_perm=PERMUTATIONS, weights=WEIGHTS)
    return index.b, index.r


@cache
def _sketch() -> Any:
    """Of nothing, to copy: datasketch draws the permutations anew for every other one."""
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS)


def _near_of(group: list[tuple[Row, bool]], threshold: float) -> dict[str, str]:
    from datasketch import MinHashLSH

    index: Any = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(threshold))
    seen: list[tuple[Row, Shingles, Shingles]] = []
    found: dict[str, str] = {}
    for row, new in group:
        asked, answered = shingles(row["prompt"]), shingles(row["answer"])
        sketch = _sketch().copy()
        sketch.update_batch([" ".join(shingle).encode() for shingle in asked])
        # The sketch only proposes; what it proposes is compared in full.
        for number in sorted(index.query(sketch)) if new else ():
            other, other_asked, other_answered = seen[number]
            if min(_alike(asked, other_asked), _alike(answered, other_answered)) >= threshold:
                found[row["id"]] = other["id"]
                break
        else:
            index.insert(len(seen), sketch)
            seen.append((row, asked, answered))
    return found


def shingles(text: str) -> Shingles:
    found = tokens(text)
    return frozenset(ngrams(found, SHINGLE)) or frozenset([tuple(found)])


def _alike(one: Shingles, other: Shingles) -> float:
    """Jaccard similarity."""
    return len(one & other) / len(one | other)
