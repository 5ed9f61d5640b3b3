"""Two plans, step by step: new, removed, changed (and by what), reused.

A step is the same work when its key is: the key chains kind, version, parameters and the keys of
the inputs, so a change upstream shows as a changed input downstream.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dagent.compiler.plan import Plan, Step, input_step

Verdict = Literal["new", "removed", "changed", "reused"]
_ABSENT = "nothing"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of either plan; ``reasons`` say why it is not reused."""

    step: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()


def diff(old: Plan, new: Plan) -> tuple[Change, ...]:
    """Every step of the new plan in its order, then those that only the old one has."""
    before = {s.id: s for s in old.steps}
    after = {s.id: s for s in new.steps}
    found = [_change(before.get(s.id), s, before, after) for s in new.steps]
    return (*found, *(Change(s.id, "removed") for s in old.steps if s.id not in after))


def plan_changes(old: Plan, new: Plan) -> tuple[str, ...]:
    """What differs outside the steps: name, metric, caps."""
    pairs = (
        ("name", old.name, new.name),
        ("metric", old.metric, new.metric),
        ("budget", {k: dict(v) for k, v in old.budget.items()}, new.budget),
    )
    return tuple(text for name, a, b in pairs for text in differences(name, a, b))


def differences(name: str, old: Any, new: Any) -> Iterator[str]:
    """``path: old -> new`` for each leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from differences(f"{name}.{key}", old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(f"{name}[{number}]", a, b)
    elif old != new:
        yield f"{name}: {_shown(old)} -> {_shown(new)}"


def _change(
    old: Step | None, new: Step, before: Mapping[str, Step], after: Mapping[str, Step]
) -> Change:
    if old is None:
        return Change(new.id, "new")
    if old.key == new.key:
        return Change(new.id, "reused")
    reasons = [
        text.removeprefix("params.") for text in differences("params", old.params, new.params)
    ]
    if (old.kind, old.version) != (new.kind, new.version):
        reasons.append(f"kind: {old.kind}/{old.version} -> {new.kind}/{new.version}")
    for name in sorted({*old.inputs, *new.inputs}):
        was, now = old.inputs.get(name, _ABSENT), new.inputs.get(name, _ABSENT)
        if was != now:
            reasons.append(f"input {name}: {was} -> {now}")
        elif before[input_step(was)].key != after[input_step(now)].key:
            reasons.append(f"input {name} changes ({input_step(now)})")
    return Change(new.id, "changed", tuple(reasons))


def _shown(value: Any) -> str:
    if isinstance(value, str) and len(value) == 64:  # a digest: its start tells it apart
        return value[:12]
    text = value if value is _ABSENT else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
