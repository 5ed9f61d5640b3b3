"""Arms differ from the loop, and are comparable: equal cost, counted from their steps."""

from __future__ import annotations

from collections.abc import Sequence

from dagent.compiler.arms import seeds
from dagent.compiler.quantity import shown
from dagent.compiler.spec import place
from dagent.compiler.variants import CheckedArm, planned
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.document import Mapping, Scalar

UNITS = ("rows", "calls", "trainings")


def check_arms(arms: Sequence[CheckedArm], root: Mapping, diagnostics: Diagnostics) -> None:
    """The first arm is the loop. A comparison at unequal cost may be wanted, so that only warns."""
    _check_seed(root, diagnostics)
    loop, *others = arms
    if not others:
        return
    ours = planned(loop)
    for arm in others:
        where = place(root, ("arms", "arm", arm.name), of_key=True)
        if arm.spec == loop.spec:
            diagnostics.error(
                "E523",
                f"the arm `{arm.name}` changes nothing of the spec",
                where,
                "name another `control`, or what to `set`",
            )
        theirs = planned(arm)
        for unit in UNITS:
            wanted, own = getattr(ours, unit), getattr(theirs, unit)
            if wanted != own:
                diagnostics.warn(
                    "E524",
                    f"the arm `{arm.name}` may use {_amount(own, unit)}, the loop "
                    f"{_amount(wanted, unit)}",
                    where,
                    "what it gains or loses may come from that; make them equal, or say so",
                )
    criteria = root.get("criteria")
    stop = criteria.entry("stop") if isinstance(criteria, Mapping) else None
    if stop is not None:
        diagnostics.warn(
            "E525",
            "arms that stop early use less than the others",
            stop.key_span,
            "remove `stop`, so that all arms use their whole budget",
            [Note("the arms are here", place(root, ("arms",), of_key=True))],
        )


def _check_seed(root: Mapping, diagnostics: Diagnostics) -> None:
    given, listed = root.get("seed"), seeds(root)
    if listed and isinstance(given, Scalar) and given.value not in listed:
        diagnostics.warn(
            "E526",
            "`arms.seeds` is given, so `seed` is not read",
            place(root, ("seed",), of_key=True),
            "remove it, or add it to `arms.seeds`",
            [Note("the seeds are here", place(root, ("arms", "seeds"), of_key=True))],
        )


def _amount(amount: int, unit: str) -> str:
    return f"{amount} trainings" if unit == "trainings" else shown(amount, unit)
