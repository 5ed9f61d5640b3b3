"""One step of a plan: what it does, what it takes and gives, who uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagent.compiler.diff import leaves, shown
from dagent.compiler.kinds import KINDS
from dagent.compiler.plan import Plan, Step, input_step
from dagent.compiler.totals import cells, parts


def describe(plan: Plan, step: Step) -> dict[str, Any]:
    """``takes`` names for each input the step and output that it comes from; ``gives`` for each
    output the steps that take it."""
    users: dict[str, list[str]] = {name: [] for name in KINDS[step.kind].outputs}
    for other in plan.steps:
        for reference in other.inputs.values():
            source, output = reference.rsplit("/", 1)
            if source == step.id and other.id not in users.setdefault(output, []):
                users[output].append(other.id)
    by_id = {other.id: other for other in plan.steps}
    return {
        "step": step.id,
        "kind": step.kind,
        "version": step.version,
        "says": KINDS[step.kind].says,
        "round": step.round,
        "key": step.key,
        "params": dict(step.params),
        "takes": [
            {"input": name, "from": ref, "says": KINDS[by_id[input_step(ref)].kind].says}
            for name, ref in step.inputs.items()
        ],
        "after": list(step.after),
        "gives": users,
        "estimate": {name: list(ends) for name, ends in parts(step.estimate).items()},
    }


def lines(plan: Plan, step: Step) -> list[str]:
    found = describe(plan, step)
    where = "" if step.round is None else f", round {step.round}"
    out = [f"{step.id}: {found['says']}{where}", f"kind {step.kind} {step.version}, key {step.key}"]
    out += _block("params", [(path, shown(value)) for path, value in leaves(found["params"])])
    out += _block("takes", [(t["input"], f"{t['from']}  ({t['says']})") for t in found["takes"]])
    out += _block("after", [(id, "") for id in step.after])
    out += _block(
        "gives",
        [(name, f"for {', '.join(by)}" if by else "kept") for name, by in found["gives"].items()],
    )
    return out + _block("estimate", list(cells(step.estimate).items()))


def _block(title: str, rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [*([title] if rows else []), *(f"  {n:<{width}}  {v}".rstrip() for n, v in rows)]


def program_lines(program: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    """An optimised program: how it scored on examples that the optimiser did not see, what it
    tells the model, and what it shows it."""
    scores = [
        ("metric", str(report["metric"])),
        ("before", f"{report['before']:.2f}"),
        ("after", f"{report['after']:.2f}"),
        ("held out", f"{report['held_out']} examples, {report['trained_on']} to learn from"),
        ("used", "yes" if report["used"] else "no: it is no better than the plain one"),
        ("version", str(report["version"])),
    ]
    out = _block(f"optimised by {report['optimiser']}", scores)
    for name, state in program["state"].items():
        said = state.get("signature", {}).get("instructions", "")
        demos = state.get("demos", [])
        out += [f"{name}: instructions", *(f"  {line}" for line in said.splitlines())]
        for number, demo in enumerate(demos, 1):
            told = [(key, shown(value)) for key, value in demo.items()]
            out += _block(f"{name}: demonstration {number} of {len(demos)}", told)
    return out


def executed_lines(found: Mapping[str, Any]) -> list[str]:
    """What became of the step in an execution, as ``runtime.history`` tells it."""
    rows = [("state", found["state"])]
    rows += [("seconds", f"{found['seconds']:g}")] if found["seconds"] is not None else []
    rows += [("says", found["note"])] if found["note"] else []
    rows += [(name, f"{value:g}") for name, value in found["metrics"].items()]
    rows += list(found["outputs"].items())
    return _block(f"executed ({found['execution']})", rows)
