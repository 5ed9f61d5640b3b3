"""``decontaminate``: removes rows that overlap with what the student is judged on.

It cannot be switched off, and what it removes is listed with the row that it matches and the rule.
It is the one step besides the evaluations that reads test rows, and it hands none of them on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import log2
from pathlib import Path

from dagent.compiler.overlap import MASK, NGRAM, ngrams, template, tokens, words
from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.rows import Row, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput
from dagent.runtime.surprisal import surprisal, told

kind = "decontaminate"
version = 4
# A passage or a template is one row's own if at most one row in so many that are made would have it
# by chance, of any row of its set.
CHANCE = 100
# Where so many of a set's templates are one row's own, a new row meets one by chance seldom enough.
OWN = 0.95
# Passages that more rows of a set share are looked up in none of them.
FEW = 8

Words = tuple[str, ...]


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


@dataclass(frozen=True)
class Judge:
    """A set that judges: the words of its rows, the bits that each tells, and how many make a
    passage a row's own. ``grams`` has the places, row and word, of each run of ``NGRAM`` words."""

    places: Sequence[str]
    texts: Sequence[Sequence[str]]
    bits: Sequence[Sequence[float]]
    needed: float
    grams: Mapping[Words, Sequence[tuple[int, int]]]

    def passage(self, text: Sequence[str]) -> tuple[str, int] | None:
        """The row that has a passage of the text that is its own, and of how many words it is."""
        for at, gram in enumerate(ngrams(text, NGRAM)):
            for row, start in self.grams.get(gram, ()):
                own = self.texts[row]
                before = _alike(reversed(own[:start]), reversed(text[:at]))
                after = _alike(own[start + NGRAM :], text[at + NGRAM :])
                first, last = start - before, start + NGRAM + after
                if told(own[first:last], self.bits[row][first:last]) >= self.needed:
                    return self.places[row], last - first
        return None

    @property
    def reach(self) -> int:
        """How many rows have words enough of their own to be told by."""
        found = {row for places in self.grams.values() for row, _ in places}
        return sum(told(self.texts[row], self.bits[row]) >= self.needed for row in found)


@dataclass(frozen=True)
class Protected:
    """What rows may not have, each with the place that has it: a set and the row's id. ``rows`` are
    all that are protected, of which the last two rules reach those that have enough of their own.
    """

    exact: Mapping[str, str]
    templates: Mapping[Words, str]
    judges: Sequence[Judge]
    rows: int

    @property
    def reach(self) -> dict[str, int]:
        """How many rows each rule can find copies of."""
        return {
            "rows": self.rows,
            "template": len(self.templates),
            "ngram": sum(judge.reach for judge in self.judges),
        }

    def match(self, prompt: str) -> tuple[str, str, str] | None:
        """Place, rule and reason of a prompt that overlaps, by the first rule that finds it."""
        found = tokens(prompt)
        if place := self.exact.get(" ".join(found)):
            return place, "exact", f"the same question as {place}"
        if place := self.templates.get(template(prompt)):
            return place, "template", f"{place} with other numbers, names or quoted texts"
        text = words(found)
        if passage := next(filter(None, (judge.passage(text) for judge in self.judges)), None):
            place, length = passage
            return place, "ngram", f"{length} words in a row shared with {place}"
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
    read: list[Judge] = []
    for name, rows in judges.items():
        places = [f"{name} row {row['id']}" for row in rows]
        texts = [tokens(row["prompt"]) for row in rows]
        for place, text in zip(places, texts, strict=True):
            exact.setdefault(" ".join(text), place)
        read.append(_judge(places, [words(text) for text in texts]))
        if templates:
            for form, place in _own_templates(places, [template(row["prompt"]) for row in rows]):
                own[form].add(place)
    # A template that the task itself repeats is its form, and what the student is to learn.
    once = {form: next(iter(has)) for form, has in own.items() if len(has) == 1}
    return Protected(exact, once, read, sum(len(rows) for rows in judges.values()))


def _judge(places: Sequence[str], texts: Sequence[Sequence[str]]) -> Judge:
    grams: dict[Words, list[tuple[int, int]]] = defaultdict(list)
    for row, text in enumerate(texts):
        for start, gram in enumerate(ngrams(text, NGRAM)):
            grams[gram].append((row, start))
    rare = {gram: where for gram, where in grams.items() if len(where) <= FEW}
    return Judge(places, texts, surprisal(texts), log2(CHANCE * max(len(texts), 1)), rare)


def _own_templates(places: Sequence[str], forms: Sequence[Words]) -> Iterator[tuple[Words, str]]:
    """The templates of thirteen words or more that tell enough, or that are of a set where a new
    row has a known template seldom: the share of those seen once estimates that of new ones
    (Good 1953)."""
    times = Counter(forms)
    new = sum(times[form] == 1 for form in forms) >= OWN * len(forms)
    needed = log2(CHANCE * max(len(forms), 1))
    for place, form, bits in zip(places, forms, surprisal(forms), strict=True):
        specific = sum(token != MASK for token in words(form)) >= NGRAM
        if specific and (new or told(form, bits) >= needed):
            yield form, place


def _alike(one: Iterable[str], other: Iterable[str]) -> int:
    """How many words two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
