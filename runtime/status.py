"""How an execution stands, from its journal alone: what ``dagent status --json`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagent.runtime.journal import Event, read_events
from dagent.runtime.lanes import of_variant
from dagent.runtime.meter import ADOPTED, elapsed, role_among
from dagent.runtime.shortfall import shortfall

RUNS = Path(".dagent/runs")
SOMETIMES = ("tokens", "money", "gpu")  # left out where no model was asked, or nothing was held
LATEST = Path(".dagent/latest")


def execution_id(plan_id: str) -> str:
    """An execution is named after the plan that it executes: its first 12 hex digits."""
    return plan_id[:12]


def journal_path(project: Path, execution: str) -> Path:
    return project / RUNS / execution / "journal.jsonl"


def plan_path(project: Path, execution: str) -> Path:
    """The plan as it was executed; the one beside the spec may have moved on since."""
    return project / RUNS / execution / "plan.json"


def latest(project: Path) -> str | None:
    """The folder's latest execution; ``None`` if nothing was executed here yet."""
    try:
        return (project / LATEST).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def status(events: Sequence[Event], *, alive: bool) -> dict[str, Any]:
    """Accuracies in 0..1, gains in points, wall time in seconds.

    ``alive`` tells whether a process still executes: a journal without an end is ``running`` then,
    and ``interrupted`` otherwise.
    """
    started = next(e for e in events if e["event"] == "execution_started")
    if variants := started.get("variants"):
        return _compared(events, variants, started["by_variant"], alive=alive)
    rounds = [e for e in events if e["event"] == "round_finished"]
    end = _end(events)
    base = rounds[0]["select"] if rounds else None
    champion = _champion(rounds)
    finished = end if end and end["event"] == "execution_finished" else None
    return {
        "plan": started["plan_id"],
        "state": end["state"] if end else "running" if alive else "interrupted",
        **_why(end),
        "base": {"select": base, "test": finished["base"]["test"] if finished else None},
        "champion": {
            "round": champion["round"] if champion else None,
            "select": champion["select"] if champion else None,
            "test": finished["champion"]["test"] if finished else None,
        },
        "gain": {k: finished["gain"][k] for k in ("test_pp", "relative", "ci", "p")}
        if finished
        else {"test_pp": None, "relative": None, "ci": None, "p": None},
        "rounds": [
            {k: e[k] for k in ("round", "select", "accepted", "rows", "reason")} for e in rounds
        ],
        **shortfall(events),
        "spent": spent(events),
        "steps": {
            "run": len(_steps(events, reused=False)),
            "reused": len(_steps(events, reused=True)),
        },
    }


def _why(end: Event | None) -> dict[str, str]:
    """Why an execution failed, for who did not see it."""
    failed = end is not None and end["state"] == "failed"
    return {"reason": end["reason"]} if end and failed else {}


def _compared(
    events: Sequence[Event], variants: Sequence[str], own: Mapping[str, Any], *, alive: bool
) -> dict[str, Any]:
    """The best seed of the loop, or its first while all still learn; then every arm and seed."""
    each = {}
    for id in variants:
        mine = of_variant(events, id)
        stands = status(mine, alive=alive)
        kept = ("base", "champion", "gain", "rounds", *(("short",) if "short" in stands else ()))
        worked = sum(
            e["seconds"] for e in mine if e["event"] == "step_finished" and not e["reused"]
        )
        each[id] = {
            "arm": own[id]["arm"],
            "seed": own[id]["seed"],
            **{k: stands[k] for k in kept},
            "spent": {**stands["spent"], "wall": round(worked, 1)},
        }
    end = _end(events)
    done = end if end and end["event"] == "execution_finished" else {}
    chosen = done.get("best", variants[0])
    return {
        "plan": next(e for e in events if e["event"] == "execution_started")["plan_id"],
        "state": end["state"] if end else "running" if alive else "interrupted",
        **_why(end),
        **{k: each[chosen][k] for k in ("base", "champion", "gain", "rounds")},
        "spent": spent(events, adopted=False),
        "steps": {
            "run": len(_steps(events, reused=False)),
            "reused": len(_steps(events, reused=True)),
        },
        "arms": list(each.values()),
        "comparison": done.get("comparison"),
    }


def spent(events: Sequence[Event], *, adopted: bool = True) -> dict[str, float]:
    """What was used of each unit of the budget; a reservation counts until it is settled.

    Without ``adopted``, only what was really made and paid for here.
    """
    total = {
        unit: sum(amounts.get(unit, 0) for _, amounts in _held(events, adopted))
        for unit in ("rows", "rounds", "calls", *SOMETIMES)
    }
    total = {unit: amount for unit, amount in total.items() if amount or unit not in SOMETIMES}
    return {**total, "wall": round(elapsed(events), 1)}


def spent_by_role(events: Sequence[Event]) -> dict[str, dict[str, float]]:
    """Calls, tokens and money of each role, as made and paid for here; most calls first."""
    found: dict[str, dict[str, float]] = {}
    for scopes, amounts in _held(events, adopted=False):
        if role := role_among(scopes):
            own = found.setdefault(role, {"calls": 0, "tokens": 0, "money": 0})
            for unit in own:
                own[unit] += amounts.get(unit, 0)
    return dict(sorted(found.items(), key=lambda item: (-item[1]["calls"], item[0])))


def _held(
    events: Sequence[Event], adopted: bool
) -> Iterable[tuple[Sequence[str], Mapping[str, float]]]:
    """Scopes and amounts of each reservation, as its last word has them."""
    last = {e["key"]: e for e in events if e["event"] in ("reserved", "settled")}
    for event in last.values():
        if adopted or ADOPTED not in event["scopes"]:
            yield event["scopes"], event["amounts"]


def sometimes_words(spent: Mapping[str, float]) -> list[str]:
    """Tokens, money and accelerator time in words; nothing of what was not used."""
    shown = {"tokens": "{:,.0f} tokens", "money": "{:,.2f} USD", "gpu": "{:,.0f} s of accelerators"}
    return [words.format(spent[unit]) for unit, words in shown.items() if spent.get(unit)]


def read_status(project: Path, execution: str, *, alive: bool) -> dict[str, Any]:
    return status(read_events(journal_path(project, execution)), alive=alive)


def _end(events: Sequence[Event]) -> Event | None:
    """The event that ended the execution, unless it was continued after it."""
    for event in reversed(events):
        if event["event"] in ("execution_finished", "execution_stopped"):
            return event
        if event["event"] == "execution_started":
            return None
    return None


def _champion(rounds: Sequence[Event]) -> Event | None:
    if not rounds:
        return None
    number = rounds[-1]["champion_round"]
    return next(e for e in rounds if e["round"] == number)


def _steps(events: Sequence[Event], *, reused: bool) -> set[str]:
    """Steps whose last word was that; a step that was run once was run, whatever came later."""
    ran = {e["step"] for e in events if e["event"] == "step_finished" and not e["reused"]}
    told = {e["step"] for e in events if e["event"] == "step_finished"}
    return told - ran if reused else ran
