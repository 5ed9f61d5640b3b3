"""The plan: what ``dagent compile`` writes and ``dagent execute`` walks. Canonical JSON.

Sorted keys, no timestamps, no absolute paths, no secrets, no source file names: two people who
compile the same commit get the same bytes, from either syntax.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace

PLAN_FORMAT = "dagent.plan/1"


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


class Estimate(Struct, frozen=True):
    """What a step is expected to take, each as (low, high); ``None`` where it takes none.

    ``money`` is in US dollars, ``memory`` the peak of an accelerator in bytes, ``gpu`` the seconds
    in which accelerators are held, of each of them; it is left out where no cap asks for it.
    """

    seconds: tuple[float, float] | None = None
    rows: tuple[int, int] | None = None
    calls: tuple[int, int] | None = None
    tokens: tuple[int, int] | None = None
    money: tuple[float, float] | None = None
    memory: tuple[float, float] | None = None
    gpu: tuple[float, float] | None = None


class Step(Struct, frozen=True):
    """One node of the DAG.

    ``inputs`` maps an input's name to ``"<step id>/<output>"``. ``after`` lists steps that must be
    done before, without giving an input. ``round`` is ``None`` outside the rounds. ``key`` is
    ``H(kind, version, params, keys of inputs)``; ids, estimates and descriptions are not in it.
    """

    id: str
    kind: str
    version: int
    params: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    round: int | None = None
    key: str = ""
    estimate: Estimate = Estimate()


class Variant(Struct, frozen=True):
    """One arm under one seed: ``id`` is ``"<arm>/s<seed>"``, ``result`` the step that ends it."""

    id: str
    arm: str
    seed: int
    result: str


class PlannedArm(Struct, frozen=True):
    """An arm, and what one seed of it is allowed to use if no round is skipped. ``passes`` counts
    rows trained on, once for every training that they are in; ``settings`` are those that differ
    from the loop's."""

    name: str
    control: str | None
    rows: int
    calls: int
    trainings: int
    passes: int
    settings: Mapping[str, Any] = field(default_factory=dict)


class Plan(Struct, frozen=True):
    """Steps in an order that respects every input.

    ``budget`` holds the caps in base units: ``{"run": {"rounds": int, "rows": int, "calls": int,
    "wall": seconds, "gpu": seconds}, "round": {...}, "<role>": {...}}``; a missing cap is no cap.
    ``settings`` are the flat ``{"student.model": ..}`` values that MLflow shows as parameters.
    A spec without ``arms`` gives no ``variants``: all steps are then of the one run. With arms,
    caps hold for each variant, the id of a step starts with the arm and seed that it serves
    (``loop/s1/r1.train``, ``s1/r0.evaluate``, ``data.dev``), and ``merged`` counts the steps that
    were not planned twice because another variant needs the same. ``prices`` has the fields of
    ``prices.Price`` by ``prices.place``; a price changes no work, so it is not in the plan's id.
    """

    name: str
    goal: str
    rounds: int
    metric: str
    budget: Mapping[str, Mapping[str, float]]
    settings: Mapping[str, Any]
    steps: tuple[Step, ...]
    variants: tuple[Variant, ...] = ()
    arms: tuple[PlannedArm, ...] = ()
    merged: int = 0
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Identity of the work: name, budget, metric and every step's key; 64 hex digits."""
        return digest(
            {
                "format": PLAN_FORMAT,
                "name": self.name,
                "metric": self.metric,
                "budget": {k: dict(v) for k, v in self.budget.items()},
                "steps": {s.id: [s.key, *sorted(s.after)] for s in self.steps},
            }
        )

    def step(self, step_id: str) -> Step:
        """Raises: KeyError when there is no such step."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)


def input_step(reference: str) -> str:
    """The step id in ``"r1.mix/train"``."""
    return reference.rsplit("/", 1)[0]


def local(step_id: str) -> str:
    """The step's name within its variant: ``r1.train`` of ``loop/s1/r1.train``."""
    return step_id.rsplit("/", 1)[-1]


def users(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The variants that need each step, by its id; none for what compares them."""
    by_id = {step.id: step for step in plan.steps}
    found: dict[str, list[str]] = {step.id: [] for step in plan.steps}
    for variant in plan.variants:
        waiting, seen = [variant.result], {variant.result}
        while waiting:
            step = by_id[waiting.pop()]
            found[step.id].append(variant.id)
            below = {input_step(ref) for ref in step.inputs.values()} - seen
            seen |= below
            waiting += below
    return {id: tuple(variants) for id, variants in found.items()}


def alone(plan: Plan, variant: str) -> Plan:
    """The plan of one variant as if the spec had no arms: its steps, by their local names."""
    needed = {id for id, variants in users(plan).items() if variant in variants}
    steps = tuple(
        replace(
            step,
            id=local(step.id),
            inputs={
                name: f"{local(input_step(ref))}/{ref.rsplit('/', 1)[1]}"
                for name, ref in step.inputs.items()
            },
            after=tuple(sorted({local(id) for id in step.after if id in needed})),
        )
        for step in plan.steps
        if step.id in needed
    )
    return replace(plan, steps=steps, variants=(), arms=(), merged=0)


def step_key(step: Step, keys: Mapping[str, str]) -> str:
    """The step's key, from the keys of the steps that it takes its inputs from."""
    inputs = {
        name: [keys[input_step(ref)], ref.rsplit("/", 1)[1]] for name, ref in step.inputs.items()
    }
    return digest([step.kind, step.version, dict(step.params), inputs])


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan as written to ``dagent.plan.json`` (schema: ``specs/plan.schema.json``)."""
    body = asdict(plan)
    body["steps"] = [_step_json(step) for step in plan.steps]
    if plan.variants:
        body["variants"] = [asdict(variant) for variant in plan.variants]
        body["arms"] = [asdict(arm) for arm in plan.arms]
    else:
        body = {k: v for k, v in body.items() if k not in ("variants", "arms", "merged")}
    if not plan.prices:
        del body["prices"]
    whole = {"format": PLAN_FORMAT, "id": plan.id, **body}
    return {**whole, "digest": content(whole)}


def _step_json(step: Step) -> dict[str, Any]:
    estimate = asdict(step.estimate)
    given = {name: list(ends) for name, ends in estimate.items() if ends is not None}
    body = asdict(step) | {"after": list(step.after), "estimate": given}
    return {k: v for k, v in body.items() if k == "params" or v not in (None, {}, [], ())}


def content(body: Mapping[str, Any]) -> str:
    """The digest of all that a plan file holds but the digest itself: also what is only shown."""
    return digest({k: v for k, v in body.items() if k != "digest"})


def dumps(plan: Plan) -> str:
    """The bytes of the plan file: sorted and indented, so that a pull request shows the change."""
    return json.dumps(to_json(plan), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def from_json(body: Mapping[str, Any]) -> Plan:
    """The inverse of ``to_json``.

    Raises:
        KeyError, TypeError, ValueError: when the body is not a plan of this format.
    """
    if body["format"] != PLAN_FORMAT:
        raise ValueError(f"format {body['format']!r}, expected {PLAN_FORMAT!r}")
    steps = tuple(
        Step(
            id=s["id"],
            kind=s["kind"],
            version=s["version"],
            params=s["params"],
            inputs=s.get("inputs", {}),
            after=tuple(s.get("after", ())),
            round=s.get("round"),
            key=s["key"],
            estimate=Estimate(**{k: tuple(v) for k, v in s.get("estimate", {}).items()}),
        )
        for s in body["steps"]
    )
    return Plan(
        name=body["name"],
        goal=body["goal"],
        rounds=body["rounds"],
        metric=body["metric"],
        budget=body["budget"],
        settings=body["settings"],
        steps=steps,
        variants=tuple(Variant(**v) for v in body.get("variants", ())),
        arms=tuple(PlannedArm(**a) for a in body.get("arms", ())),
        merged=body.get("merged", 0),
        prices=body.get("prices", {}),
    )
