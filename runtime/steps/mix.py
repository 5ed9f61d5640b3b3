"""``mix``: chooses this round's rows among the clean candidates and adds them to those kept.

The curriculum says how many rows each cell gets. Within a cell, rows that the current student gets
wrong come first, up to the share the spec asks for: were they taken from anywhere, a planner that
turned to failures already would have them counted twice.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.judging import judged, scores
from dagent.runtime.rows import Cell, Row, cell, read_json, read_rows, write_rows
from dagent.runtime.step import Artifact, Context, StepOutput

kind = "mix"
version = 3


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
    planned: Counter[Cell] = Counter()
    for item in read_json(inputs["curriculum"].path)["items"]:
        planned[cell(item)] += item["count"]
    added = choose(
        candidates,
        wrong,
        planned,
        prefer_wrong=params["prefer_wrong"],
        cap=params["cap"],
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
    planned: Mapping[Cell, int],
    *,
    prefer_wrong: float,
    cap: float,
    seed: int,
) -> list[Row]:
    """At most as many candidates as are ``planned`` in all, in a seeded random order.

    A cell gives the rows planned for it: wrong ones up to their share, then right ones, then
    whatever is left. What a cell lacks others give, each up to ``cap`` of the rows unless there is
    nothing else. Of the patterns of a cell comes the one that has fewest so far.
    """
    rows = sum(planned.values())
    cap = max(cap, 1 / max(1, len(planned)))
    order = list(range(len(candidates)))
    random.Random(seed).shuffle(order)
    hard = [i for i in order if wrong[i]]
    easy = [i for i in order if not wrong[i]]
    chosen: set[int] = set()
    taken: Counter[Cell] = Counter()
    shared: Counter[tuple[Cell, str]] = Counter()

    def take(indices: Iterable[int], most: Callable[[Cell], float]) -> None:
        left = [i for i in indices if i not in chosen]
        waiting: defaultdict[Cell, dict[str, deque[tuple[int, int]]]] = defaultdict(dict)
        for place, i in enumerate(left):
            pattern = candidates[i].get("pattern", "")
            waiting[cell(candidates[i])].setdefault(pattern, deque()).append((place, i))
        for where in (cell(candidates[i]) for i in left):
            if len(chosen) >= rows:
                return
            if taken[where] < most(where):
                queues = {p: queue for p, queue in waiting[where].items() if queue}
                pattern = min(queues, key=lambda p: (shared[where, p], queues[p][0]))
                _, i = queues[pattern].popleft()
                chosen.add(i)
                taken[where] += 1
                shared[where, pattern] += 1

    take(hard, lambda c: prefer_wrong * planned.get(c, 0))
    for indices in (easy, hard):
        take(indices, lambda c: planned.get(c, 0))
    take(order, lambda c: cap * rows)
    take(order, lambda c: rows)
    return [candidates[i] for i in order if i in chosen]
