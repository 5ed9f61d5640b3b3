"""The report: one HTML page of an execution that needs no server, no script and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from dagent.runtime.history import kept_plan
from dagent.runtime.lanes import of_variant
from dagent.runtime.projection import Event, started
from dagent.runtime.report import closing, parts, sections
from dagent.runtime.report.arms import comparison, used
from dagent.runtime.report.facts import test_rows, trainings
from dagent.runtime.report.markup import Markup, Part, el, join
from dagent.runtime.report.unshown import unshown
from dagent.runtime.status import execution_id, status


def render(events: Sequence[Event], project: Path, *, alive: bool = False) -> str:
    """The page. ``events`` begin with ``execution_started``; ``alive`` as in ``status``."""
    first = started(events)
    plan = kept_plan(project, execution_id(first["plan_id"]))
    stands = status(events, alive=alive)
    variants = first.get("variants") or ()
    title = f"{first['name']}: report"
    body = [
        _head(first, stands["state"]),
        _ended_early(events[-1], stands["state"]),
        *(
            _of_arms(events, variants, first["by_variant"], project)
            if variants
            else sections.of_one(events, project)
        ),
        closing.spend(events, plan, stands, project),
        closing.data(events, plan, project),
        unshown(events, plan, project),
        closing.reproduce(events, project),
        el(
            "footer",
            f"Made by dagent {first['version']} from the journal and the store of "
            f"execution {execution_id(first['plan_id'])}.",
        ),
    ]
    style = files("dagent.runtime.report").joinpath("page.css").read_text(encoding="utf-8")
    return "<!doctype html>\n" + el(
        "html",
        el(
            "head",
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", title),
            el("style", Markup(style)),
        ),
        "\n",
        el("body", el("main", join(body, "\n"))),
        lang="en",
    )


def _head(first: Event, state: str) -> Markup:
    when = first["time"][:16].replace("T", " ")
    said = "" if state == "finished" else f", {state}"
    return el(
        "header",
        el("p", f"dagent report, execution of {when} UTC{said}", class_="kicker"),
        el("h1", first["name"]),
        el("p", first.get("goal") or None, class_="goal"),
    )


def _ended_early(last: Event, state: str) -> Part:
    """What stopped an execution before its end, and how it goes on."""
    if state not in ("failed", "interrupted"):
        return None
    why = f": {last['reason']}" if state == "failed" else ""
    return el(
        "p",
        el("strong", state.capitalize(), class_="missed"),
        parts.coded(f"{why}. `dagent execute` goes on where it stopped."),
    )


def _of_arms(
    events: Sequence[Event], variants: Sequence[str], own: Mapping[str, Any], project: Path
) -> list[Part]:
    """The comparison, then each arm and seed folded away, and what each used."""
    end = events[-1] if "comparison" in events[-1] else None
    each = {id: of_variant(events, id) for id in variants}
    told: list[Part] = [comparison(end, test_rows(each[variants[0]], project))]
    told.append(el("h2", "Each arm and seed", id="arms"))
    amounts = []
    for id, mine in each.items():
        stands = status(mine, alive=False)
        name = f"{own[id]['arm']}, seed {own[id]['seed']}"
        amounts.append((name, stands["spent"], trainings(mine)))
        test, gain = stands["champion"]["test"], stands["gain"]
        ends = (
            "not finished"
            if test is None
            else f"nothing gained: {100 * test:.1f} % on test, the untouched student"
            if not stands["champion"]["round"]
            else f"{100 * stands['base']['test']:.1f} % → {100 * test:.1f} % on test, "
            f"{gain['test_pp']:+.1f} points ({gain['ci'][0]:+.1f} to {gain['ci'][1]:+.1f})"
        )
        told.append(
            el(
                "details",
                el("summary", f"{name} ", el("span", ends)),
                *sections.of_one(mine, project),
                class_="variant",
            )
        )
    return [*told, used(amounts)]
