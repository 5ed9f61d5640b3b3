"""A round of the strategy ``program``: a language model writes the program that makes its rows.

Every submission trains the student afresh, from the base and on that submission alone. The author
of the next program sees how the student of the last one did on the diagnose half.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dagent.compiler.cost import Range, asked, seconds
from dagent.compiler.engineering import attempt_caps
from dagent.compiler.passes.made import made
from dagent.compiler.plan import Step

if TYPE_CHECKING:
    from dagent.compiler.passes.lower import Lowering

PROGRAM_SECONDS = 60  # that a program may take besides waiting for its calls
DIFFICULTY_ROWS = 200  # of a submission, that the untouched student answers to tell how hard it is


def before_programs(low: Lowering) -> Iterator[Step]:
    """How the untouched student does, which is what the first author is told."""
    if low.spec.engineer.looks:
        yield diagnosed(low, 0, "student/model")


def program_round(low: Lowering, n: int) -> Iterator[Step]:
    r, before, rows = f"r{n}", f"r{n - 1}", low.cost.rows
    yield _author(low, n)
    programs = seconds(low.cost.programs(rows))
    inputs = {"rows": f"{r}.author/candidates", **low.judges()}
    yield made(f"{r}.decontaminate", "decontaminate", low.leaks(), inputs, n, programs)
    params = {
        "round": n,
        "rows": rows,
        "least": _least(rows),
        "sample": DIFFICULTY_ROWS,
        "metric": low.says.metric,
        "answering": low.says.answering,
        "seed": low.seed("submit", n),
    }
    inputs = {
        "rows": f"{r}.decontaminate/rows",
        "kept": "r0.gate/kept",
        "model": "student/model",
        **low.calibrations(),
    }
    taken = (_least(rows), rows)
    some = min(rows, DIFFICULTY_ROWS)
    gpu = low.cost.gpu(low.cost.answer(some))
    answered = asked(low.cost.answer(some), low.judge(some), rows=taken, gpu=gpu)
    yield made(f"{r}.submit", "submit", params, inputs, n, answered)
    yield from low.trained(n, f"{r}.submit/train", taken)
    if low.spec.engineer.looks:
        yield diagnosed(low, n, f"{r}.train/model")
    inputs = {
        "model": f"{r}.train/model",
        "outcome": f"{r}.train/outcome",
        "answers": f"{r}.evaluate/answers",
        "candidates": f"{r}.author/candidates",
        "verified": f"{r}.decontaminate/rows",
        "added": f"{r}.submit/added",
        "curriculum": f"{r}.author/curriculum",
        "champion": f"{before}.gate/champion",
        "champion_answers": f"{before}.gate/answers",
        "archive": f"{before}.gate/archive",
        # Rows do not add up: every round starts from what round 0 kept.
        "kept": "r0.gate/kept",
        "aside": "r0.gate/aside",
    }
    yield low.gate(n, inputs)


def _author(low: Lowering, n: int) -> Step:
    spec, engineer, rows = low.spec, low.spec.engineer, low.cost.rows
    assert engineer.author is not None
    assert engineer.teacher is not None
    params = {
        "round": n,
        "rows": rows,
        "least": _least(rows),
        "setting": engineer.setting,
        "attempts": engineer.attempts,
        "trainings": engineer.trainings,
        "seconds": attempt_caps(spec)["wall"],
        "author": low.says.role(engineer.author, "author"),
        "teacher": low.says.role(engineer.teacher, "teacher"),
        "documents": dict(low.facts.documents),
        **low.says.brief(),
        **low.says.grid,
        "metric": low.says.metric,
        "answering": low.says.answering,
        "training": low.says.training(n),
        "seed": low.seed("author", n),
    }
    inputs = {"examples": "split/diagnose", "model": "student/model", **low.taught_by()}
    inputs |= low.calibrations()
    inputs |= {f"{d.role}.{d.name}": place for d, place in low.handed()}
    if engineer.looks:
        inputs["answers"] = f"r{n - 1}.diagnose/answers"
    if n > 1:
        inputs |= {"log": f"r{n - 1}.author/log", "submitted": f"r{n - 1}.submit/added"}
    use, most = low.cost.engineering.authoring(), engineer.attempts * params["seconds"]
    running = (0.1, engineer.attempts * min(PROGRAM_SECONDS, params["seconds"]))
    use = replace(use, seconds=(min(use.seconds[0], most), min(use.seconds[1], most)))
    estimate = asked(running, use, rows=(0, rows), gpu=_tried(low, n))
    return made(f"r{n}.author", "author", params, inputs, n, estimate)


def _tried(low: Lowering, n: int) -> Range | None:
    """Accelerators that programs hold while they run: each may train the student and ask it."""
    cost, engineer = low.cost, low.spec.engineer
    if not engineer.looks:
        return None
    once = cost.train(n)[1] + cost.answer(low.spec.budget.rows_per_round)[1]
    most = min(engineer.trainings * once, attempt_caps(low.spec)["wall"])
    return cost.gpu((0, engineer.attempts * most), cost.devices)


def diagnosed(low: Lowering, n: int, model: str) -> Step:
    """A model's answers on the diagnose half; nobody names what is wrong with them."""
    dev = low.spec.role("dev")
    rows = dev.sample or low.facts.data[dev.name].rows
    rows -= round(rows * low.spec.criteria.select)
    params = {"metric": low.says.metric, "answering": low.says.answering, **low.says.grid}
    inputs = {"rows": "split/diagnose", "model": model, **low.calibrations()}
    gpu = low.cost.gpu(low.cost.answer(rows))
    estimate = asked(low.cost.answer(rows), low.judge(rows), rows=(rows, rows), gpu=gpu)
    return made(f"r{n}.diagnose", "diagnose", params, inputs, n, estimate)


def _least(rows: int) -> int:
    """Fewer valid rows than half of those wanted are a failed attempt."""
    return math.ceil(rows / 2)
