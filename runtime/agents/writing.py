"""The generator's step: what a round may spend, what earlier rounds yielded, and the candidates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dagent.compiler.engineering import ROWS_PER_CALL, TOP_UP
from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.runtime.agents.asking import speaking
from dagent.runtime.agents.generator import GeneratorAgent, write
from dagent.runtime.agents.grounding import Grounds, Passage, handed, passages, read_documents
from dagent.runtime.agents.verifier import Brief
from dagent.runtime.agents.versions import restore, version
from dagent.runtime.lm.loop import run
from dagent.runtime.rows import Cell, Row, cell, read_json, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput
from dagent.runtime.steps.verify import screen_many


def write_candidates(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    params, role = step.params, step.params["generator"]
    items = read_json(inputs["curriculum"].path)["items"]
    wanted = [math.ceil(item["count"] * params["candidates"]) for item in items]
    parts = (f"round:{params['round']}", "generator")
    brings = role.get("brings", "")
    agent = GeneratorAgent(brings)
    restore(agent, inputs["program"].path if "program" in inputs else None)
    sources = passages(read_documents(list(role["sources"]), context.project))
    sources += [Passage(f"pool#{row['id']}", row["prompt"]) for row in handed(inputs, "pool.")]
    kept = read_rows(inputs["kept"].path)
    most = _most_calls(step, parts, sum(wanted), context)
    with speaking(role, context, step.id, parts):
        made = run(
            write(
                agent,
                Brief(params["goal"], params["answer"]),
                items,
                wanted,
                grounds=Grounds(handed(inputs, "seed."), sources, kept, params["seed"], brings),
                yields=yields(read_json(inputs["archive"].path)),
                kept=kept,
                screen=screen_many(params["checks"], context.project),
                lineage={
                    "round": params["round"],
                    "origin": role["lm"]["model"],
                    "prompt_version": version(agent),
                },
                most_calls=most,
                seed=params["seed"],
                progress=context.progress,
            )
        )
    if made.out is not None and not made.rows:
        raise made.out
    note = f"{how_many(len(made.rows), 'candidates')} from {how_many(made.calls, 'calls')}"
    if made.short:
        short = how_many(sum(made.short.values()), "rows")
        note += f"; {short} short in {how_many(len(made.short), 'items')}"
        if made.calls >= most < _uncapped(sum(wanted)):
            note += f", since the caps leave this round {how_many(most, 'calls')} to write them"
    if made.out is not None:
        note += f"; {made.out}"
    return StepOutput(
        {"candidates": write_rows(context.scratch / "candidates.jsonl", made.rows)},
        {"candidates": len(made.rows), "calls": made.calls, **_coverage(made.rows)},
        note,
    )


def yields(archive: Sequence[Mapping[str, Any]]) -> dict[Cell, tuple[int, int]]:
    """Verified and made rows of each cell, over all rounds so far."""
    found: dict[Cell, tuple[int, int]] = {}
    for entry in archive:
        for item in entry["tried"]:
            where = cell(dict(item))
            verified, made = found.get(where, (0, 0))
            found[where] = (verified + item.get("verified", 0), made + item.get("made", 0))
    return found


def _most_calls(step: Step, parts: tuple[str, ...], rows: int, context: Context) -> int:
    """What the caps leave to this round's generator: an equal share of the rounds to come, less
    what verifying its rows will take. Decided once, and remembered in the journal: a resumed
    session has spent some of it, and must plan the same calls."""
    params = step.params
    memory = f"{step.id}.plan"
    if known := context.meter.charged(memory):
        return int(known["planned_calls"])
    most = _uncapped(rows)
    verifier = params["checks"]["verifier"] or {}
    each = verifier["samples"] + verifier["judge"] if "lm" in verifier else 0
    share = 1 / (1 + ROWS_PER_CALL * each)
    to_come = params["rounds"] - params["round"] + 1
    for scope, part in (("run", share / to_come), (parts[0], share), (parts[1], 1 / to_come)):
        left = context.meter.left("calls", scope)
        if left is not None:
            most = min(most, max(1, math.floor(left * part)))
    context.meter.reserve(memory, planned_calls=most)
    return most


def _uncapped(rows: int) -> int:
    """The calls that so many rows may take, where no cap speaks."""
    return int(TOP_UP * math.ceil(rows / ROWS_PER_CALL))


def _coverage(rows: Sequence[Row]) -> dict[str, float]:
    """Cells of skill, difficulty and pattern that got a sound row."""
    grid = Counter((*cell(row), row["pattern"]) for row in rows if "fault" not in row)
    return {"grid_cells": len(grid)}
