"""``dagent status``: how the folder's latest execution stands."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic, Refused


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="FOLDER")
    parser.add_argument("--json", action="store_true", help="as JSON, accuracies in 0..1")


def run(args: argparse.Namespace) -> int:
    from dagent.runtime.execution import is_running
    from dagent.runtime.history import compared, kept_plan, last_events
    from dagent.runtime.lm.batch_log import waited_for
    from dagent.runtime.status import journal_path, latest, read_status

    execution = latest(args.folder)
    if execution is None:
        raise Refused(
            Diagnostic(
                "E817",
                "nothing was executed in this folder yet",
                suggestion="dagent compile && dagent execute",
                file=str(args.folder),
            )
        )
    found = read_status(args.folder, execution, alive=is_running(args.folder))
    log = journal_path(args.folder, execution).with_name("batches.jsonl")
    if log.exists() and found["state"] != "finished":
        found["batches"] = waited_for(log, last_events(args.folder))
    plan = kept_plan(args.folder, execution)
    if plan is not None:
        found["seconds"] = compared(plan, last_events(args.folder), args.folder)
    print(json.dumps(found, indent=1, ensure_ascii=False) if args.json else _text(found))
    return 0


def _text(found: dict[str, Any]) -> str:
    from dagent.runtime.wording import two_sided

    lines = [f"plan {found['plan'][:12]}: {found['state']}"]
    if "reason" in found:
        lines.append(f"  {found['reason']}\n  `dagent execute` goes on where it stopped")
    if "arms" in found and found["base"]["test"] is not None:
        lines.append(f"  base: {100 * found['base']['test']:.1f} % on test")
    for arm in found.get("arms", ()):
        lines.append(_arm(arm))
    if "arms" in found:
        return "\n".join((*lines, _spent(found)))
    for event in found["rounds"]:
        verdict = "base" if not event["round"] else "accepted" if event["accepted"] else "refused"
        lines.append(
            f"  round {event['round']}  {100 * event['select']:5.1f} %  {verdict:<8}  "
            f"+{how_many(event['rows'], 'rows')}  {event['reason']}"
        )
    champion, base, gain = found["champion"], found["base"], found["gain"]
    if gain["ci"] and not champion["round"]:
        lines.append(f"test: {100 * base['test']:.1f} %, of the untouched student; gain none")
    elif gain["ci"]:
        lines.append(
            f"test: {100 * base['test']:.1f} % → {100 * champion['test']:.1f} %, "
            f"gain {gain['test_pp']:+.1f} points "
            f"({gain['ci'][0]:+.1f} to {gain['ci'][1]:+.1f}), {two_sided(gain['p'])}"
        )
    if "short" in found:
        from dagent.runtime.shortfall import shortfall_words

        lines.append(f"short: {shortfall_words(found['short'])}")
    lines.append(_spent(found))
    return "\n".join(lines)


def _arm(arm: dict[str, Any]) -> str:
    name = f"  {arm['arm']}, seed {arm['seed']}: "
    if not arm["rounds"]:
        return name + "not begun"
    last, test = arm["rounds"][-1], arm["champion"]["test"]
    stands = f"round {last['round']}, champion {100 * arm['champion']['select']:.1f} % on select"
    if test is None:
        return name + stands
    gain = arm["gain"]
    low, high = gain["ci"]
    return name + (
        f"{stands}, {100 * test:.1f} % on test, gain {gain['test_pp']:+.1f} points "
        f"({low:+.1f} to {high:+.1f})"
    )


def _spent(found: dict[str, Any]) -> str:
    from dagent.runtime.lm.failures import told
    from dagent.runtime.status import SOMETIMES, sometimes_words

    amounts = found["spent"]
    units = [how_many(n, u) for u, n in amounts.items() if u not in (*SOMETIMES, "wall")]
    spent = ", ".join((*units, *sometimes_words(amounts), f"{amounts['wall']:,.0f} s"))
    steps = found["steps"]
    line = f"spent: {spent}; {how_many(steps['run'], 'steps')} run, {steps['reused']} reused"
    for batch in found.get("batches", ()):
        line += (
            f"\n{how_many(batch['calls'], 'calls')} wait{'s' * (batch['calls'] == 1)} for "
            f"{told(batch['batch'] or 'a batch')} at the provider"
        )
        line += f", which has answered {batch['done']:,}" if batch["done"] is not None else ""
    if "seconds" in found:
        from dagent.runtime.history import compared_words

        line += f"\n{compared_words(found['seconds'])}"
    return line
