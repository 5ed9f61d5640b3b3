"""``dagent compile``: the spec -> dagent.plan.json and dagent.lock."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import asdict, replace

from dagent.compiler import arms_view, memory
from dagent.compiler import plan as plans
from dagent.compiler.detectable import detectable_gain, missed
from dagent.compiler.lock import dumps as dump_lock
from dagent.compiler.lock import lock_at, lock_path
from dagent.compiler.pipeline import Compiled, compile, find_spec
from dagent.compiler.plan import Plan, Step, input_step
from dagent.compiler.quantity import CAPPED, shown
from dagent.compiler.rates import Foreseen, foreseen, with_rates
from dagent.compiler.settings import Settings
from dagent.compiler.spec import place
from dagent.compiler.totals import ADDS, Totals, span, totals
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.dsl.render import DOCUMENTS, FORMATS, report, to_json

PLAN = "dagent.plan.json"
Way = tuple[str, ...]  # to a value of the spec


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", nargs="?", type=Path, help="default: the folder's one spec")
    parser.add_argument("-o", "--output", type=Path, help=f"default: {PLAN} beside the spec")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="value of a parameter, or of `seed`; may be repeated",
    )
    parser.add_argument(
        "--variant",
        metavar="ARM/sSEED",
        help="one variant of the arms alone, such as `matched/s3`: for a machine of its own",
    )
    parser.add_argument(
        "--budget-check",
        action="store_true",
        help="refuse a run that by the high estimate could exceed the device, or a cap of the run "
        "or of a round",
    )
    parser.add_argument("--format", choices=FORMATS, default="full", help="of errors")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def _over(plans: Iterable[Plan], root: document.Mapping) -> Iterator[Diagnostic]:
    """Caps that a run or a round could exceed, and the device; what it would exceed even by the low
    estimate, compiling refuses. Of all runs and rounds the one is named that takes most."""
    worst: dict[Way, tuple[float, str]] = {}
    for plan in plans:
        for way, most, words in _exceeded(plan):
            if most > worst.get(way, (0.0, ""))[0]:
                worst[way] = most, words
    for way, (_, words) in worst.items():
        remedy = "allow more, or lower the rounds, rows, batch or length"
        yield Diagnostic("E718", words, place(root, way), suggestion=remedy)


def _exceeded(plan: Plan) -> Iterator[tuple[Way, float, str]]:
    """What the high end goes beyond: its place in the spec, that end, and both in words."""
    whole = totals(plan.steps)
    yield from _beyond(whole, plan.budget.get("run", {}), ("budget",), "the run")
    rounds: dict[int, list[Step]] = {}
    for step in plan.steps:
        rounds.setdefault(step.round or 0, []).append(step)
    for number in range(1, plan.rounds + 1):
        caps, way = plan.budget.get("round", {}), ("budget", "per", "round")
        yield from _beyond(totals(rounds[number]), caps, way, f"round {number}", " per round")
    named = memory.device(str(plan.settings.get("student.device")))
    if named is not None and whole.memory[1] > named[1]:
        takes = span(whole.memory, "memory")
        words = f"the run may take {takes}, and the device has {named[1] / 1e9:.3g} GB"
        yield ("student", "device"), whole.memory[1], words


def _beyond(
    takes: Totals, caps: Mapping[str, float], way: Way, who: str, each: str = ""
) -> Iterator[tuple[Way, float, str]]:
    for cap, limit in caps.items():
        ends = takes.of(cap)
        if ends is not None and ends[1] > limit:
            unit = CAPPED.get(cap, cap)
            of = " of accelerators" if cap == "gpu" else ""
            allowed = span((limit, limit), unit)
            words = f"{who} may take {span(ends, unit)}{of}, and `{cap}` allows {allowed}{each}"
            yield (*way, cap), ends[1], words


def run(args: argparse.Namespace) -> int:
    if args.json or args.format == "json":
        args.json, args.format = True, "json"
    spec: Path = args.spec or find_spec(Path())
    compiled = compile(spec, Settings(tuple(args.set), os.environ, variant=args.variant))
    here = with_rates(compiled.plan, spec.parent)
    # Caps are those of each variant.
    capped = [plans.alone(here, variant.id) for variant in here.variants] or [here]
    if args.budget_check and (over := tuple(_over(capped, compiled.root))):
        raise Refused(over)
    output: Path = args.output or spec.parent / PLAN
    lock = lock_path(output)
    write(output, plans.dumps(compiled.plan))
    write(lock, dump_lock(lock_at(compiled.lock, spec, output.parent)))
    time = foreseen(compiled.plan, spec.parent)
    summary = summarise(replace(compiled, plan=here), time) | {"written": [str(output), str(lock)]}
    if args.json:  # one document: what reads it must not have to split it
        print(json.dumps(summary, indent=1, ensure_ascii=False))
        return 0
    report(compiled.warnings, args.format)
    text = _text(summary, time, output, beside=output.parent.resolve() == spec.parent.resolve())
    text = "\n".join((*arms_view.lines(compiled.plan), text))
    print(text, file=sys.stderr if args.format in DOCUMENTS else sys.stdout)
    return 0


def write(path: Path, text: str) -> None:
    """All of the file or nothing: a reader never sees half, and a crash leaves the old one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def summarise(compiled: Compiled, time: Foreseen) -> dict[str, Any]:
    plan = compiled.plan
    estimates = [step.estimate for step in plan.steps]
    calls = [e.calls for e in estimates if e.calls]
    rows = [s.estimate.rows for s in plan.steps if s.kind in ADDS and s.estimate.rows]
    whole = totals(plan.steps).to_json()
    return {
        "plan": plan.id,
        "name": plan.name,
        "steps": len(plan.steps),
        "rounds": plan.rounds,
        "rows": _sum(rows),
        "calls": _sum(calls),
        "tokens": whole["tokens"],
        "money": whole["money"] if plan.prices else None,
        "seconds": time.to_json(),
        "gate": _gate(plan, compiled.effective),
        "arms": [asdict(arm) for arm in plan.arms],
        "merged": plan.merged,
        "warnings": to_json(compiled.warnings),
    }


def _gate(plan: Plan, effective: float | None) -> dict[str, float]:
    """How many rows the gate decides on, as how many they count where skills count the same, and
    the gain that it finds there four times in five if the share ``changed`` of the answers does."""
    gates = [step for step in plan.steps if step.kind == "gate"]
    first = gates[0]
    rows = plan.step(input_step(first.inputs["answers"])).estimate.rows
    if not rows or not any(gate.round and gate.params["rule"] == "paired" for gate in gates):
        return {}
    alpha, counted = first.params["alpha"], effective or rows[1]
    gain, changed = (round(x, 6) for x in detectable_gain(counted, alpha))
    return {
        "rows": rows[1],
        "effective": round(counted, 6),
        "alpha": alpha,
        "detectable": gain,
        "changed": changed,
    }


def _sum(ranges: list[Any]) -> list[Any]:
    return [sum(r[0] for r in ranges), sum(r[1] for r in ranges)]


def _text(summary: dict[str, Any], time: Foreseen, output: Path, *, beside: bool) -> str:
    written = " and ".join(summary["written"])
    after = "" if output.name == PLAN and output.parent == Path() else f" {output}"
    # Data and programs are found from the plan's folder, so elsewhere it can only be read.
    verb = "execute" if beside else "show"
    paid = beside and summary["tokens"][1]
    first = f"dagent rehearse{after}, which asks no model and finds what would break; then "
    return (
        f"{summary['name']}: {summary['steps']} steps in {shown(summary['rounds'], 'rounds')}, "
        f"at most {shown(summary['rows'][1], 'rows')} and about "
        f"{shown(summary['calls'][1], 'calls')}\n"
        f"{time}\n"
        f"{_models(summary['tokens'], summary['money'])}"
        f"{_seen(summary['gate'])}"
        f"plan {summary['plan'][:12]} written to {written}\n"
        f"next: {first if paid else ''}dagent {verb}{after}"
    )


def _models(tokens: list[float], money: list[float] | None) -> str:
    """What language models take; nothing where there are none."""
    if not tokens[1]:
        return ""
    price = (
        "no price known (`prices` in `budget` names a list)"
        if money is None
        else span((money[0], money[1]), "money")
    )
    return f"language models: {span((tokens[0], tokens[1]), 'tokens')}, {price}\n"


def _seen(gate: dict[str, float]) -> str:
    if not gate:
        return ""
    return f"{missed(int(gate['rows']), gate['effective'], gate['alpha'])}\n"
