"""What steps are expected to take: a small model of the work, with a low and a high.

Answering takes 2 FLOP and training 6 FLOP per parameter and token (Kaplan et al. 2020, section
2.1), plus an overhead per batch that dominates small students. Low is a modern accelerator, high
two cores of a laptop; the truth should lie between, and the report prints it beside.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from dagent.compiler import memory
from dagent.compiler.facts import Facts
from dagent.compiler.plan import Estimate
from dagent.compiler.spec import Spec, Stage

FLOPS = (2e14, 2e10)  # per second, sustained: low estimate, high estimate
BATCH_SECONDS = (0.002, 0.05)  # per optimiser step or decoded token of a batch
START_SECONDS = (0.01, 1.0)  # per step: reading, writing, digests
PER_ROW = (1e-5, 2e-3)  # a program that makes, checks or compares one row
CHARACTERS_PER_TOKEN = (6.0, 1.0)  # words of English; single characters
UNKNOWN_PARAMETERS = (1e8, 1e10)  # a student on the hub whose name does not tell
ROWS_PER_CALL = 5  # of a generator that is a language model
TOP_UP = 3  # times the calls that would do if every row were good
LABELLED = 24  # right rows, and as many wrong ones, that calibrate a judge
DEFAULT_BATCH, DEFAULT_EPOCHS = 8, 3  # TRL's own defaults

Range = tuple[float, float]


@dataclass(frozen=True)
class Cost:
    spec: Spec
    facts: Facts

    def run(self) -> Range:
        """Seconds of the whole run if no round is skipped."""
        spec = self.spec
        dev, test = self._rows("dev"), self._rows("test")
        total = [0.0, 0.0]
        parts = [self.answer(dev)] + 2 * [self.answer(test)]
        for number in range(1, spec.budget.rounds + 1):
            parts += [self.answer(dev), self.programs(self.candidates), self.mix()]
            parts += [self.train(number)] + 9 * [START_SECONDS]
            parts += [self.answer(self._rows_of(g.set)) for g in spec.criteria.guards]
        for low, high in parts:
            total[0] += low
            total[1] += high
        return total[0], total[1]

    @property
    def rows(self) -> int:
        return self.spec.budget.rows_per_round

    @property
    def candidates(self) -> int:
        return math.ceil(self.rows * self.spec.engineer.candidates)

    # --- calls of language models -------------------------------------------------------------

    def generating(self) -> tuple[int, int]:
        """A program is charged a call a row; a model makes several rows a call, and tops up."""
        if self.spec.engineer.generator.lm is None:
            return self.rows, self.candidates
        return math.ceil(self.rows / ROWS_PER_CALL), self.most_calls

    @property
    def most_calls(self) -> int:
        """Calls that a model may make for a round's rows, topping up included."""
        return TOP_UP * math.ceil(self.candidates / ROWS_PER_CALL)

    def planning(self) -> Estimate | None:
        return seconds((0.5, 60.0), calls=(1, 2)) if self.spec.engineer.planner.lm else None

    def diagnosing(self, skills: Collection[object]) -> dict[str, tuple[int, int]]:
        diagnoser = self.spec.engineer.diagnoser
        return {"calls": (0, 2 * len(skills))} if diagnoser and diagnoser.lm else {}

    def verifying(self) -> dict[str, tuple[int, int]]:
        """Judging each candidate, the rows that calibrate the judge, and k answers."""
        engineer = self.spec.engineer
        if engineer.verifier is None or engineer.verifier.lm is None:
            return {}
        judged = int(engineer.judge)
        low = (judged + engineer.samples) * self.rows
        return {"calls": (low, (judged + engineer.samples) * self.candidates)}

    def refining(self) -> dict[str, tuple[int, int]]:
        """At most every candidate is rejected, and each is verified once more."""
        again = self.verifying().get("calls", (0, 0))[1]
        return {"calls": (0, self.candidates + again)}

    def answer(self, rows: int) -> Range:
        student = self.spec.student
        batches = math.ceil(rows / student.batch)
        return self._seconds(2, rows, batches * student.max_new_tokens)

    def programs(self, rows: int) -> Range:
        return rows * PER_ROW[0] + START_SECONDS[0], rows * PER_ROW[1] + START_SECONDS[1]

    def mix(self) -> Range:
        """The student answers the candidates where wrong ones are preferred."""
        if self.spec.engineer.prefer_wrong == 0 or self.candidates <= self.rows:
            return self.programs(self.candidates)
        return self.answer(self.candidates)

    def train(self, round: int) -> Range:
        """On all rows so far: the rounds' rows add up."""
        args = self.spec.train[0].args if self.spec.train else {}
        epochs = _number(args.get("num_train_epochs"), DEFAULT_EPOCHS)
        size = _number(args.get("per_device_train_batch_size"), DEFAULT_BATCH)
        size *= _number(args.get("gradient_accumulation_steps"), 1)
        rows = self.rows * round
        steps = _number(args.get("max_steps"), -1)
        if steps <= 0:
            steps = math.ceil(rows / max(size, 1)) * epochs
        return self._seconds(6, steps * size, steps)

    def memory(self, stage: Stage) -> Memory | None:
        """Peak of a training stage; None where the student's size is not known."""
        student, parameters = self.facts.student, self.facts.student.parameters
        if parameters is None:
            return None
        shape = student.shape or memory.shape_of_size(parameters)
        characters = self.facts.data[self.spec.role("dev").name].characters
        training = memory.training(
            shape,
            self.spec.student.adapter,
            self.spec.student.lora,
            stage.stage,
            stage.args,
            characters,
        )
        return Memory(shape, training, memory.peak(shape, training))

    @property
    def training_memory(self) -> Range | None:
        """The most that any stage takes, to two digits."""
        peaks = [m.peak for stage in self.spec.train if (m := self.memory(stage))]
        if not peaks:
            return None
        low, high = (float(f"{max(p[end] for p in peaks):.2g}") for end in (0, 1))
        return low, high

    def _seconds(self, flop: float, rows: float, batches: float) -> Range:
        known = self.facts.student.parameters
        low, high = (known, known) if known else UNKNOWN_PARAMETERS
        characters = self.facts.data[self.spec.role("dev").name].characters
        ends = []
        for index, parameters in enumerate((low, high)):
            tokens = rows * characters / CHARACTERS_PER_TOKEN[index]
            work = flop * parameters * tokens / FLOPS[index]
            ends.append(START_SECONDS[index] + batches * BATCH_SECONDS[index] + work)
        return ends[0], ends[1]

    def _rows(self, role: str) -> int:
        return self._rows_of(self.spec.role(role).name)

    def _rows_of(self, name: str) -> int:
        data = next(d for d in self.spec.data if d.name == name)
        return data.sample or self.facts.data[name].rows


@dataclass(frozen=True, slots=True)
class Memory:
    """A stage's peak in bytes, and what it follows from."""

    shape: memory.Shape
    training: memory.Training
    peak: Range


def seconds(range: Range, **more: Any) -> Estimate:
    """Rounded to two digits, so that the plan does not pretend."""
    low, high = (float(f"{x:.2g}") for x in range)
    return Estimate(seconds=(low, high), **more)


def _number(value: object, default: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
