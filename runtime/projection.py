"""What MLflow shows of an execution, as pure functions of its journal.

Every function takes ``past``: the events so far, the one at hand last. Nothing else is remembered,
so that mirroring the same journal twice, or in two halves, says the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, count
from typing import Any

from dagent.runtime.rows import named_skills

Event = Mapping[str, Any]

MIRRORED = frozenset(
    {
        "execution_started",
        "step_started",
        "step_finished",
        "round_finished",
        "execution_finished",
        "execution_stopped",
    }
)
CLOSING = frozenset({"execution_finished", "execution_stopped"})
ENDS = ("base", "champion")

# How MLflow calls the way an execution ended; whatever else ended well is "FINISHED".
STATUS = {"interrupted": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True, slots=True)
class RoundPoint:
    """A round as the figures show it; round 0 is the untouched student."""

    round: int
    select: float
    low: float
    high: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names, as MLflow shows them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def milliseconds(event: Event) -> int:
    """The event's own time: a metric mirrored twice then has one time stamp, so it is one point."""
    return int(datetime.fromisoformat(event["time"]).timestamp() * 1000)


def started(past: Iterable[Event]) -> Event:
    """The first start: a resumed execution keeps the settings that it began with."""
    return next(e for e in past if e["event"] == "execution_started")


def rounds(past: Iterable[Event]) -> dict[int, Event]:
    """Each finished round's latest event, in order of the rounds."""
    latest = {e["round"]: e for e in past if e["event"] == "round_finished"}
    return dict(sorted(latest.items()))


def points(past: Iterable[Event]) -> list[RoundPoint]:
    return [
        RoundPoint(
            number,
            e["select"],
            _number(e.get("select_low"), e["select"]),
            _number(e.get("select_high"), e["select"]),
            bool(e["accepted"]),
        )
        for number, e in rounds(past).items()
    ]


def round_name(number: int) -> str:
    return "round 0 (base)" if number == 0 else f"round {number}"


def execution_name(start: Event) -> str:
    """Such as ``quickstart-s0-3365da``, and with arms ``quickstart-3arms-8seeds-3365da``."""
    ran = f"s{start['seed']}"
    if "by_variant" in start:
        counts = (len(_values(start, "arm")), "arm"), (len(_values(start, "seed")), "seed")
        ran = "-".join(f"{n}{what}{'s' * (n > 1)}" for n, what in counts)
    return f"{start['name']}-{ran}-{start['plan_id'][:6]}"


def _values(start: Event, key: str) -> list[Any]:
    """What the variants have under ``key``, in the plan's order."""
    return list(dict.fromkeys(own[key] for own in start["by_variant"].values()))


def execution_params(start: Event) -> dict[str, str]:
    """Settings as the plan gives them; the seed, rounds and metric win over a setting's name. The
    run of all arms names these and their seeds."""
    own = {"seed": start["seed"], "rounds": start["rounds"], "metric": start["metric"]}
    if "by_variant" in start:
        arms, seeds = (", ".join(map(str, _values(start, key))) for key in ("arm", "seed"))
        own |= {"arms": arms, "seed": seeds}
    if "arm" in start:
        own["arm"] = start["arm"]
    return {safe_name(k): _text(v) for k, v in {**start["settings"], **own}.items()}


def made_on_tags(start: Event) -> dict[str, str]:
    """Where an execution runs and with what; MLflow shows the commit beside the source."""
    made = start.get("made_on", {})
    told = {f"dagent.{name}": made.get(name, "") for name in ("python", "machine")}
    listed = ", ".join(f"{k} {v}" for k, v in sorted(start.get("packages", {}).items()))
    told |= {"dagent.packages": listed, "mlflow.source.git.commit": made.get("commit", "")}
    return {name: value for name, value in told.items() if value}


def round_series(event: Event, past: Sequence[Event]) -> dict[str, float]:
    """The metrics of one round, for the parent's series and for the round's own run."""
    metric = started(past)["metric"]
    champion = rounds(past).get(event["champion_round"], event)
    values = {
        f"select/{metric}": event["select"],
        f"select/{metric}_low": event.get("select_low"),
        f"select/{metric}_high": event.get("select_high"),
        f"champion/{metric}": champion["select"],
        "champion/round": event["champion_round"],
        "rows/added": event.get("rows"),
        "rows/total": event.get("rows_total"),
        "spent/calls": event.get("calls"),
        "spent/seconds": event.get("seconds"),
        **{f"skill/{skill}": v for skill, v in named_skills(event.get("per_skill")).items()},
        **{f"guard/{guard}": value for guard, value in (event.get("guards") or {}).items()},
    }
    return _numbers(values)


def by_round(event: Event, past: Sequence[Event]) -> dict[str, float]:
    """The round once more under a name of its own.

    MLflow's compare page prints only the last value of a series; under these names it prints every
    round of every execution side by side, and at the top, since it sorts by name and shows few.
    """
    width = len(str(started(past)["rounds"]))
    return _numbers({f"by_round/{event['round']:0{width}}": event["select"]})


def round_params(event: Event, curriculum: Any) -> dict[str, str]:
    values = {
        "round": event["round"],
        "accepted": event["accepted"],
        "rows": event.get("rows"),
        "reason": event.get("reason"),
        "focus": focus(curriculum),
    }
    return {k: _text(v) for k, v in values.items() if v not in (None, "")}


def news(past: Sequence[Event]) -> dict[str, float]:
    """What the end says that an earlier end of the same execution did not say already."""
    before = [e for e in past[:-1] if e["event"] == "execution_finished"]
    told = final_metrics(before[-1]) if before else {}
    return {k: v for k, v in final_metrics(past[-1]).items() if told.get(k) != v}


def round_words(event: Event) -> str:
    """What the gate decided, as the description of the round's run."""
    return f"{'Accepted' if event['accepted'] else 'Refused'}: {event.get('reason') or ''}"


def end_words(past: Sequence[Event]) -> str:
    """The goal and how it ended, as the description of an execution's run, or a variant's."""
    first, end = started(past), past[-1]
    return "\n\n".join(filter(None, (first.get("goal") or "", _ended(first["metric"], end))))


def _ended(metric: str, end: Event) -> str:
    if end["event"] != "execution_finished":
        return f"{end['state'].capitalize()}: {end.get('reason') or ''}"
    if found := end.get("comparison"):
        arms = ", ".join(f"{arm['arm']} {arm['test']:.1%}" for arm in found["arms"])
        return f"{metric} on test: base {found['base']:.1%}, {arms}."
    base, champion, gain = end["base"], end["champion"], end["gain"]
    if not champion["round"]:
        return f"{metric} on test: {base['test']:.1%}. The gate took no round's student."
    low, high = gain["ci"]
    return (
        f"{metric} on test: {base['test']:.1%} → {champion['test']:.1%}, {gain['test_pp']:+.1f} "
        f"points (95 % interval {low:+.1f} to {high:+.1f}). The champion is round "
        f"{champion['round']}."
    )


def final_metrics(event: Event) -> dict[str, float]:
    """What the test set said, and what it cost."""
    base, champion = event.get("base") or {}, event.get("champion") or {}
    gain, spent = event.get("gain") or {}, event.get("spent") or {}
    low, high = gain.get("ci") or (None, None)
    return _numbers(
        {
            "test/base": base.get("test"),
            "test/champion": champion.get("test"),
            "test/gain_pp": gain.get("test_pp"),
            "test/gain_low_pp": low,
            "test/gain_high_pp": high,
            "test/gain_relative": gain.get("relative"),
            "test/p": gain.get("p"),
            **{f"spent/total_{name}": value for name, value in spent.items()},
            **_measured("test", event.get("metrics") or ()),
            # Not under `guard/NAME`, which is the series of the rounds.
            **_measured("end", event.get("watched") or ()),
            **_program_metrics(event.get("programs") or {}),
        }
    )


def _measured(where: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every metric of several, or every guard, under its name."""
    values: dict[str, Any] = {}
    for one in found:
        low, high = one["ci"]
        told = {key: one[key] for key in ("base", "champion", "gain_pp", "p", "p_holm")}
        told |= {"gain_low_pp": low, "gain_high_pp": high}
        values |= {f"{where}/{safe_name(one['name'])}/{key}": v for key, v in told.items()}
    return values


def _program_metrics(programs: Mapping[str, Any]) -> dict[str, Any]:
    errors = {f"error_{safe_name(name)}": n for name, n in programs.get("errors", {}).items()}
    return {f"programs/{k}": v for k, v in {**programs, **errors}.items() if k != "errors"}


def step_metrics(event: Event) -> dict[str, float]:
    """What a step measured, under its kind's name."""
    return _numbers({f"{event['kind']}/{k}": v for k, v in (event.get("metrics") or {}).items()})


def authored(past: Sequence[Event]) -> dict[int, dict[str, float]]:
    """Of each round what an author's programs took and their student's public score; round 0 is the
    untouched student. Empty where programs are not the strategy."""
    found: dict[int, dict[str, float]] = {}
    for event in past:
        if event["event"] == "step_finished" and is_authored(event, past):
            found.setdefault(event["round"], {}).update(step_metrics(event))
    return dict(sorted(found.items()))


def is_authored(event: Event, past: Sequence[Event]) -> bool:
    """Whether a finished step tells how a round's programs did: as a series they are the curves."""
    strategy = started(past)["settings"].get("engineer.strategy")
    return strategy == "program" and event["kind"] in ("author", "submit", "diagnose")


def training_series(log: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by the name of the metric: the loss and what else a stage measures, such as its
    reward; one for each stage of a chain, whose steps restart.

    Lines without a loss, such as a summary, are left out.
    """
    lines = [e for e in log if _is_number(e.get("loss")) and _is_number(e.get("step"))]
    alone = len({line.get("stage", "") for line in lines}) == 1
    found: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        stage = "train" if alone else line.get("stage", "")
        for measure, value in line.items():
            if measure not in ("stage", "step") and _is_number(value):
                name = safe_name(f"{measure}/{stage}")
                found.setdefault(name, []).append((int(line["step"]), float(value)))
    return found


def skill_table(past: Iterable[Event]) -> Table:
    """Skill by round, worst first in the latest round: what is still weak is at the top."""
    by_number = rounds(past)
    cells = {n: named_skills(e.get("per_skill")) for n, e in by_number.items()}
    last = cells[max(cells)] if cells else {}
    skills = sorted({s for c in cells.values() for s in c}, key=lambda s: (last.get(s, 0.0), s))
    return Table(
        ("skill", *(round_name(n) for n in cells)),
        tuple((skill, *(_rounded(c.get(skill)) for c in cells.values())) for skill in skills),
    )


def row_table(rows: Iterable[Mapping[str, Any]], limit: int = 200) -> Table:
    """The first rows as a person reads them; the file beside it has them all."""
    shown = [row for _, row in zip(range(limit), rows, strict=False)]
    columns = tuple(
        name
        for name in ("reason", "skill", "difficulty", "prompt", "answer", "id")
        if any(name in row for row in shown)
    )
    return Table(columns, tuple(tuple(row.get(name) for name in columns) for row in shown))


def focus(curriculum: Any, most: int = 3) -> str:
    """What the planner gave most rows to, such as ``slicing 31 %, sorting 22 %``."""
    items = curriculum.get("items") if isinstance(curriculum, Mapping) else curriculum
    shares: dict[str, float] = {}
    for item in items if isinstance(items, Sequence) else ():
        if isinstance(item, Mapping) and "skill" in item:
            amount = _number(item.get("count", item.get("rows", item.get("weight"))), 0.0)
            shares[str(item["skill"])] = shares.get(str(item["skill"]), 0.0) + amount
    total = sum(shares.values())
    if not total:
        return ""
    ranked = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{skill} {amount / total:.0%}" for skill, amount in ranked[:most])


def output_path(past: Iterable[Event], step: str, output: str) -> str | None:
    """Where a step's latest output lies in the store."""
    found = None
    for e in past:
        if e["event"] == "step_finished" and e["step"] == step:
            found = (e.get("outputs") or {}).get(output, {}).get("path", found)
    return found


def champion_path(past: Iterable[Event]) -> str | None:
    """Where the champion that the last gate passed on lies in the store."""
    gates = [e for e in past if e["event"] == "step_finished" and e["kind"] == "gate"]
    return (gates[-1].get("outputs") or {}).get("champion", {}).get("path") if gates else None


def safe_name(text: str) -> str:
    """MLflow allows letters, digits and ``_ - . space : /`` in names, up to 250 characters, and, as
    a name may be a file's, no part between slashes that is empty or leads elsewhere.

    >>> safe_name("skill/"), safe_name("skill/../a|b")
    ('skill/_', 'skill/__/a_b')
    """
    parts = re.sub(r"[^\w\-. :/]", "_", text).split("/")
    name = "/".join(part if part.strip(".") else "_" * max(1, len(part)) for part in parts)
    return name if len(name) <= 250 else name[:250].rstrip("/.")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "none" if value is None else str(value)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _number(value: Any, default: float) -> float:
    return float(value) if _is_number(value) else default


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """By names that MLflow takes; of several that become the same, the later ones are counted."""
    found: dict[str, float] = {}
    for key, value in values.items():
        if _is_number(value):
            name = safe_name(key)
            names = chain([name], (f"{name[:240]} {n}" for n in count(2)))
            found[next(n for n in names if n not in found)] = float(value)
    return found
