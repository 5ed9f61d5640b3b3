"""What there is before the rounds: data sets, models, judges and prompts made better."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagent.compiler.cost import asked, seconds
from dagent.compiler.digests import derived_seed
from dagent.compiler.passes.lower_program import diagnosed
from dagent.compiler.passes.made import made
from dagent.compiler.passes.parameters import at_once
from dagent.compiler.plan import Step
from dagent.compiler.rowchecks import must_not_share
from dagent.compiler.spec import DataSet
from dagent.compiler.stages import TEACHER

if TYPE_CHECKING:
    from dagent.compiler.passes.lower import Lowering


VERIFIED = ("generator", "refiner")  # roles whose rows are verified to score them


def sources(low: Lowering) -> Iterator[Step]:
    spec = low.spec
    for data in _in_turn(low):
        # Without a sample nothing is drawn, and the step is the same for every seed.
        drawn = None if data.sample is None else derived_seed(spec.seed, f"data.{data.name}")
        rows = data.sample or low.facts.data[data.name].rows
        params = {
            "name": data.name,
            "role": data.role,
            **low.says.source(data),
            "columns": dict(data.columns),
            "where": data.where and data.where.text,
            "sample": data.sample,
            "seed": drawn,
            **low.says.carried(data),
        }
        yield made(
            f"data.{data.name}",
            "data",
            params,
            {f"against.{d.name}": f"data.{d.name}/rows" for d in _compared(low, data)},
            estimate=seconds(low.cost.programs(rows), rows=(rows, rows)),
        )
    for data in spec.data:
        if data.role == "seed":
            inputs = {"rows": f"data.{data.name}/rows", **low.judges()}
            yield made(f"seed.{data.name}", "decontaminate", low.leaks(), inputs)
    yield made(
        "split",
        "split",
        {"seed": derived_seed(spec.seed, "split"), "select": spec.criteria.select},
        {"rows": f"data.{spec.role('dev').name}/rows"},
    )
    params = {
        "model": spec.student.model,
        "revision": spec.student.revision,
        "sha256": low.facts.student.sha256,
        **low.says.trusted,
    }
    yield made("student", "student", params)
    for judge in spec.criteria.judges:
        metric = next(m for m in low.says.metrics if m["name"] == judge.name)
        estimate = asked((0.01, 1.0), low.cost.engineering.calibrate_judge(judge))
        inputs = {"labelled": "split/diagnose"}
        id = f"calibrate.{judge.name}"
        yield made(id, "calibrate", {"metric": metric}, inputs, None, estimate)
    for number, teacher in low.facts.teachers.items():
        name, revision = (spec.train[number - 1].args.get(key) for key in TEACHER)
        params = {"model": name, "revision": revision, "sha256": teacher.sha256}
        yield made(f"teacher.{number}", "student", params)


def optimisations(low: Lowering) -> Iterator[Step]:
    """Programs of the agents, made better before the first round; every round uses them."""
    for name, how in sorted(low.spec.engineer.optimise.items()):
        params = {
            "role": name,
            "optimiser": how.optimiser,
            "calls": how.calls,
            "holdout": how.holdout,
            "agent": low.says.role(getattr(low.spec.engineer, name), name),
            **(low.says.checks() if name in VERIFIED else {"metric": low.says.metric}),
            **low.says.brief(),
            **low.says.grid,
            "rows": low.cost.rows if name == "planner" else None,
            "seed": derived_seed(low.spec.seed, f"optimise.{name}"),
        }
        inputs = {"labelled": "split/diagnose"}
        if name == "generator":
            inputs |= low.grounds()
        if name == "diagnoser":
            yield diagnosed(low, 0, "student/model")
            inputs |= low.untouched()
        estimate = asked((0.1, 10.0), low.cost.engineering.optimise(name, how))
        yield made(f"optimise.{name}", "optimise", at_once(params), inputs, None, estimate)


def calibration(low: Lowering) -> Iterator[Step]:
    """A judge that cannot tell right from wrong is found out before anything is generated."""
    if low.calibrated():
        inputs = {"labelled": "split/diagnose", **low.optimised("verifier")}
        estimate = asked((0.01, 1.0), low.cost.engineering.calibrate())
        yield made("calibrate", "calibrate", low.says.checks(), inputs, None, estimate)


def _in_turn(low: Lowering) -> list[DataSet]:
    """The sets whose rows are known come first: the others are compared with them."""
    return sorted(low.spec.data, key=lambda d: (not low.facts.data[d.name].known, d.name))


def _compared(low: Lowering, data: DataSet) -> list[DataSet]:
    """Earlier sets that must share no prompt with one whose rows are not known yet."""
    if low.facts.data[data.name].known:
        return []
    before = _in_turn(low)
    return [
        other
        for other in before[: before.index(data)]
        if must_not_share(data.role, other.role) or must_not_share(other.role, data.role)
    ]
