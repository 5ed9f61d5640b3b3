"""What an engineer's language models take: calls, tokens, money and seconds, a low and a high.

Prompts are counted from their own texts (``prompts.json``) and from the mean row of dev. An answer
is at least what is wanted of it; models that think aloud write several times as much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from dagent.compiler.facts import Facts
from dagent.compiler.prices import Price, place
from dagent.compiler.prompts import characters, prompt_of
from dagent.compiler.spec import LanguageModel, Metric, Optimise, Role, Spec

ROWS_PER_CALL = 5  # of a generator that is a language model
TOP_UP = 3  # times the calls that would do if every row were good
LABELLED = 24  # right rows, and as many wrong ones, that calibrate a judge
ATTEMPTS = 2  # an answer that cannot be read is asked for once more
FAILURES = 16  # of one skill, shown to a diagnoser
EXAMPLES, AVOIDED, PASSAGE = 4, 10, 1500  # shown to a generator: rows, questions, characters
HISTORY = 8  # rounds that a planner is told of
DEMOS = 4  # that an optimised program may show
# Shown to an author of programs: rows in all, characters of a program, and of what became of it.
SHOWN_ROWS, PROGRAM, HAPPENED = (8, 21), (600, 8000), 2500
# What the paper allows every program, unless the spec says otherwise.
ATTEMPT = {"calls": 5000.0, "wall": 3 * 3600.0}

CHARACTERS_PER_TOKEN = (5.0, 2.5)  # words of English; code, digits and JSON
BROUGHT = (100, 600)  # characters of tests or tables that a row comes with
WORDS = 60  # characters of names and brackets around each row or item in a prompt
EXPLAINED = (20, 600)  # characters of reasoning before a result
THINKING = 4  # times the visible answer that a model may write in all
PER_CALL = (0.2, 3.0)  # seconds until an answer begins
PER_TOKEN = (0.002, 0.05)  # seconds of each token of it
AT_ONCE = (256, 4)  # calls in flight
BATCH = (60.0, 24 * 3600.0)  # seconds of a batch, however many calls it holds
WAVES = 4  # of a generator: what is missing after one is asked for in the next

Range = tuple[float, float]


class Use(Struct, frozen=True):
    """Each as (low, high). ``money`` is in US dollars, ``None`` where a price is unknown."""

    calls: Range = (0, 0)
    tokens: Range = (0, 0)
    money: Range | None = (0, 0)
    seconds: Range = (0, 0)

    def __add__(self, other: Use) -> Use:
        unknown = self.money is None or other.money is None
        return Use(
            _plus(self.calls, other.calls),
            _plus(self.tokens, other.tokens),
            None if unknown else _plus(self.money or (0, 0), other.money or (0, 0)),
            _plus(self.seconds, other.seconds),
        )

    @property
    def perhaps(self) -> Use:
        """The same where it need not happen at all."""
        money = None if self.money is None else (0, self.money[1])
        return Use((0, self.calls[1]), (0, self.tokens[1]), money, (0, self.seconds[1]))

    def times(self, number: int) -> Use:
        return total([self] * number)

    def within(self, calls: float | None) -> Use:
        """The same under a cap on its calls, which shortens the high end of all it takes."""
        if calls is None or self.calls[1] <= calls:
            return self
        share = calls / self.calls[1]

        def less(range: Range) -> Range:
            return min(range[0], range[1] * share), range[1] * share

        money = None if self.money is None else less(self.money)
        return Use(less(self.calls), less(self.tokens), money, less(self.seconds))


NOTHING = Use()


class Engineering(Struct, frozen=True):
    spec: Spec
    facts: Facts
    batches: bool = True  # whether models that are to be asked in batches are

    # --- the steps ----------------------------------------------------------------------------

    def diagnose(self) -> Use:
        """One call for each skill with failures."""
        return self._diagnosed((0, ATTEMPTS * self._skills))

    def plan(self) -> Use:
        """A plan of too few good items is asked for once more."""
        return self._planned((1, 2 * ATTEMPTS))

    def generate(self) -> Use:
        """A program is charged a call a row; a model makes several rows a call, and tops up."""
        rows = self.spec.budget.rows_per_round
        if self.spec.engineer.generator.lm is None:
            return Use(calls=(rows, self._candidates))
        most = TOP_UP * math.ceil(self._candidates / ROWS_PER_CALL)
        return self._written((math.ceil(rows / ROWS_PER_CALL), most))

    def verify(self) -> Use:
        """Judging each candidate, and k answers to it."""
        engineer, rows = self.spec.engineer, self.spec.budget.rows_per_round
        calls = (rows, self._candidates)
        used = self._judged(calls) if engineer.judge else NOTHING
        return total([used, *[self._solved(calls)] * engineer.samples])

    def refine(self) -> Use:
        """At most every candidate is rejected, and each is verified once more."""
        return self._mended() + self.verify().perhaps

    def calibrate(self) -> Use:
        """Right rows and wrong ones, each judged."""
        return self._judged((2 * LABELLED, 2 * ATTEMPTS * LABELLED))

    def judge(self, rows: Range, names: Iterable[str] | None = None) -> Use:
        """Each metric with a judge, or those of ``names``, asks once for an answer to a row."""
        judges = [m for m in self.spec.criteria.judges if names is None or m.name in names]
        return total(self._asked_of(m, (rows[0], ATTEMPTS * rows[1])) for m in judges)

    def optimise(self, name: str, how: Optimise) -> Use:
        """Within its calls, whoever makes them; a prompt grows by the demonstrations."""
        at_once = replace(self, batches=False)
        ask = {
            "generator": at_once._written,
            "planner": at_once._planned,
            "verifier": at_once._judged,
            "diagnoser": at_once._diagnosed,
            "refiner": at_once._repaired,
        }
        one = ask[name]((1, 1))
        low, high = how.calls // 4, how.calls
        grown = high * (1 + DEMOS)
        return Use(
            (low, high),
            (low * one.tokens[0], grown * one.tokens[1]),
            one.money and (low * one.money[0], grown * one.money[1]),
            (low * one.seconds[0] / AT_ONCE[0], high * one.seconds[1] / AT_ONCE[1]),
        )

    def author(self) -> Use:
        """Every attempt is a program, and one that cannot be read is asked for once more."""
        row = self._row + WORDS
        low, high = (rows * row for rows in SHOWN_ROWS)
        prompt = self._prompt("author", "write", low, high + PROGRAM[1] + HAPPENED)
        return self._use("author", (1, ATTEMPTS * self.spec.engineer.attempts), prompt, PROGRAM)

    def teacher(self) -> Use:
        """At best a program that makes several rows of an answer; at worst every attempt spends
        all its calls, within a round's even share of the run's. What is asked is its own affair."""
        row, rows = self._row, self.spec.budget.rows_per_round
        most = self.spec.engineer.attempts * attempt_caps(self.spec)["calls"]
        prompt = (row / 2, len(self.spec.domain.goal) + EXAMPLES * (row + WORDS) + 2 * WORDS)
        written = (row / 2, ROWS_PER_CALL * (row + WORDS + EXPLAINED[1]))
        fewest = min(most, math.ceil(rows / 2 / ROWS_PER_CALL))
        use = self._use("teacher", (fewest, int(most)), prompt, written)
        use = use.within(self._cap("round"))
        for cap in (self._cap("teacher"), self._cap()):
            use = use.within(cap and cap / self.spec.budget.rounds)
        return use

    def authoring(self) -> Use:
        """Both; the money is that of whose price is known, as in the sum over steps."""
        uses = (self.author(), self.teacher())
        known = [use.money for use in uses if use.money is not None]
        whole = total(replace(use, money=use.money or (0, 0)) for use in uses)
        return whole if known else replace(whole, money=None)

    # --- together -----------------------------------------------------------------------------

    def by_role(self) -> dict[str, Use]:
        """What a round takes of each role that a language model has, as the meter counts it."""
        engineer = self.spec.engineer
        judged = {"judge": self._judged_in_a_round()} if self.spec.criteria.judges else {}
        if engineer.writes_programs:
            return {"author": self.author(), "teacher": self.teacher(), **judged}
        refined = engineer.refiner is not None
        again = self.verify()
        each = {
            "diagnoser": (engineer.diagnoser, self.diagnose),
            "planner": (engineer.planner, self.plan),
            "generator": (engineer.generator, self.generate),
            "verifier": (
                engineer.verifier,
                lambda: again + again.perhaps if refined else again,
            ),
            "refiner": (engineer.refiner, self._mended),
        }
        found = {name: use() for name, (role, use) in each.items() if self._has(role)}
        return {**found, **judged}

    def before(self) -> dict[str, Use]:
        """What is spent before the first round, by the scope that the meter counts it in."""
        engineer = self.spec.engineer
        found = {f"optimise.{n}": self.optimise(n, how) for n, how in engineer.optimise.items()}
        if self._has(engineer.verifier) and engineer.judge:
            found["verifier"] = self.calibrate()
        if self.spec.criteria.judges:  # the base's evaluations, and those of test
            labels = total(map(self.calibrate_judge, self.spec.criteria.judges))
            test = self.judge((0, 2 * self._rows(self.spec.role("test").name)))
            found["judge"] = labels + self._judged_sets() + test
        return found

    def of_run(self) -> dict[str, Use]:
        """The same over all rounds and before them, by role or scope."""
        before, by_role = self.before(), self.by_role()
        rounds = {n: use.times(self.spec.budget.rounds) for n, use in by_role.items()}
        whole = {n: before.get(n, NOTHING) + rounds.get(n, NOTHING) for n in {**before, **rounds}}
        return {name: use.within(self._cap(name)) for name, use in whole.items()}

    def calibrate_judge(self, metric: Metric) -> Use:
        return self._asked_of(metric, (2 * LABELLED, 2 * ATTEMPTS * LABELLED))

    def _judged_in_a_round(self) -> Use:
        """Both halves of dev, the guards, and the candidates where wrong ones are preferred."""
        spec = self.spec
        first = [spec.criteria.metrics[0].name]
        dev = self._rows(spec.role("dev").name)
        diagnosed = round(dev * (1 - spec.criteria.select))
        mixed = self._candidates if spec.engineer.prefer_wrong else 0
        return self._judged_sets() + self.judge((diagnosed, diagnosed + mixed), first)

    def _judged_sets(self) -> Use:
        """The select half and the guards, once."""
        criteria = self.spec.criteria
        select = round(self._rows(self.spec.role("dev").name) * criteria.select)
        sets = [
            (select, None),
            *((self._rows(g.set), [g.metric]) for g in criteria.guards if not g.task),
        ]
        return total(self.judge((rows, rows), names) for rows, names in sets)

    def run(self) -> Use:
        return total(self.of_run().values()).within(self._cap())

    # --- parts --------------------------------------------------------------------------------

    def _diagnosed(self, calls: Range) -> Use:
        each = 3 * self._row + WORDS
        prompt = self._prompt("diagnoser", "find", each, FAILURES * each)
        return self._use("diagnoser", calls, prompt, (150, 5 * 400))

    def _planned(self, calls: Range) -> Use:
        cells = self._skills * max(1, self._difficulties)
        rounds = min(HISTORY, self.spec.budget.rounds)
        prompt = self._prompt("planner", "plan", cells * WORDS, cells * 2 * WORDS * (1 + rounds))
        return self._use("planner", calls, prompt, (2 * WORDS, cells * 4 * WORDS))

    def _written(self, calls: Range) -> Use:
        row, brings = self._row, self.spec.brings
        fewest, most = BROUGHT if brings else (0, 0)
        shown, longer = (EXAMPLES * (row + WORDS + more) for more in (fewest, most))
        passage = PASSAGE if self.spec.domain.sources else 0
        name = prompt_of("generator", brings)
        prompt = self._prompt(name, "write", shown, longer + AVOIDED * row + passage)
        low = ROWS_PER_CALL * (row + WORDS + EXPLAINED[0] + fewest)
        high = ROWS_PER_CALL * (row + WORDS + EXPLAINED[1] + most)
        return self._use("generator", calls, prompt, (low, high), WAVES)

    def _judged(self, calls: Range) -> Use:
        prompt = self._prompt("verifier", "judge", self._row, self._row)
        return self._use("verifier", calls, prompt, (WORDS + self._row / 2, EXPLAINED[1]))

    def _solved(self, calls: Range) -> Use:
        prompt = self._prompt("verifier", "solve", self._row / 2, self._row)
        return self._use("verifier", calls, prompt, (WORDS / 2, EXPLAINED[1]))

    def _mended(self) -> Use:
        return self._repaired((0, self._candidates))

    def _repaired(self, calls: Range) -> Use:
        brings = self.spec.brings
        fewest, most = BROUGHT if brings else (0, 0)
        name, row = prompt_of("refiner", brings), self._row
        prompt = self._prompt(name, "repair", row + fewest, row + 4 * WORDS + most)
        answer = (WORDS, row + EXPLAINED[1] + most)
        return self._use("refiner", calls, prompt, answer)

    def _asked_of(self, metric: Metric, calls: Range) -> Use:
        row = self._row + len(metric.options.get("rubric", ""))
        prompt = self._prompt("judge", "judge", row, 1.5 * row)
        return self._of(metric.judge, calls, prompt, (WORDS, EXPLAINED[1]))

    def _use(self, name: str, calls: Range, prompt: Range, written: Range, batches: int = 1) -> Use:
        role: Role | None = getattr(self.spec.engineer, name)
        return self._of(role.lm if role else None, calls, prompt, written, batches)

    def _of(
        self,
        lm: LanguageModel | None,
        calls: Range,
        prompt: Range,
        written: Range,
        batches: int = 1,
    ) -> Use:
        """``prompt`` and ``written`` are characters of one call and its visible answer; in batches
        the calls would be so many, one after the other."""
        if lm is None:
            return NOTHING
        if not self.batches:
            lm = replace(lm, batch=False)
        asked = tuple(prompt[end] / CHARACTERS_PER_TOKEN[end] for end in (0, 1))
        said = [written[0] / CHARACTERS_PER_TOKEN[0]]
        said.append(THINKING * written[1] / CHARACTERS_PER_TOKEN[1])
        said = [min(tokens, lm.max_tokens or tokens) for tokens in said]
        money = self._money(lm, calls, (asked[0], asked[1]), (said[0], said[1]))
        each = [PER_CALL[end] + PER_TOKEN[end] * said[end] for end in (0, 1)]
        waves: list[float] = [math.ceil(calls[end] / AT_ONCE[end]) for end in (0, 1)]
        if lm.batch:
            each, waves = list(BATCH), [min(calls[0], 1), min(calls[1], batches)]
        return Use(
            calls,
            (calls[0] * (asked[0] + said[0]), calls[1] * (asked[1] + said[1])),
            money,
            (waves[0] * each[0], waves[1] * each[1]),
        )

    def _money(self, lm: LanguageModel, calls: Range, asked: Range, said: Range) -> Range | None:
        """Low: as if the provider had cached every prompt."""
        price: Price | None = self.facts.prices.get(place(lm.name, lm.api_base))
        if price is None:
            return None
        price = price.batched if lm.batch else price
        tokens = [(round(a), round(s)) for a, s in zip(asked, said, strict=True)]
        low = price.cost(*tokens[0], cached=tokens[0][0])
        return calls[0] * low, calls[1] * price.cost(*tokens[1])

    def _prompt(self, role: str, predictor: str, low: float, high: float) -> Range:
        domain = self.spec.domain
        fixed = characters(role, predictor) + len(domain.goal) + len(domain.answer or "")
        return fixed + low, fixed + high

    def _cap(self, part: str | None = None) -> int | None:
        """The cap on calls of a part, or of the whole run."""
        budget = self.spec.budget
        caps = budget.run if part is None else budget.per.get(part)
        return caps.calls if caps else None

    @staticmethod
    def _has(role: Role | None) -> bool:
        return role is not None and role.lm is not None

    @property
    def _candidates(self) -> int:
        return math.ceil(self.spec.budget.rows_per_round * self.spec.engineer.candidates)

    def _rows(self, name: str) -> int:
        data = next(d for d in self.spec.data if d.name == name)
        return data.sample or self.facts.data[name].rows

    @property
    def _row(self) -> float:
        return self.facts.data[self.spec.role("dev").name].characters

    @property
    def _skills(self) -> int:
        dev = self.facts.data[self.spec.role("dev").name]
        return max(1, len(self.spec.domain.skills or dev.skills))

    @property
    def _difficulties(self) -> int:
        dev = self.facts.data[self.spec.role("dev").name]
        return len(self.spec.domain.difficulties or dev.difficulties)


def attempt_caps(spec: Spec) -> dict[str, float]:
    """Caps of every program that an author writes."""
    own = spec.budget.per.get("attempt")
    return {**ATTEMPT, **(own.given() if own else {})}


def total(uses: Iterable[Use]) -> Use:
    return sum(uses, NOTHING)


def _plus(a: Range, b: Range) -> Range:
    return a[0] + b[0], a[1] + b[1]
