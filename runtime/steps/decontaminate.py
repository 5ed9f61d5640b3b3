"""``decontaminate``: removes rows that overlap with what the student is judged on.

It cannot be switched off, and what it removes is listed with the row that it matches and the rule.
It is the one step besides the evaluations that reads test rows, and it hands none of them on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagent.compiler.overlap import MASK, NGRAM, ngrams, template, tokens, words
from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "decontaminate"
version = 3
# Words that more rows of a set share than these are how the task is put ("Read the table and …"),
# or what it is put on (a schema, a passage), and not one row's own.
FEW = 3
PHRASE = 10  # words in a row that are told to be shared so

Words = tuple[str, ...]


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


@dataclass(frozen=True)
class Protected:
    """What rows may not have, each with the place that has it: a set and the row's id. ``rows`` are
    all that are protected, of which the last two rules reach those that have enough of their own.
    """

    exact: Mapping[str, str]
    templates: Mapping[Words, str]
    grams: Mapping[Words, str]
    rows: int

    @property
    def reach(self) -> dict[str, int]:
        """How many rows each rule can find copies of."""
        return {
            "rows": self.rows,
            "template": len(set(self.templates.values())),
            "ngram": len(set(self.grams.values())),
        }

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
        {
            "clean": len(clean),
            "leaks": len(leaks),
            **{f"reach_{rule}": float(rows) for rule, rows in known.reach.items()},
        },
        f"{how_many(len(leaks), 'rows')} removed for overlap with dev, test or a guard; copies "
        f"with other constants can be told of {known.reach['template']:,} of the {known.rows:,} "
        "rows there",
    )


def protected(judges: Mapping[str, list[Row]], templates: bool) -> Protected:
    """What is one row's own in the sets that judge."""
    exact: dict[str, str] = {}
    own: dict[Words, set[str]] = defaultdict(set)
    grams: dict[Words, str] = {}
    for name, rows in judges.items():
        places = [f"{name} row {row['id']}" for row in rows]
        texts = [tokens(row["prompt"]) for row in rows]
        for place, text in zip(places, texts, strict=True):
            exact.setdefault(" ".join(text), place)
        for number, gram in _own_grams([words(text) for text in texts]):
            grams.setdefault(gram, places[number])
        if templates:
            for place, row in zip(places, rows, strict=True):
                if specific(form := template(row["prompt"])):
                    own[form].add(place)
    # A template that the task itself repeats is its form, and what the student is to learn.
    once = {form: next(iter(places)) for form, places in own.items() if len(places) == 1}
    return Protected(exact, once, grams, sum(len(rows) for rows in judges.values()))


def _own_grams(texts: Sequence[Sequence[str]]) -> Iterator[tuple[int, Words]]:
    """The text's number and a run of its words that few texts have, and more than half of whose
    words stand in no phrase that more have."""
    runs, phrases = (
        Counter(gram for text in texts for gram in set(ngrams(text, n))) for n in (NGRAM, PHRASE)
    )
    for number, text in enumerate(texts):
        shared = [False] * len(text)
        for start, phrase in enumerate(ngrams(text, PHRASE)):
            if phrases[phrase] > FEW:
                shared[start : start + PHRASE] = [True] * PHRASE
        for start, gram in enumerate(ngrams(text, NGRAM)):
            if runs[gram] <= FEW and 2 * sum(shared[start : start + NGRAM]) < NGRAM:
                yield number, gram


def specific(form: Words) -> bool:
    """Whether a template says enough besides its constants to be one row's own."""
    return sum(token != MASK for token in words(form)) >= NGRAM
