"""``dagent show``: a plan, a step of it, or a row and where it came from."""

from __future__ import annotations

import argparse
import difflib
import json
from pathlib import Path
from typing import Any

from dagent.compiler.plan import Plan, Step, to_json
from dagent.compiler.rates import foreseen, with_rates
from dagent.compiler.stale import read_plan
from dagent.compiler.step_view import describe, executed_lines, program_lines
from dagent.compiler.step_view import lines as step_lines
from dagent.compiler.table import lines
from dagent.compiler.totals import totals
from dagent.dsl.diagnostics import Diagnostic, Refused

PLAN = Path("dagent.plan.json")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="*",
        metavar="[PLAN] [STEP | row ID]",
        help="default: all of dagent.plan.json",
    )
    parser.add_argument("--json", action="store_true", help="as JSON; the whole plan as it is")


def run(args: argparse.Namespace) -> int:
    if args.json:
        args.format = "json"
    words: list[str] = list(args.what)
    path = Path(words.pop(0)) if words and words[0].endswith(".json") else PLAN
    if words[:1] == ["row"] and len(words) == 2:
        return _row(words[1], path.parent, as_json=args.json)
    if len(words) > 1:
        raise Refused(
            Diagnostic(
                "E722",
                f"`{' '.join(words)}` names nothing that can be shown",
                suggestion="`dagent show`, `dagent show STEP` or `dagent show row ID`",
            )
        )
    plan = read_plan(path)
    here = with_rates(plan, path.parent)
    if words:
        return _step(here, find_step(here, words[0]), path.parent, as_json=args.json)
    together = [f"in all: {totals(here.steps)}", str(foreseen(plan, path.parent))]
    _print(to_json(plan), [*lines(here), "", *together], as_json=args.json)
    return 0


def find_step(plan: Plan, name: str) -> Step:
    """Raises: Refused (E831) with the nearest name when the plan has no such step."""
    ids = [step.id for step in plan.steps]
    if name not in ids:
        near = difflib.get_close_matches(name, ids, n=1, cutoff=0.6)
        raise Refused(
            Diagnostic(
                "E831",
                f"the plan has no step `{name}`",
                suggestion=f"did you mean `{near[0]}`?" if near else "`dagent show` lists them",
            )
        )
    return plan.step(name)


def _step(plan: Plan, step: Step, project: Path, *, as_json: bool) -> int:
    from dagent.runtime.history import executed

    found = executed(plan, step, project)
    body = describe(plan, step) | {"executed": found}
    lines = [*step_lines(plan, step), *(executed_lines(found) if found else ["not executed yet"])]
    if step.kind == "optimise" and found and found["outputs"]:
        made = {
            name: json.loads((project / path).read_text(encoding="utf-8"))
            for name, path in found["outputs"].items()
        }
        body |= made
        lines += program_lines(made["program"], made["report"])
    _print(body, lines, as_json=as_json)
    return 0


def _row(id: str, project: Path, *, as_json: bool) -> int:
    from dagent.runtime import lineage
    from dagent.runtime.history import last_events

    if len(id) < lineage.SHORTEST:
        raise Refused(
            Diagnostic(
                "E721",
                f"`{id}` is too short to name a row",
                suggestion=f"write at least {lineage.SHORTEST} letters of its id",
            )
        )
    row, passages = lineage.lineage(id, last_events(project), project)
    _print(lineage.to_json(row, passages), lineage.lines(row, passages), as_json=as_json)
    return 0


def _print(body: Any, text: list[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False))
    else:
        print("\n".join(text))
