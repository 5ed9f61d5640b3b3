"""How long steps are expected to take here: by what they took before, else by what machine it is.

The plan is the same on every machine, so its seconds span an accelerator and two laptop cores
(decision 0049). What is said here narrows what is shown and never what is in the plan.
``.dagent/rates.json`` keeps, by student and kind of step, the factors between the middle of the
plan's estimate and the seconds that it took: smallest, on the whole, largest.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dagent.compiler.plan import Plan, Step
from dagent.compiler.quantity import shown

FILE = Path(".dagent/rates.json")
FORMAT = "dagent.rates/2"
SPREAD = 1.5  # the next step of a kind may take so much more, or less, than any seen
# Before anything was learned (decision 0140): the share of the high end, which is two laptop cores,
# that a step takes without an accelerator; of its low end with one; and how far off that may be.
CORES, ACCELERATOR, OFF = 0.25, 4.0, 3.0
# What takes its time however small the work is: the worker, which loads torch for the first step,
# and on an accelerator each step that moves weights there and warms it up (seconds).
START = 8.0
MOVED = {"train": 6.0, "evaluate": 1.0, "diagnose": 1.0, "mix": 1.0}
MODELS_OFF = 5.0  # what asks language models takes the middle, so many times more or less
MODELS = "the language models' answers"

Span = tuple[float, float, float]  # low, likely, high
Factors = Mapping[str, Span]


class Foreseen(Struct, frozen=True):
    """What steps will take: each and together, what takes most of it, and whether that was learned
    here. Nothing is foreseen where nothing tells how large the student is."""

    steps: Mapping[str, Span]
    mostly: str
    learned: bool
    accelerator: bool

    @property
    def whole(self) -> Span:
        return together(self.steps.values())

    def to_json(self) -> dict[str, Any] | None:
        if not self.steps:
            return None
        low, likely, high = (float(f"{seconds:.2g}") for seconds in self.whole)
        told = {"low": low, "likely": likely, "high": high}
        return {**told, "mostly": self.mostly, "learned": self.learned}

    def __str__(self) -> str:
        if not self.steps:
            return (
                "time: not known, since nothing here tells how large the student is; the first "
                "execution shows it"
            )
        why = (
            "as executions here went"
            if self.learned
            else "a guess for an idle machine with"
            + ("" if self.accelerator else "out")
            + " an accelerator, which the first execution corrects"
        )
        mostly = f", most of it {self.mostly}" if self.mostly else ""
        return f"time: {about(self.whole)}{mostly}; {why}"


def together(spans: Iterable[Span]) -> Span:
    low, likely, high = (sum(end) for end in zip((0.0, 0.0, 0.0), *spans, strict=True))
    return low, likely, high


def about(found: Span) -> str:
    """
    >>> about((47.3, 141.0, 433.0))
    'about 2.4min (47s to 7.2min)'
    """
    low, likely, high = (shown(_rounded(seconds), "time") for seconds in found)
    return f"about {likely} ({low} to {high})"


def _rounded(seconds: float) -> float:
    """To two digits of the unit that it is shown in."""
    scale = next((s for s in (86400, 3600, 60) if seconds >= s), 1)
    return float(f"{seconds / scale:.2g}") * scale


def foreseen(plan: Plan, project: Path) -> Foreseen:
    rates, fast = read_rates(project, _student(plan)), has_accelerator(plan)
    steps: dict[str, Span] = {}
    shares: dict[str, float] = defaultdict(float)
    first = next((step.id for step in plan.steps if step.kind == "evaluate"), None)
    for step in plan.steps:
        if step.estimate.seconds:
            steps[step.id] = _expected(step, rates, fast)
            if step.id == first and not rates:
                steps[step.id] = together((steps[step.id], (START / OFF, START, START * OFF)))
            shares[MODELS if step.estimate.tokens else f"`{step.kind}`"] += steps[step.id][1]
    mostly = max(shares, key=shares.__getitem__) if shares else ""
    sized = bool(rates) or all(s.estimate.memory for s in plan.steps if s.kind == "train")
    return Foreseen(steps if sized else {}, mostly, bool(rates), fast)


def has_accelerator(plan: Plan) -> bool:
    """One that the spec names, or one that is here; without torch, which takes seconds to ask."""
    if plan.settings.get("student.device"):
        return True
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    mac = sys.platform == "darwin" and os.uname().machine == "arm64"
    return mac or any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd"))


def read_rates(project: Path, student: str) -> Factors:
    """Factors by kind for a student; empty where nothing was learned or the file is damaged."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        body = json.loads((project / FILE).read_text(encoding="utf-8"))
        if body.get("format") == FORMAT:
            found = body["students"].get(student, {})
            return {kind: (float(a), float(b), float(c)) for kind, (a, b, c) in found.items()}
    return {}


def with_rates(plan: Plan, project: Path) -> Plan:
    """The plan with seconds as this machine took them: to be shown, not to be written."""
    rates = read_rates(project, _student(plan))
    return replace(plan, steps=tuple(_corrected(step, rates) for step in plan.steps))


def learned(plan: Plan, seconds: Mapping[str, float], before: object) -> dict[str, Any]:
    """The file's content once the steps of a plan took so many seconds; ``before`` is what it
    held, of which other students are kept.

    The slowest of several of a kind does not count if it was the first: it waited for the worker,
    which loads torch once.
    """
    took: dict[str, list[tuple[float, float]]] = {}
    for step in plan.steps:
        middle = _middle(step)
        if middle and step.id in seconds:
            took.setdefault(_kind(step), []).append((max(seconds[step.id], 1e-3), middle))
    students: dict[str, Any] = {}
    if isinstance(before, Mapping) and before.get("format") == FORMAT:
        students |= before["students"]
    new = {kind: _factors(each) for kind, each in took.items()}
    student = _student(plan)
    return {"format": FORMAT, "students": students | {student: students.get(student, {}) | new}}


def _factors(took: list[tuple[float, float]]) -> list[float]:
    each = [seconds / middle for seconds, middle in took]
    if len(each) > 2 and each[0] == max(each):
        took, each = took[1:], each[1:]
    whole = sum(seconds for seconds, _ in took) / sum(middle for _, middle in took)
    return [float(f"{x:.3g}") for x in (min(each), whole, max(each))]


def _expected(step: Step, rates: Factors, fast: bool) -> Span:
    assert step.estimate.seconds is not None
    low, high = step.estimate.seconds
    middle = math.sqrt(low * high)
    if found := rates.get(_kind(step)):
        return middle * found[0] / SPREAD, middle * found[1], middle * found[2] * SPREAD
    if step.estimate.tokens:
        likely, off = middle, MODELS_OFF
    elif fast and step.kind in MOVED:
        likely = low * ACCELERATOR + MOVED[step.kind]
        return likely / OFF, likely, likely * OFF
    else:
        likely, off = (low * ACCELERATOR if fast else high * CORES), OFF
    return max(low, likely / off), min(max(low, likely), high), min(high, likely * off)


def _corrected(step: Step, rates: Factors) -> Step:
    if not _middle(step) or _kind(step) not in rates:
        return step
    low, _, high = _expected(step, rates, False)
    estimate, gpu = step.estimate, step.estimate.gpu
    if gpu and estimate.seconds:  # the same share of the step
        was = estimate.seconds
        gpu = (gpu[0] / was[0] * low, gpu[1] / was[1] * high)
    return replace(step, estimate=replace(estimate, seconds=(low, high), gpu=gpu))


def _kind(step: Step) -> str:
    """A program that generates says nothing of a language model that does."""
    return f"{step.kind} by models" if step.estimate.tokens else step.kind


def _student(plan: Plan) -> str:
    return str(plan.settings.get("student.model"))


def _middle(step: Step) -> float | None:
    """The geometric mean: the ends are orders of magnitude apart."""
    ends = step.estimate.seconds
    return math.sqrt(ends[0] * ends[1]) if ends else None
