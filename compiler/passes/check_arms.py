"""Arms are comparable only at equal cost: counted from their steps, and told where they differ."""

from __future__ import annotations

from collections.abc import Sequence

from dagent.compiler.plan import PlannedArm
from dagent.compiler.quantity import shown
from dagent.compiler.spec import place
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.document import Mapping

UNITS = ("rows", "calls", "trainings")


def check_arms(costs: Sequence[PlannedArm], root: Mapping, diagnostics: Diagnostics) -> None:
    """``costs`` begins with the loop's. A comparison at unequal cost may be wanted, so this warns."""
    loop, *others = costs
    for arm in others:
        for unit in UNITS:
            ours, theirs = getattr(loop, unit), getattr(arm, unit)
            if ours != theirs:
                diagnostics.warn(
                    "E524",
                    f"the arm `{arm.name}` may use {_amount(theirs, unit)}, the loop "
                    f"{_amount(ours, unit)}",
                    place(root, ("arms", "arm", arm.name), of_key=True),
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


def _amount(amount: int, unit: str) -> str:
    return f"{amount} trainings" if unit == "trainings" else shown(amount, unit)
