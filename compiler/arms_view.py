"""The arms of a plan in words: what each may use, what it changes, and what sharing saved."""

from __future__ import annotations

from dagent.compiler.plan import Plan, PlannedArm
from dagent.compiler.quantity import shown

UNITS = ("rows", "calls", "trainings")
HEAD = ("arm", "rows", "calls", "trainings", "rows trained on", "differs from the loop by")


def lines(plan: Plan) -> list[str]:
    """A table of the arms and a line that says whether they cost the same; none without arms."""
    if not plan.variants:
        return []
    seeds = sorted({variant.seed for variant in plan.variants})
    told = ", ".join(str(seed) for seed in seeds)
    planned = len(plan.steps) + plan.merged
    table = [HEAD, *(_row(arm) for arm in plan.arms)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    return [
        f"arms: {len(plan.arms)} over the seeds {told}; each may use",
        *(
            "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
            for row in table
        ),
        equality(plan.arms),
        f"sharing: {plan.merged:,} of {planned:,} steps are not done twice",
    ]


def equality(arms: tuple[PlannedArm, ...]) -> str:
    """What was counted from the arms' own steps is equal, or where it is not."""
    loop = arms[0]
    differ = [
        f"{unit} of {arm.name} ({getattr(arm, unit):,} against {getattr(loop, unit):,})"
        for unit in UNITS
        for arm in arms[1:]
        if getattr(arm, unit) != getattr(loop, unit)
    ]
    if differ:
        return "not equal: " + "; ".join(differ)
    return "equal for all arms: rows, calls and trainings"


def _row(arm: PlannedArm) -> tuple[str, ...]:
    changes = ", ".join(f"{k} = {_value(v)}" for k, v in arm.settings.items())
    return (
        arm.name,
        shown(arm.rows, "rows").removesuffix(" rows"),
        shown(arm.calls, "calls").removesuffix(" calls"),
        str(arm.trainings),
        shown(arm.passes, "rows").removesuffix(" rows"),
        changes,
    )


def _value(value: object) -> str:
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
