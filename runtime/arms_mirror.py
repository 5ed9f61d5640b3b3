"""Arms in MLflow: a run for the execution, below it a run for each arm and seed with its rounds.

Every variant is mirrored as if it had been executed alone, from its part of the journal; the run
of the execution has what compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dagent.runtime import projection as show
from dagent.runtime.lanes import of_variant
from dagent.runtime.mirror import PARENT, Mirror, Target
from dagent.runtime.projection import Event, Table

if TYPE_CHECKING:
    from mlflow import MlflowClient


class ArmsMirror(Mirror):
    """The run of the whole execution. ``runs`` are the execution's own, without the variants'."""

    def __init__(
        self, client: MlflowClient, target: Target, name: str, variants: Sequence[str]
    ) -> None:
        super().__init__(client, target, name)
        self.name = name
        self.variants = variants
        self._lanes: dict[str, Mirror] = {}

    def apply(self, past: Sequence[Event]) -> None:
        event = past[-1]
        if event["event"] in ("execution_started", "execution_finished", "execution_stopped"):
            super().apply(past)
        if event["event"] == "step_finished" and event["kind"] == "data":
            self._inputs(self._run(PARENT, past), event, self._outputs(event))
        for variant in event.get("variants", self.variants):
            self._lane(variant, past).apply(of_variant(past, variant))

    def died(self, past: Sequence[Event]) -> None:
        super().died(past)
        for variant in self.variants:
            self._lane(variant, past).died(of_variant(past, variant))

    def _lane(self, variant: str, past: Sequence[Event]) -> Mirror:
        if variant not in self._lanes:
            under = self._run(PARENT, past)
            self._lanes[variant] = Mirror(self.client, self.target, self.name, variant, under)
        return self._lanes[variant]

    def _execution_finished(self, event: Event, past: Sequence[Event]) -> None:
        """Means over the seeds, and how far the loop is ahead; the variants have the rest."""
        parent = self._run(PARENT, past)
        found = event["comparison"]
        self._metrics(parent, event, 0, _comparison_metrics(found))
        self._files(parent, {"tables/arms.json": _table(found)})
        self._close(past, "FINISHED", event["state"])


def _comparison_metrics(found: Any) -> dict[str, float]:
    values = {"test/base": found["base"]}
    for arm in found["arms"]:
        values[f"test/{arm['arm']}"] = arm["test"]
        values[f"gain_pp/{arm['arm']}"] = arm["gain"]["pp"]
    for other in found["loop_minus"]:
        values[f"loop_minus_pp/{other['arm']}"] = other["pp"]
        values[f"loop_minus_p_holm/{other['arm']}"] = other["p_holm"]
    for one in found.get("beside", ()):
        values[f"end/{one['name']}/base"] = one["arms"][0]["base"]
        for arm in one["arms"]:
            values[f"end/{one['name']}/{arm['arm']}"] = arm["champion"]
            values[f"end/{one['name']}/gain_pp/{arm['arm']}"] = arm["pp"]
    return {show.safe_name(name): float(value) for name, value in values.items()}


def _table(found: Any) -> Table:
    ahead = {other["arm"]: other for other in found["loop_minus"]}
    rows = []
    for arm in found["arms"]:
        other = ahead.get(arm["arm"], {"pp": None, "ci": [None, None], "p_holm": None})
        rows.append(
            (
                arm["arm"],
                arm["test"],
                arm["gain"]["pp"],
                *arm["gain"]["ci"],
                other["pp"],
                *other["ci"],
                other["p_holm"],
            )
        )
    return Table(
        (
            "arm",
            found["metric"],
            "gain pp",
            "gain low",
            "gain high",
            "loop ahead pp",
            "ahead low",
            "ahead high",
            "two-sided p (Holm)",
        ),
        tuple(rows),
    )
