"""The device that the spec names: known, and large enough for what is trained on it."""

from __future__ import annotations

from dagent.compiler import memory
from dagent.compiler.blocks import ADAPTERS
from dagent.compiler.cost import Cost
from dagent.compiler.spec import Spec
from dagent.compiler.totals import span
from dagent.dsl.diagnostics import Diagnostics, Note


def check_device(spec: Spec, cost: Cost | None, diagnostics: Diagnostics) -> None:
    """``cost`` is None where the spec is too faulty to estimate anything.

    Refused is what cannot fit even by the low estimate; the high one is for ``--budget-check``.
    """
    if spec.student.device is None:
        return
    place = spec.at("student", "device")
    named = memory.device(spec.student.device)
    if named is None:
        diagnostics.error(
            "E717",
            f"`{spec.student.device}` names no device",
            place,
            "write how many and how large, such as `1x24GB`",
        )
        return
    if cost is None:
        return
    count, limit = named
    for index, stage in enumerate(spec.train):
        found = cost.memory(stage)
        if found is None or found.peak[0] <= limit:
            continue
        ways = memory.remedies(found.shape, found.training, ADAPTERS, limit)
        remedy = "set " + ", ".join(ways) if ways else "choose a smaller model or a larger device"
        each = "the device has" if count == 1 else f"each of the {count} devices has"
        diagnostics.error(
            "E716",
            f"training `{spec.student.model}` takes {span(found.peak, 'memory')}, and {each} "
            f"{limit / 1e9:.3g} GB",
            place,
            remedy,
            [Note("of this stage", spec.key("train", index, "stage"))] if index else (),
        )
