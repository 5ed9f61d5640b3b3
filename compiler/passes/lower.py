"""Spec -> steps: what to do, in which order, with which parameters. The table is in
docs/architecture.md; rounds are unrolled to the maximum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dagent.compiler.cost import Cost, asked, seconds
from dagent.compiler.digests import derived_seed
from dagent.compiler.engineering import Use
from dagent.compiler.facts import Facts
from dagent.compiler.passes.lower_guards import (
    answers,
    base_answers,
    guarded,
    guarded_at_the_end,
)
from dagent.compiler.passes.lower_program import before_programs, program_round
from dagent.compiler.passes.lower_sources import calibration, optimisations, sources
from dagent.compiler.passes.made import made as _step
from dagent.compiler.passes.parameters import Parameters, Params, goal
from dagent.compiler.plan import Step
from dagent.compiler.rowchecks import ENGINEERS
from dagent.compiler.spec import DataSet, Spec


def lower(spec: Spec, facts: Facts, cost: Cost) -> tuple[Step, ...]:
    """Steps in an order that respects their inputs, without keys."""
    return tuple(Lowering(spec, facts, cost).steps())


class Lowering:
    """One spec on its way down: what several steps share, and a method per phase."""

    def __init__(self, spec: Spec, facts: Facts, cost: Cost) -> None:
        self.spec, self.facts, self.cost = spec, facts, cost
        self.says = Parameters(spec, facts)

    def steps(self) -> Iterator[Step]:
        yield from sources(self)
        yield from self._base()
        yield from optimisations(self)
        yield from calibration(self)
        for number in range(1, self.spec.budget.rounds + 1):
            yield from self._round(number)
        yield from self._end()

    def _base(self) -> Iterator[Step]:
        """Round 0: the untouched student is the first champion."""
        yield self.evaluate("r0.evaluate", "split/select", "student/model", "select", 0)
        yield from guarded(self, 0, "student/model")
        yield _step(
            "r0.gate",
            "gate",
            self.says.gate(0),
            {
                "model": "student/model",
                "answers": "r0.evaluate/answers",
                **{f"seed.{d.name}": rows for d, rows in self.handed() if d.mix},
                **base_answers(self.spec.criteria.guards),
            },
            round=0,
        )
        if self.spec.engineer.writes_programs:
            yield from before_programs(self)

    def _round(self, n: int) -> Iterator[Step]:
        if self.spec.engineer.writes_programs:
            yield from program_round(self, n)
            return
        yield from self._engineer(n)
        yield from self._clean(n)
        yield from self._learn(n)

    def _engineer(self, n: int) -> Iterator[Step]:
        r, before = f"r{n}", f"r{n - 1}.gate"
        spec, cost, rows = self.spec, self.cost, self.cost.rows
        engineer = spec.engineer
        dev = spec.role("dev")
        rows_of_dev = dev.sample or self.facts.data[dev.name].rows
        diagnose_rows = rows_of_dev - round(rows_of_dev * spec.criteria.select)
        known = self.untouched() if n == 1 else {}
        answering, judging = cost.answer(diagnose_rows), self.judge(diagnose_rows)
        if known:
            answering, judging = (0.0, 1.0), self.judge(0)
        yield _step(
            f"{r}.diagnose",
            "diagnose",
            {
                "metric": self.says.metric,
                "answering": self.says.answering,
                **self.says.grid,
                **self._diagnoser(n),
            },
            {
                "rows": "split/diagnose",
                "model": f"{before}/current",
                **self.calibrations(),
                **self.optimised("diagnoser"),
                **known,
            },
            n,
            asked(
                answering,
                cost.engineering.diagnose() + judging,
                rows=(diagnose_rows, diagnose_rows),
                gpu=None if known else cost.gpu(answering),
            ),
        )
        params = {
            "round": n,
            "rows": rows,
            "goal": spec.domain.goal,
            "answer": spec.domain.answer,
            **self.says.grid,
            "planner": self.says.role(engineer.planner, "planner"),
            "explore": engineer.explore,
            "floor": engineer.floor,
            "cap": engineer.cap,
            "seed": self.seed("plan", n),
        }
        inputs = {"diagnosis": f"{r}.diagnose/diagnosis", "archive": f"{before}/archive"}
        if engineer.feedback:
            inputs |= self.optimised("planner")
        else:
            inputs = {}
        if engineer.planner.lm:
            params["rounds"] = spec.budget.rounds
        yield _step(
            f"{r}.plan", "plan", params, inputs, n, asked((0.01, 1.0), cost.engineering.plan())
        )
        params = {
            "round": n,
            "candidates": engineer.candidates,
            "rows": rows,
            "generator": self.says.role(engineer.generator, "generator"),
            "seed": self.seed("generate", n),
        }
        inputs = {"curriculum": f"{r}.plan/curriculum", "kept": f"{before}/kept"}
        inputs |= {f"{d.role}.{d.name}": rows for d, rows in self.handed()}
        if engineer.generator.lm:
            params |= self.says.brief() | {
                "rounds": spec.budget.rounds,
                "checks": self.says.checks(),
            }
            inputs |= self.grounds() | self.optimised("generator")
            inputs["archive"] = f"{before}/archive"
        made = (rows, cost.candidates)
        yield _step(
            f"{r}.generate",
            "generate",
            params,
            inputs,
            n,
            asked(cost.programs(cost.candidates), cost.engineering.generate(), rows=made),
        )

    def _clean(self, n: int) -> Iterator[Step]:
        r, before = f"r{n}", f"r{n - 1}.gate"
        cost, engineer = self.cost, self.spec.engineer
        checked = seconds(cost.programs(cost.candidates))
        params = self.says.checks()
        inputs = {"candidates": f"{r}.generate/candidates"}
        if engineer.verifier and engineer.verifier.lm:
            params |= {"round": n, "seed": self.seed("verify", n)}
            inputs |= self.optimised("verifier") | self.calibrated()
        yield _step(
            f"{r}.verify",
            "verify",
            params,
            inputs,
            n,
            asked(cost.programs(cost.candidates), cost.engineering.verify()),
        )
        verified = f"{r}.verify"
        if engineer.refiner:
            verified = f"{r}.refine"
            params = {**params, "refiner": self.says.role(engineer.refiner, "refiner")}
            if engineer.refiner.lm:
                params |= {"round": n, **self.says.brief()}
            inputs = {k: v for k, v in inputs.items() if k != "candidates"}
            inputs |= {o: f"{r}.verify/{o}" for o in ("verified", "rejects")}
            inputs |= self.optimised("refiner", "refiner")  # `program` is the verifier's
            refined = asked(cost.programs(cost.candidates), cost.engineering.refine())
            yield _step(verified, "refine", params, inputs, n, refined)
        inputs = {"rows": f"{verified}/verified", "kept": f"{before}/kept"}
        yield _step(f"{r}.dedupe", "dedupe", {"threshold": engineer.duplicate}, inputs, n, checked)
        inputs = {"rows": f"{r}.dedupe/rows"}
        inputs |= self.judges()
        yield _step(f"{r}.decontaminate", "decontaminate", self.leaks(), inputs, n, checked)

    def _learn(self, n: int) -> Iterator[Step]:
        r, before = f"r{n}", f"r{n - 1}.gate"
        spec, cost = self.spec, self.cost
        engineer = spec.engineer
        params: dict[str, Any] = {
            "round": n,
            "rows": cost.rows,
            "prefer_wrong": engineer.prefer_wrong,
            "cap": engineer.cap,
            "accumulate": engineer.accumulate,
            "seed": self.seed("mix", n),
            "metric": self.says.metric,
            "answering": self.says.answering,
        }
        inputs = {
            "rows": f"{r}.decontaminate/rows",
            "kept": f"{before}/kept",
            "curriculum": f"{r}.plan/curriculum",
            "model": f"{before}/current",
            **self.calibrations(),
        }
        kept = (cost.rows // 2, cost.rows)
        gpu = cost.gpu(cost.mix()) if cost.judged_candidates else None
        judging = self.judge(0, cost.judged_candidates)
        estimate = asked(cost.mix(), judging, rows=kept, gpu=gpu)
        yield _step(f"{r}.mix", "mix", params, inputs, n, estimate)
        yield from self.trained(n, f"{r}.mix/train", (kept[0] * n, kept[1] * n))
        inputs = {
            "model": f"{r}.train/model",
            "outcome": f"{r}.train/outcome",
            "answers": f"{r}.evaluate/answers",
            "candidates": f"{r}.generate/candidates",
            "verified": self._verified(n),
            "added": f"{r}.mix/added",
            "curriculum": f"{r}.plan/curriculum",
            "champion": f"{before}/champion",
            "champion_answers": f"{before}/answers",
            "kept": f"{before}/kept",
            "aside": f"{before}/aside",
            "archive": f"{before}/archive",
        }
        yield self.gate(n, inputs)

    def trained(self, n: int, rows: str, count: tuple[int, int]) -> Iterator[Step]:
        """On the rows of a round, from where the spec says; then what the gate compares."""
        r, cost = f"r{n}", self.cost
        goes_on = self.spec.engineer.train_from == "champion"
        start = f"r{n - 1}.gate/champion" if goes_on else "student/model"
        inputs = {"rows": rows, "model": start, **self.taught_by()}
        gpu = cost.gpu(cost.train(n), cost.devices)
        estimate = seconds(cost.train(n), rows=count, memory=cost.training_memory, gpu=gpu)
        yield _step(f"{r}.train", "train", self.says.training(n), inputs, n, estimate)
        yield self.evaluate(f"{r}.evaluate", "split/select", f"{r}.train/model", "select", n)
        yield from guarded(self, n, f"{r}.train/model")

    def taught_by(self) -> dict[str, str]:
        """The models that a distillation learns from, as inputs of what trains."""
        return {f"teacher.{k}": f"teacher.{k}/model" for k in self.facts.teachers}

    def gate(self, n: int, inputs: Mapping[str, str]) -> Step:
        guards = self.spec.criteria.guards
        inputs = {**inputs, **base_answers(guards), **answers(guards, f"r{n}")}
        return _step(f"r{n}.gate", "gate", self.says.gate(n), inputs, n)

    def _end(self) -> Iterator[Step]:
        """Test is opened here and only here; ``after`` keeps the base's turn behind all rounds."""
        spec = self.spec
        rows, last = f"data.{spec.role('test').name}/rows", f"r{spec.budget.rounds}.gate"
        yield from guarded_at_the_end(self, f"{last}/champion")
        yield self.evaluate("test.base", rows, "student/model", "test", None, after=(last,))
        yield self.evaluate("test.champion", rows, f"{last}/champion", "test", None)
        params = {
            "metrics": self.says.metrics,
            "requirements": [goal(r) for r in spec.criteria.requirements],
            "watched": self.says.watched(spec.criteria.watched),
        }
        inputs = {
            "base": "test.base/answers",
            "champion": "test.champion/answers",
            "select": f"{last}/answers",
            "archive": f"{last}/archive",
            **base_answers(spec.criteria.watched),
            **answers(spec.criteria.watched, "champion"),
        }
        # The last round's score on the diagnose half is for the reader; no step has a use for it.
        after = (f"r{spec.budget.rounds}.diagnose",) if spec.engineer.looks else ()
        yield _step("result", "result", params, inputs, after=after)

    def handed(self) -> list[tuple[DataSet, str]]:
        """The sets for the engineer, and where their rows come from: seeds are decontaminated
        before anybody sees them, what a pool leads to is when it was made."""
        place = {"seed": "seed.{}/rows", "pool": "data.{}/rows"}
        sets = [d for d in self.spec.data if d.role in ENGINEERS]
        return [(d, place[d.role].format(d.name)) for d in sets]

    def evaluate(
        self,
        id: str,
        rows: str,
        model: str,
        set: str,
        round: int | None,
        metrics: list[dict[str, Any]] | None = None,
        after: tuple[str, ...] = (),
    ) -> Step:
        metrics = metrics or self.says.metrics
        params = {
            "metrics": metrics,
            "answering": self.says.answering,
            "set": set,
        }
        rows_asked = self._asked(set)
        names = [m["name"] for m in metrics]
        estimate = asked(
            self.cost.answer(rows_asked),
            self.cost.engineering.judge((rows_asked, rows_asked), names),
            rows=(rows_asked, rows_asked),
            gpu=self.cost.gpu(self.cost.answer(rows_asked)),
        )
        inputs = {"rows": rows, "model": model, **self.calibrations(metrics)}
        return _step(id, "evaluate", params, inputs, round, estimate, after)

    def _asked(self, set: str) -> int:
        """How many rows a set has."""
        name = {"select": "dev", "test": "test"}.get(set)
        data = self.spec.role(name) if name else next(d for d in self.spec.data if d.name == set)
        rows = data.sample or self.facts.data[data.name].rows
        return round(rows * self.spec.criteria.select) if set == "select" else rows

    def leaks(self) -> Params:
        return {"templates": self.spec.engineer.templates}

    def judges(self) -> dict[str, str]:
        """The sets that no row to train on may overlap with."""
        judges = [d.name for d in self.spec.data if d.role not in ENGINEERS]
        return {f"against.{name}": f"data.{name}/rows" for name in judges}

    def _verified(self, n: int) -> str:
        return f"r{n}.refine/verified" if self.spec.engineer.refiner else f"r{n}.verify/verified"

    def grounds(self) -> dict[str, str]:
        """Rows that show a generator what a row looks like: seeds, else the diagnose half."""
        seeds = {f"seed.{d.name}": rows for d, rows in self.handed() if d.role == "seed"}
        return seeds or {"seed.diagnose": "split/diagnose"}

    def _diagnoser(self, n: int) -> dict[str, Any]:
        """Who names weaknesses; nobody where failures are only counted."""
        role = self.spec.engineer.diagnoser
        if role is None or role.policy:
            return {}
        asked = {"round": n, "goal": self.spec.domain.goal} if role.lm else {}
        return {"diagnoser": self.says.role(role, "diagnoser"), **asked}

    def untouched(self) -> dict[str, str]:
        """The input that carries the untouched student's answers on the diagnose half, where
        optimising the diagnoser asked for them before the first round did."""
        if "diagnoser" not in self.spec.engineer.optimise:
            return {}
        return {"answers": "r0.diagnose/answers"}

    def optimised(self, name: str, input: str = "program") -> dict[str, str]:
        """The input that carries a role's optimised program."""
        if name not in self.spec.engineer.optimise:
            return {}
        return {input: f"optimise.{name}/program"}

    def calibrated(self) -> dict[str, str]:
        """The input that carries the judge's threshold, where there is a judge."""
        verifier = self.spec.engineer.verifier
        judged = verifier is not None and verifier.lm is not None and self.spec.engineer.judge
        return {"calibration": "calibrate/calibration"} if judged else {}

    def calibrations(self, metrics: list[dict[str, Any]] | None = None) -> dict[str, str]:
        """The inputs that carry the thresholds of judges: of ``metrics``, or of the first."""
        judged = [m["name"] for m in metrics or [self.says.metric] if m["grader"] == "judge"]
        return {f"calibration.{name}": f"calibrate.{name}/calibration" for name in judged}

    def judge(self, low: int, high: int | None = None) -> Use:
        """What judging answers by the first metric takes, where a model does it."""
        rows = (low, low if high is None else high)
        return self.cost.engineering.judge(rows, [self.says.metric["name"]])

    def seed(self, purpose: str, round: int) -> int:
        return derived_seed(self.spec.seed, purpose, round)
