"""DSPy's optimisers, made to fit a cap of calls and judged on examples that they did not see."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import dspy

from dagent.compiler.plan import Step
from dagent.compiler.prompts import prompt_of
from dagent.compiler.quantity import how_many
from dagent.compiler.scoring import held_out
from dagent.runtime.agents.asking import speaking
from dagent.runtime.agents.objectives import objective
from dagent.runtime.agents.scoring import Objective
from dagent.runtime.agents.versions import make, version
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.step import Artifact, Context

THREADS = 8
DEMOS = 4
GOOD = 0.75  # the score from which an answer may become a demonstration
MINIBATCH = 6
LEAST_EXAMPLES = 2  # one to learn from, one to judge by


@dataclass(frozen=True, slots=True)
class Optimised:
    """``before`` and ``after`` are mean scores in 0..1 on the held-out examples."""

    metric: str
    before: float
    after: float
    held_out: int
    trained_on: int
    used: bool
    version: str
    state: Mapping[str, Any]
    note: str


def optimise(step: Step, inputs: Mapping[str, Artifact], context: Context) -> Optimised:
    """Optimise the step's agent.

    Raises:
        OutOfBudget: not even the plain agent could be scored.
    """
    params = step.params
    scope = f"optimise.{params['role']}"
    goal = objective(step, inputs, context)
    name = prompt_of(params["role"], params["agent"].get("brings", ""))
    plain = make(name)
    if len(goal.examples) < LEAST_EXAMPLES:
        few = f"only {how_many(len(goal.examples), 'examples')} could be made of the diagnose half"
        return _as_it_is(plain, goal.name, few)
    scores = params["calls"] // goal.calls_per_score
    held, train = divided(goal.examples, params["holdout"], scores, params["seed"])
    memory = f"{step.id}.holdout"
    calls = len(held) * goal.calls_per_score
    note = ""
    with speaking(params["agent"], context, step.id, (scope,)), _quiet():
        before = _score(plain, held, goal)
        # The last scoring is paid for before the optimiser may spend the rest.
        try:
            context.meter.reserve(memory, (scope,), calls=calls)
            better = _compiled(plain, train, goal, params, params["calls"] - 2 * calls)
        except OutOfBudget as out:
            better, note = plain, str(out)
        if context.meter.charged(memory):
            context.meter.settle(memory)
        after = before if better is plain else _score(better, held, goal)
    used = after > before
    state = _state(better if used else plain)
    stored = make(name)
    stored.load_state(state)  # the version is that of the agent that the rounds will load
    return Optimised(
        metric=goal.name,
        before=before,
        after=after,
        held_out=len(held),
        trained_on=len(train),
        used=used,
        version=version(stored),
        state=state,
        note=note,
    )


def _as_it_is(plain: dspy.Module, metric: str, note: str) -> Optimised:
    """Nothing was tried, since nothing could have told whether it is better."""
    return Optimised(metric, 0.0, 0.0, 0, 0, False, version(plain), _state(plain), note)


def _state(agent: Any) -> Mapping[str, Any]:
    state: Mapping[str, Any] = json.loads(json.dumps(agent.dump_state()))
    return state


def divided(
    examples: Sequence[dspy.Example], share: float, scores: int, seed: int
) -> tuple[list[dspy.Example], list[dspy.Example]]:
    """Held-out examples and those to learn from; ``scores`` can be paid."""
    order = random.Random(seed).sample(list(examples), len(examples))
    held = held_out(len(order), share, scores)
    return order[:held], order[held:]


def _score(agent: dspy.Module, examples: Sequence[dspy.Example], goal: Objective) -> float:
    """The mean score; an answer that cannot be read scores 0.

    Raises:
        OutOfBudget, and what the client raises when no call can succeed.
    """
    from dspy.utils.exceptions import AdapterParseError

    from dagent.runtime.lm.failures import Unusable

    def one(example: dspy.Example) -> float:
        try:
            score, _ = goal.worth(example, agent(**example.inputs()))
            return score
        except (AdapterParseError, Unusable):
            return 0.0

    lm, adapter = dspy.settings.lm, dspy.settings.adapter

    def in_context(example: dspy.Example) -> float:
        with dspy.context(lm=lm, adapter=adapter, disable_history=True):
            return one(example)

    with ThreadPoolExecutor(THREADS) as pool:
        scores = list(pool.map(in_context, examples))
    return sum(scores) / len(scores)


def _compiled(
    plain: dspy.Module,
    train: list[dspy.Example],
    goal: Objective,
    params: Mapping[str, Any],
    calls: int,
) -> Any:
    """The optimised agent. Each optimiser is given as much work as ``calls`` pay for; the meter
    refuses what is beyond, and such an attempt counts as a failed one."""
    runs = max(1, calls // goal.calls_per_score)

    def metric(
        example: Any, prediction: Any, trace: Any = None, name: Any = None, part: Any = None
    ) -> Any:
        score, _ = goal.worth(example, prediction)
        return score >= GOOD if trace is not None and params["optimiser"] != "gepa" else score

    def told(
        example: Any, prediction: Any, trace: Any = None, name: Any = None, part: Any = None
    ) -> Any:
        score, feedback = goal.worth(example, prediction)
        return dspy.Prediction(score=score, feedback=feedback)

    student = plain.deepcopy()
    lm = dspy.settings.lm
    with dspy.context(max_errors=10**6):
        if params["optimiser"] == "bootstrap":
            rounds = max(1, min(4, runs // len(train)))
            return dspy.BootstrapFewShot(
                metric=metric,
                max_bootstrapped_demos=DEMOS,
                max_labeled_demos=0,
                max_rounds=rounds,
                max_errors=10**6,
            ).compile(student, trainset=train[:runs])
        if params["optimiser"] == "gepa":
            return dspy.GEPA(
                metric=told,
                max_metric_calls=runs,
                reflection_lm=lm,
                reflection_minibatch_size=3,
                num_threads=1,
                seed=params["seed"],
            ).compile(student, trainset=train, valset=train[: max(4, runs // 8)])
        if params["optimiser"] == "simba":
            size = max(2, min(len(train), MINIBATCH))
            steps = max(1, runs // (size * 8))
            return dspy.SIMBA(
                metric=metric,
                bsize=size,
                num_candidates=4,
                max_steps=steps,
                max_demos=DEMOS,
                num_threads=1,
            ).compile(student, trainset=train, seed=params["seed"])
        # A third of the calls for demonstrations, half for trials; the rest writes instructions.
        size = max(2, min(len(train), MINIBATCH))
        return dspy.MIPROv2(
            metric=metric,
            auto=None,
            num_candidates=3,
            max_bootstrapped_demos=DEMOS,
            max_labeled_demos=0,
            num_threads=1,
            seed=params["seed"],
            max_errors=10**6,
        ).compile(
            student,
            trainset=train[: max(2, runs // 6)],
            valset=train[-size:],
            num_trials=max(1, runs // (2 * size) - 1),
            minibatch=False,
            data_aware_proposer=False,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """DSPy's optimisers print progress of their own; ours is the one that is shown."""
    logger = logging.getLogger("dspy")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
