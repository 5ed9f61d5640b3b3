"""``mix``: chooses this round's rows among the clean candidates and adds them to those kept.

Rows that the current student gets wrong come first, up to the share the spec asks for; a floor
and a cap per cell keep a round from chasing one failure and forgetting the rest.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.judging import judged, scores
from dagent.runtime.rows import Cell, Row, cell, read_json, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "mix"
version = 2


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    return ()


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    params = step.params
    candidates = read_rows(inputs["rows"].path)
    kept = read_rows(inputs["kept"].path) if params["accumulate"] else []
    wrong = [False] * len(candidates)
    if params["prefer_wrong"] > 0 and len(candidates) > params["rows"]:
        metric = params["metric"]
        answered = judged(
            candidates, inputs["model"], params["answering"], [metric], step, inputs, context
        )
        wrong = [s < 1 for s in scores(answered, metric["name"])]
    items = read_json(inputs["curriculum"].path)["items"]
    added = choose(
        candidates,
        wrong,
        rows=params["rows"],
        prefer_wrong=params["prefer_wrong"],
        floor=params["floor"],
        cap=max(params["cap"], 1 / len(items)),
        seed=params["seed"],
    )
    context.meter.reserve(step.id, (f"round:{params['round']}",), rows=len(added))
    hard = Counter(r["id"] for r, w in zip(candidates, wrong, strict=True) if w)
    chosen_hard = sum(r["id"] in hard for r in added)
    return StepOutput(
        {
            "added": write_rows(context.scratch / "added.jsonl", added),
            "train": write_rows(context.scratch / "train.jsonl", [*kept, *added]),
        },
        {"added": len(added), "train": len(kept) + len(added), "wrong": chosen_hard},
        f"{how_many(len(added), 'rows')} added, {chosen_hard} of them wrong so far; "
        f"{len(kept) + len(added)} in all",
    )


def choose(
    candidates: Sequence[Row],
    wrong: Sequence[bool],
    *,
    rows: int,
    prefer_wrong: float,
    floor: float,
    cap: float,
    seed: int,
) -> list[Row]:
    """At most ``rows`` candidates: each cell's floor first, then wrong ones up to their share,
    then right ones, then whatever is left; a cell takes at most ``cap`` of the rows unless there
    is nothing else, and of its patterns the one that has fewest so far. In a seeded random order.
    """
    order = list(range(len(candidates)))
    random.Random(seed).shuffle(order)
    hard = [i for i in order if wrong[i]]
    easy = [i for i in order if not wrong[i]]
    chosen: set[int] = set()
    taken: Counter[Cell] = Counter()
    shared: Counter[tuple[Cell, str]] = Counter()

    def part(i: int) -> tuple[Cell, str]:
        return cell(candidates[i]), candidates[i].get("pattern", "")

    def take(indices: Iterable[int], most: int, per_cell: float) -> None:
        left = [i for i in indices if i not in chosen]
        waiting: defaultdict[Cell, dict[str, deque[tuple[int, int]]]] = defaultdict(dict)
        for place, i in enumerate(left):
            where, pattern = part(i)
            waiting[where].setdefault(pattern, deque()).append((place, i))
        for where in (cell(candidates[i]) for i in left):
            if len(chosen) >= most:
                return
            if taken[where] < per_cell:
                queues = {p: queue for p, queue in waiting[where].items() if queue}
                pattern = min(queues, key=lambda p: (shared[where, p], queues[p][0]))
                _, i = queues[pattern].popleft()
                chosen.add(i)
                taken[where] += 1
                shared[where, pattern] += 1

    take(hard, rows, floor * rows)
    take(easy, rows, floor * rows)
    more = max(0, round(prefer_wrong * rows) - sum(wrong[i] for i in chosen))
    take(hard, min(rows, len(chosen) + more), cap * rows)
    take(easy, rows, cap * rows)
    take(order, rows, cap * rows)
    take(order, rows, rows)
    return [candidates[i] for i in order if i in chosen]
