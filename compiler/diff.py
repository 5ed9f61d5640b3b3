"""Two plans: what a change of the spec means, step by step.

A step is the same work exactly when its key is the same, whatever its name; so what is reused, and
why the rest is not, follows from the plans alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from dagent.compiler.plan import Plan, Step, input_step
from dagent.dsl.source import Placed

_SHOWN, _BEFORE = 44, 12  # letters of a text: in all, and before the first that differs
NEW, REMOVED, CHANGED, REUSED = "new", "removed", "changed", "reused"


class Reason(Placed, frozen=True, eq=False):
    """A parameter with its value before and after, or an input that changed (``by``: its step).

    ``place`` says where the new value stands in the spec, as ``file:line``, where that is known.
    """

    what: str
    before: Any = None
    after: Any = None
    by: str | None = None
    place: str | None = None

    def __str__(self) -> str:
        if self.by is not None:
            return f"input `{self.what}` comes from {self.by}, which changed"
        if self.what == "seed":
            return "seed: another"  # derived from the spec's; the number says nothing to people
        return f"{self.what}: {pair(self.before, self.after)}"


class Change(Struct, frozen=True):
    """What becomes of one step."""

    step: str
    kind: str
    what: str
    reasons: tuple[Reason, ...] = ()


class Difference(Struct, frozen=True):
    """``plan`` are the changes that concern no step: name, metric, caps. ``again`` are the steps of
    the new plan that the old one did not do, with what they are expected to take."""

    plan: tuple[Reason, ...]
    steps: tuple[Change, ...]
    again: tuple[Step, ...] = ()

    @property
    def same(self) -> bool:
        return not self.plan and all(c.what == REUSED for c in self.steps)

    def count(self, what: str) -> int:
        return sum(c.what == what for c in self.steps)


def diff(old: Plan, new: Plan) -> Difference:
    """Steps in the order of the new plan; those it no longer has at the end."""
    before = {step.id: step for step in old.steps}
    after = {step.id: step for step in new.steps}
    known = {step.key for step in old.steps}
    steps = [_step(step, before.get(step.id), before, after, known) for step in new.steps]
    steps += [Change(s.id, s.kind, REMOVED) for s in old.steps if s.id not in after]
    plan = [Reason("name", old.name, new.name)] if old.name != new.name else []
    if old.metric != new.metric:
        plan.append(Reason("metric", old.metric, new.metric))
    plan += _changes(old.budget, new.budget, "budget")
    again = tuple(step for step in new.steps if step.key not in known)
    return Difference(tuple(plan), tuple(steps), again)


def _step(
    step: Step,
    was: Step | None,
    before: Mapping[str, Step],
    after: Mapping[str, Step],
    known: set[str],
) -> Change:
    if was is None:
        return Change(step.id, step.kind, REUSED if step.key in known else NEW)
    if was.key == step.key:
        return Change(step.id, step.kind, REUSED)
    reasons = _changes(was.params, step.params)
    if (was.kind, was.version) != (step.kind, step.version):
        old, new = f"{was.kind} {was.version}", f"{step.kind} {step.version}"
        reasons.insert(0, Reason("kind and version", old, new))
    for name in sorted({*was.inputs, *step.inputs}):
        old_ref, new_ref = was.inputs.get(name), step.inputs.get(name)
        if old_ref != new_ref:
            reasons.append(Reason(f"input `{name}`", old_ref, new_ref))
        elif new_ref is not None:
            source = input_step(new_ref)
            if before[source].key != after[source].key:
                reasons.append(Reason(name, by=source))
    return Change(step.id, step.kind, CHANGED, tuple(reasons))


def _changes(old: Any, new: Any, path: str = "") -> list[Reason]:
    """Every leaf that differs, by its path: ``stages[0].args.learning_rate``."""
    before, after = dict(leaves(old, path)), dict(leaves(new, path))
    return [
        Reason(key, before.get(key), after.get(key))
        for key in [*before, *(k for k in after if k not in before)]
        if before.get(key) != after.get(key)  # what is absent and what is nothing mean the same
    ]


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no map, by its path."""
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from leaves(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    elif path:
        yield path, value


def pair(before: Any, after: Any) -> str:
    """What was and what is; of long texts the part where they part ways.

    >>> pair(["a", "b"], ["a", "b", "c"]), pair(None, "x\\ny")
    ('[a, b] -> [a, b, c]', 'nothing -> "x\\\\ny"')
    >>> pair(f"{'x' * 50} old", f"{'x' * 50} new")
    '"…xxxxxxxxxxx old" -> "…xxxxxxxxxxx new"'
    """
    if isinstance(before, str) and isinstance(after, str) and not _is_digest(after):
        unlike = (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
        skip = next(unlike, min(len(before), len(after)))
        if skip > _BEFORE and max(len(before), len(after)) > _SHOWN:
            before, after = (f"…{text[skip - _BEFORE :]}" for text in (before, after))
    return f"{shown(before)} -> {shown(after)}"


def shown(value: Any) -> str:
    """Digests by their first letters; what is absent as such; texts of several words in quotes."""
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return f"[{', '.join(shown(item) for item in value)}]"
    text = str(value)
    if _is_digest(text):
        return text[:12]
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    plain = not isinstance(value, str) or re.fullmatch(r"\S+", text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _is_digest(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None
