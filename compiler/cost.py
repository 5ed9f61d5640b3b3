"""What steps are expected to take: a small model of the work, with a low and a high.

Answering takes 2 FLOP and training 6 FLOP per parameter and token (Kaplan et al. 2020, section
2.1), plus an overhead per batch that dominates small students. Low is a modern accelerator, high
two cores of a laptop; the truth should lie between, and the report prints it beside.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from dagent.compiler import memory
from dagent.compiler.engineering import Engineering, Use
from dagent.compiler.facts import Facts, StudentFacts
from dagent.compiler.plan import Estimate
from dagent.compiler.spec import Caps, Guard, Spec, Stage
from dagent.compiler.stages import GRADED, REWARDED, TEACHES
from dagent.compiler.tables import table
from dagent.compiler.totals import added

FLOPS = (2e14, 2e10)  # per second, sustained: low estimate, high estimate
BATCH_SECONDS = (0.002, 0.05)  # per optimiser step or decoded token of a batch
START_SECONDS = (0.01, 1.0)  # per step: reading, writing, digests
PER_ROW = (1e-5, 2e-3)  # a program that makes, checks or compares one row
CHARACTERS_PER_TOKEN = (6.0, 1.0)  # words of English; single characters
UNKNOWN_PARAMETERS = (1e8, 1e10)  # a student on the hub whose name does not tell
TASK_ROWS = 1000  # of a task of lm-evaluation-harness
DEFAULT_BATCH, DEFAULT_EPOCHS = 8, 3  # TRL's own defaults

Range = tuple[float, float]


class Cost(Struct, frozen=True):
    spec: Spec
    facts: Facts

    def run(self) -> Range:
        """Seconds of the whole run if no round is skipped."""
        rounds = [self.round(n) for n in range(1, self.spec.budget.rounds + 1)]
        return added([*self._outside, self.engineering.run().seconds, *rounds])

    def round(self, number: int) -> Range:
        """Seconds of a round, without what language models take."""
        return added([self.held(number), self.programs(self.candidates), *9 * [START_SECONDS]])

    def held(self, number: int) -> Range:
        """Seconds in which a round holds an accelerator: it answers and trains."""
        guards = [self.guard(g) for g in self.spec.criteria.guards]
        return added([self.answer(self._rows("dev")), self.mix(), self.train(number), *guards])

    def held_by_run(self) -> Range:
        rounds = [self.held(n) for n in range(1, self.spec.budget.rounds + 1)]
        return added([*self._outside, *rounds])

    def gpu(self, held: Range, devices: int = 1) -> Range | None:
        """What holding ``devices`` accelerators for so many seconds of one takes, where a cap asks
        for it. Low: they share the work; high: each of them takes as long."""
        budget = self.spec.budget
        if budget.run.gpu is None and budget.per.get("round", Caps()).gpu is None:
            return None
        low, high = held if devices else (0, 0)
        return float(f"{low:.2g}"), float(f"{devices * high:.2g}")

    @property
    def devices(self) -> int:
        """That a training holds: by the accelerate config, else those of the named device."""
        if self.facts.processes is not None:
            return self.facts.processes
        named = memory.device(self.spec.student.device or "")
        return named[0] if named else 1

    @property
    def _outside(self) -> list[Range]:
        """The base on dev and the guards, base and champion on test and on tasks."""
        guards = [self.guard(g) for g in self.spec.criteria.guards]
        ends = [self.answer(self._rows("test")), *map(self.guard, self.spec.criteria.tasks)]
        return [self.answer(self._rows("dev")), *guards, *2 * ends]

    @property
    def rows(self) -> int:
        return self.spec.budget.rows_per_round

    @property
    def candidates(self) -> int:
        return math.ceil(self.rows * self.spec.engineer.candidates)

    @property
    def engineering(self) -> Engineering:
        return Engineering(self.spec, self.facts)

    def answer(self, rows: int) -> Range:
        student = self.spec.student
        batches = math.ceil(rows / student.batch)
        return self._seconds(2, rows, batches * student.max_new_tokens)

    def guard(self, guard: Guard) -> Range:
        return self.answer(self.guarded(guard))

    def guarded(self, guard: Guard) -> int:
        """Rows of a guard; of a task, which is read when the plan runs, what is usual."""
        if guard.task:
            return guard.task.limit or TASK_ROWS
        return self._rows_of(guard.set)

    def programs(self, rows: int) -> Range:
        return rows * PER_ROW[0] + START_SECONDS[0], rows * PER_ROW[1] + START_SECONDS[1]

    def mix(self) -> Range:
        """The student answers the candidates where wrong ones are preferred."""
        if not self.judged_candidates:
            return self.programs(self.candidates)
        return self.answer(self.candidates)

    @property
    def judged_candidates(self) -> int:
        """At most so many candidates are answered and judged before they are chosen from."""
        choose = self.spec.engineer.prefer_wrong > 0 and self.candidates > self.rows
        return self.candidates if choose else 0

    def train(self, round: int) -> Range:
        """On all rows so far: the rounds' rows add up. One stage after the other."""
        return added(part for stage in self.spec.train for part in self._stage(stage, round))

    def _stage(self, stage: Stage, round: int) -> list[Range]:
        """The training, and the student's own answers to what it is trained on."""
        # A program's submission replaces the one before.
        args = stage.args
        rows = self.rows * (1 if self.spec.engineer.writes_programs else round)
        epochs = _number(args.get("num_train_epochs"), DEFAULT_EPOCHS)
        size = _number(args.get("per_device_train_batch_size"), DEFAULT_BATCH)
        size *= _number(args.get("gradient_accumulation_steps"), 1)
        seen = rows
        if stage.stage in REWARDED:  # its batches are of answers, several to a row
            default = table(stage.stage).arguments["num_generations"].default
            seen *= int(_number(args.get("num_generations"), default))
        steps = _number(args.get("max_steps"), -1)
        if steps <= 0:
            steps = math.ceil(seen / max(size, 1)) * epochs
        if stage.stage in (*REWARDED, *TEACHES):
            drawn = self._seconds(2, steps * size, steps * self.spec.student.max_new_tokens)
            return [self._seconds(6, steps * size, steps), drawn]
        if stage.stage in GRADED:  # two answers to a row; two forward passes of a reference
            return [self._seconds(2 * (6 + 2), steps * size, steps), self.answer(rows)]
        return [self._seconds(6, steps * size, steps)]

    def memory(self, stage: Stage) -> Memory | None:
        """Peak of a training stage; None where the student's size is not known."""
        student, parameters = self.facts.student, self.facts.student.parameters
        if parameters is None:
            return None
        shape = student.shape or memory.shape_of_size(parameters)
        characters = self.facts.data[self.spec.role("dev").name].characters
        teacher = self.facts.teachers.get(1 + self.spec.train.index(stage))
        training = memory.training(
            shape,
            self.spec.student.adapter,
            self.spec.student.lora,
            stage.stage,
            stage.args,
            characters,
            None if teacher is None else _shape(teacher),
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


def _shape(model: StudentFacts) -> memory.Shape | None:
    known = model.parameters and memory.shape_of_size(model.parameters)
    return model.shape or known or None


class Memory(Struct, frozen=True):
    """A stage's peak in bytes, and what it follows from."""

    shape: memory.Shape
    training: memory.Training
    peak: Range


def seconds(range: Range, **more: Any) -> Estimate:
    """Rounded to two digits, so that the plan does not pretend."""
    low, high = (float(f"{x:.2g}") for x in range)
    return Estimate(seconds=(low, high), **more)


def asked(range: Range, use: Use, **more: Any) -> Estimate:
    """What a step takes in which models are asked; tokens and money in two digits as well."""
    if use.calls[1]:
        more["calls"] = use.calls
    if use.tokens[1]:
        more["tokens"] = tuple(int(float(f"{x:.2g}")) for x in use.tokens)
    if use.money and use.tokens[1]:
        more["money"] = tuple(float(f"{x:.2g}") for x in use.money)
    low, high = (a + b for a, b in zip(range, use.seconds, strict=True))
    return seconds((low, high), **more)


def _number(value: object, default: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default
