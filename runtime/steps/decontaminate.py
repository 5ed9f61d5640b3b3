"""``decontaminate``: removes rows that overlap with what the student is judged on.

It cannot be switched off, and what it removes is listed with the row that it matches and the rule.
It is the one step besides the evaluations that reads test rows, and it hands none of them on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dagent.compiler.overlap import MASK, NGRAM, ngrams, template, tokens, words
from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "decontaminate"
version = 2
# Words that many of the rows to protect share are how the task is put ("Read the table and …"), not
# one row's own: more than one row in twenty, and more than three.
COMMON_SHARE, COMMON_LEAST = 0.05, 3

Words = tuple[str, ...]


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


@dataclass(frozen=True)
class Protected:
    """What rows may not have, each with the place that has it: a set and the row's id."""

    exact: Mapping[str, str]
    templates: Mapping[Words, str]
    grams: Mapping[Words, str]

    def match(self, prompt: str) -> tuple[str, str, str] | None:
        """Place, rule and reason of a prompt that overlaps, by the first rule that finds it."""
        found = tokens(prompt)
        if place := self.exact.get(" ".join(found)):
            return place, "exact", f"the same question as {place}"
        if place := self.templates.get(template(prompt)):
            return place, "template", f"{place} with other numbers, names or quoted texts"
        near = (self.grams.get(gram) for gram in ngrams(words(found), NGRAM))
        if place := next(filter(None, near), None):
            return place, "ngram", f"{NGRAM} words in a row shared with {place}"
        return None


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    judges = {
        name.removeprefix("against."): read_rows(artifact.path)
        for name, artifact in sorted(inputs.items())
        if name.startswith("against.")
    }
    known = protected(judges, step.params["templates"])
    clean: list[Row] = []
    leaks: list[Row] = []
    for row in read_rows(inputs["rows"].path):
        match = known.match(row["prompt"])
        if match is None:
            clean.append(row)
        else:
            place, rule, reason = match
            leaks.append({**row, "reason": reason, "matches": place, "rule": rule})
    return StepOutput(
        {
            "rows": write_rows(context.scratch / "rows.jsonl", clean),
            "leaks": write_rows(context.scratch / "leaks.jsonl", leaks),
        },
        {"clean": len(clean), "leaks": len(leaks)},
        f"{len(leaks)} rows removed that overlap with dev, test or a guard",
    )


def protected(judges: Mapping[str, list[Row]], templates: bool) -> Protected:
    """What is one row's own in the sets that judge."""
    exact: dict[str, str] = {}
    own: dict[Words, set[str]] = defaultdict(set)
    grams: dict[Words, str] = {}
    for name, rows in judges.items():
        often: Counter[Words] = Counter()
        first: dict[Words, str] = {}
        for row in rows:
            place, found = f"{name} row {row['id']}", tokens(row["prompt"])
            exact.setdefault(" ".join(found), place)
            for gram in set(ngrams(words(found), NGRAM)):
                often[gram] += 1
                first.setdefault(gram, place)
            if templates and specific(form := template(row["prompt"])):
                own[form].add(place)
        common = max(COMMON_LEAST, COMMON_SHARE * len(rows))
        for gram, place in first.items():
            if often[gram] <= common:
                grams.setdefault(gram, place)
    # A template that the task itself repeats is its form, and what the student is to learn.
    once = {form: next(iter(places)) for form, places in own.items() if len(places) == 1}
    return Protected(exact, once, grams)


def specific(form: Words) -> bool:
    """Whether a template says enough besides its constants to be one row's own."""
    return sum(token != MASK for token in words(form)) >= NGRAM
