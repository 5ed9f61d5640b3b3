"""Variants: every arm under every seed, side by side in one plan.

    arms × seeds --lower--> steps of each, named after it --> one list, and the step that compares

What the variants have in common is merged later, by ``passes/share.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from dagent.compiler.cost import Cost, seconds
from dagent.compiler.facts import Facts
from dagent.compiler.kinds import KINDS
from dagent.compiler.passes.lower import lower
from dagent.compiler.plan import PlannedArm, Step, Variant, input_step
from dagent.compiler.spec import Spec
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.dsl.nearest import did_you_mean

COMPARE = "compare"


class CheckedArm(Struct, frozen=True):
    name: str
    control: str | None
    spec: Spec
    facts: Facts

    def steps(self, seed: int) -> tuple[Step, ...]:
        spec = replace(self.spec, seed=seed)
        return lower(spec, self.facts, Cost(spec, self.facts))


def lower_all(arms: Sequence[CheckedArm], seeds: Sequence[int]) -> tuple[Step, ...]:
    """The steps of all variants and the one that compares them, without keys."""
    lowered = {
        variant_id(arm.name, seed): _named(arm.steps(seed), variant_id(arm.name, seed))
        for arm in arms
        for seed in seeds
    }
    rounds = arms[0].spec.budget.rounds
    learning: list[Step] = []
    ending: list[Step] = []
    for steps in lowered.values():
        end = 1 + max(i for i, step in enumerate(steps) if step.kind == "gate")
        learning += steps[:end]
        ending += steps[end:]
    # Test is opened at the end, and only then: by no variant while another still learns.
    last = tuple(s.id for s in learning if s.kind == "gate" and s.round == rounds)
    ending = [replace(s, after=last) if s.kind == "evaluate" else s for s in ending]
    return (*learning, *ending, _compare(arms, seeds))


def variants(
    arms: Sequence[CheckedArm], seeds: Sequence[int], steps: Sequence[Step]
) -> Iterable[Variant]:
    """The variants with the steps that end them, which may be merged with another's."""
    inputs = next(step.inputs for step in steps if step.id == COMPARE)
    for arm in arms:
        for seed in seeds:
            id = variant_id(arm.name, seed)
            yield Variant(id, arm.name, seed, input_step(inputs[f"result:{id}"]))


def alone(arms: Sequence[CheckedArm], seeds: Sequence[int], variant: str) -> CheckedArm:
    """The arm of one variant, as a spec of its own with the variant's seed. Its steps do what they
    do beside the others, so what was done for the one is there for the other.

    Raises:
        Refused: E831, the arms have no such variant.
    """
    known = {variant_id(arm.name, seed): (arm, seed) for arm in arms for seed in seeds}
    if variant not in known:
        remedy = did_you_mean(variant, known, f"there are: {', '.join(known)}")
        raise Refused(Diagnostic("E831", f"there is no variant `{variant}`", suggestion=remedy))
    arm, seed = known[variant]
    return replace(arm, spec=replace(arm.spec, seed=seed))


def variant_id(arm: str, seed: int) -> str:
    return f"{arm}/s{seed}"


def planned(arm: CheckedArm) -> PlannedArm:
    """Counted from the arm's own steps: what its plan says, not what its name promises."""
    steps = arm.steps(arm.spec.seed)
    mixes = {s.round: s for s in steps if s.kind in ("mix", "submit")}
    trained = 0
    passes = 0
    for mix in mixes.values():
        trained = (
            trained + mix.params["rows"] if mix.params.get("accumulate") else mix.params["rows"]
        )
        passes += trained
    return PlannedArm(
        name=arm.name,
        control=arm.control,
        rows=sum(m.params["rows"] for m in mixes.values()),
        calls=sum(s.estimate.calls[1] for s in steps if s.estimate.calls),
        trainings=sum(s.kind == "train" for s in steps),
        passes=passes,
    )


def _named(steps: Iterable[Step], prefix: str) -> list[Step]:
    return [
        replace(
            step,
            id=f"{prefix}/{step.id}",
            inputs={name: f"{prefix}/{ref}" for name, ref in step.inputs.items()},
            after=tuple(f"{prefix}/{id}" for id in step.after),
        )
        for step in steps
    ]


def _compare(arms: Sequence[CheckedArm], seeds: Sequence[int]) -> Step:
    ids = [variant_id(arm.name, seed) for arm in arms for seed in seeds]
    inputs: dict[str, str] = {}
    for id in ids:
        inputs[f"result:{id}"] = f"{id}/result/result"
        inputs[f"base:{id}"] = f"{id}/test.base/answers"
        inputs[f"test:{id}"] = f"{id}/test.champion/answers"
    metric = arms[0].spec.criteria.metrics[0]
    params = {
        "arms": [arm.name for arm in arms],
        "seeds": list(seeds),
        "metric": metric.name,
        "average": metric.average,
    }
    kind = KINDS["compare"]
    return Step(COMPARE, kind.name, kind.version, params, inputs, estimate=seconds((0.01, 1.0)))
