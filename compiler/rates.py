"""What steps took here before, against what was estimated: ``.dagent/rates.json``.

Rates correct what is shown and never what is in the plan: it is the same on every machine (decision
0049). They are kept by student and kind of step, as the factors between the middle of the estimate
and the seconds that it took, smallest and largest.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dagent.compiler.plan import Plan, Step

FILE = Path(".dagent/rates.json")
FORMAT = "dagent.rates/1"
SPREAD = 1.5  # the next step of a kind may take so much more, or less, than any seen

Factors = Mapping[str, tuple[float, float]]


def read_rates(project: Path, student: str) -> Factors:
    """Factors by kind for a student; empty where nothing was learned or the file is damaged."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        body = json.loads((project / FILE).read_text(encoding="utf-8"))
        if body.get("format") == FORMAT:
            found = body["students"].get(student, {})
            return {kind: (float(low), float(high)) for kind, (low, high) in found.items()}
    return {}


def with_rates(plan: Plan, project: Path) -> Plan:
    """The plan with seconds as this machine takes them: to be shown, not to be written."""
    rates = read_rates(project, str(plan.settings.get("student.model")))
    return replace(plan, steps=tuple(_corrected(step, rates) for step in plan.steps))


def learned(plan: Plan, seconds: Mapping[str, float], before: object) -> dict[str, Any]:
    """The file's content once the steps of a plan took so many seconds; ``before`` is what it
    held, of which other students are kept.

    The slowest of several of a kind does not count if it was the first: it waited for the worker,
    which loads torch once.
    """
    factors: dict[str, list[float]] = {}
    for step in plan.steps:
        middle = _middle(step)
        if middle and step.id in seconds:
            factors.setdefault(step.kind, []).append(max(seconds[step.id], 1e-3) / middle)
    students: dict[str, Any] = {}
    if isinstance(before, Mapping) and before.get("format") == FORMAT:
        students |= before["students"]
    student = str(plan.settings.get("student.model"))
    usual = {kind: f[1:] if len(f) > 2 and f[0] == max(f) else f for kind, f in factors.items()}
    new = {kind: [float(f"{x:.3g}") for x in (min(f), max(f))] for kind, f in usual.items()}
    return {"format": FORMAT, "students": students | {student: students.get(student, {}) | new}}


def _corrected(step: Step, rates: Factors) -> Step:
    middle = _middle(step)
    if not middle or step.kind not in rates:
        return step
    low, high = rates[step.kind]
    seconds = (middle * low / SPREAD, middle * high * SPREAD)
    estimate, gpu = step.estimate, step.estimate.gpu
    if gpu and estimate.seconds:  # the same share of the step
        was = estimate.seconds
        gpu = (gpu[0] / was[0] * seconds[0], gpu[1] / was[1] * seconds[1])
    return replace(step, estimate=replace(estimate, seconds=seconds, gpu=gpu))


def _middle(step: Step) -> float | None:
    """The geometric mean: the ends are orders of magnitude apart."""
    ends = step.estimate.seconds
    return math.sqrt(ends[0] * ends[1]) if ends else None
