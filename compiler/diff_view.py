"""A difference of two plans in words and as JSON: causes, what follows, what it will cost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dagent.compiler.diff import CHANGED, NEW, REMOVED, REUSED, Change, Difference, Reason
from dagent.compiler.totals import Totals, totals

_ROUND = re.compile(r"(?:^|(?<=[./ ]))r(\d+)(?=\.)")
_PATH = re.compile(r"^[\w.\[\]-]*\.(?=[\w-]+: )")  # of a parameter, before its own name
MANY = 3
_VARIANT = re.compile(r"(?:^|(?<= ))(?:[\w-]+/)?s-?\d+/")


def lines(difference: Difference) -> list[str]:
    """Causes first, each once for all rounds that it touches; then what follows; then the cost."""
    out = [f"plan: {reason}{_at(reason)}" for reason in difference.plan]
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for change in difference.steps:
        own = _own(change)
        if own or change.what in (NEW, REMOVED):
            groups.setdefault((change.what, _family(change.step), own), []).append(change.step)
    for what, steps, own in _alike(_joined(groups)):
        out += [f"{what}  {step}" for step in steps]
        out += [f"  {reason}" for reason in own]
    follows = [c for c in difference.steps if c.what == CHANGED and _only_inputs(c)]
    if follows:
        many = "steps that take" if len(follows) > 1 else "step that takes"
        out.append(f"changed  {len(follows)} {many} what changes as input")
    counts = (f"{difference.count(w)} {w}" for w in (NEW, REMOVED, CHANGED, REUSED))
    out.append("same plan" if difference.same else ", ".join(counts))
    if not difference.same:
        out.append(f"cost: {cost_words(difference)}")
    return out


def cost_words(difference: Difference, cost: Totals | None = None) -> str:
    """What the change costs if all that is reused was done, and no round is skipped."""
    if not difference.again:
        return "nothing runs again"
    total = sum(c.what != REMOVED for c in difference.steps)
    count = len(difference.again)
    return f"{count} of {total} steps run; {cost or totals(difference.again)}"


def to_json(difference: Difference) -> dict[str, Any]:
    """``cost`` holds ranges as in a step's estimate, added up over the steps that run."""
    return {
        "same": difference.same,
        "plan": [_reason_json(r) for r in difference.plan],
        "steps": [
            {
                "step": c.step,
                "kind": c.kind,
                "what": c.what,
                "reasons": [_reason_json(r) for r in c.reasons],
            }
            for c in difference.steps
        ],
        "cost": {"steps": len(difference.again), **totals(difference.again).to_json()},
    }


def _reason_json(reason: Reason) -> dict[str, Any]:
    if reason.by is not None:
        return {"input": reason.what, "from": reason.by}
    body = {"parameter": reason.what, "before": reason.before, "after": reason.after}
    return body | ({"place": reason.place} if reason.place else {})


def _at(reason: Reason) -> str:
    return f"  ({reason.place})" if reason.place else ""


def _own(change: Change) -> tuple[str, ...]:
    """What changed of the step itself; where many inputs come and go, their number."""
    own = [r for r in change.reasons if r.by is None]
    wired = [r for r in own if r.what.startswith("input `")]
    few = own if len(wired) <= MANY else [r for r in own if r not in wired]
    words = [f"{_VARIANT.sub('', str(r)) if r in wired else _family(str(r))}{_at(r)}" for r in few]
    if len(few) < len(own):
        kinds = [
            NEW if r.before is None else REMOVED if r.after is None else CHANGED for r in wired
        ]
        counts = (f"{kinds.count(k)} {k}" for k in (NEW, REMOVED, CHANGED) if k in kinds)
        words.append(f"inputs: {', '.join(counts)}")
    return tuple(words)


def _alike(
    groups: Iterable[tuple[Group, list[str]]],
) -> Iterable[tuple[str, list[str], tuple[str, ...]]]:
    """Steps that change for the same reasons stand together, with the reasons once."""
    found: dict[tuple[str, tuple[str, ...]], tuple[list[str], list[tuple[str, ...]]]] = {}
    for number, ((what, family, own), ids) in enumerate(groups):
        leaf = tuple(_PATH.sub("", reason) for reason in own) or (str(number),)
        steps, reasons = found.setdefault((what, leaf), ([], []))
        steps.append(_rounds(family, ids))
        reasons.append(own)
    for (what, leaf), (steps, reasons) in found.items():
        yield what, steps, reasons[0] if len(set(reasons)) == 1 else leaf


def _only_inputs(change: Change) -> bool:
    return all(reason.by is not None for reason in change.reasons)


Group = tuple[str, str, tuple[str, ...]]


def _joined(groups: dict[Group, list[str]]) -> Iterable[tuple[Group, list[str]]]:
    """Whole rounds that come or go are one group, rather than one for each step in them."""
    rounds: dict[tuple[str, frozenset[int]], list[Group]] = {}
    for group, ids in groups.items():
        what, family, _ = group
        numbers = frozenset(_number(id) for id in ids)
        if what in (NEW, REMOVED) and family.startswith("rN."):
            rounds.setdefault((what, numbers), []).append(group)
    whole = {members[0]: members for members in rounds.values() if len(members) > 2}
    hidden = {group for members in whole.values() for group in members[1:]}
    for group, ids in groups.items():
        if group in whole:
            steps = f"rN ({len(whole[group])} steps each)"
            yield (group[0], steps, ()), ids
        elif group not in hidden:
            yield group, ids


def _family(step: str) -> str:
    """``loop/s1/r3.train`` -> ``rN.train``: the same step of other rounds, arms and seeds."""
    return _ROUND.sub("rN", _VARIANT.sub("", step))


def _number(step: str) -> int:
    match = _ROUND.search(step)
    return int(match[1]) if match else -1


def _rounds(family: str, ids: list[str]) -> str:
    """``r1…r5.train`` for rounds without a gap, ``r1,r3.train`` otherwise; of several variants, in
    how many."""
    variants = {found[0] if (found := _VARIANT.match(id)) else "" for id in ids}
    name = _numbers(family, sorted({_number(id) for id in ids}))
    if len(variants) == 1:
        return variants.pop() + name
    arms = {variant.rstrip("/").rpartition("/")[0] for variant in variants}
    if len(arms) == 1 and "" not in arms:  # of one arm alone: which, and under which seeds
        seeds = ",".join(sorted(variant.rstrip("/").rpartition("/")[2] for variant in variants))
        return f"{arms.pop()}/{seeds}/{name}"
    return f"{name}, {len(variants)} times over arms and seeds"


def _numbers(family: str, numbers: list[int]) -> str:
    if "rN" not in family:
        return family
    first, last = numbers[0], numbers[-1]
    if len(numbers) == 1:
        words = f"r{first}"
    elif last - first == len(numbers) - 1:
        words = f"r{first}…r{last}"
    else:
        words = ",".join(f"r{n}" for n in numbers)
    return family.replace("rN", words, 1)
