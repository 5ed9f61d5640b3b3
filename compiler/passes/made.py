"""A step as ``lower`` makes it: its kind's version, and an estimate where none is known better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagent.compiler.cost import seconds
from dagent.compiler.kinds import KINDS
from dagent.compiler.plan import Estimate, Step


def made(
    id: str,
    kind: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, str] | None = None,
    round: int | None = None,
    estimate: Estimate | None = None,
    after: tuple[str, ...] = (),
) -> Step:
    return Step(
        id,
        kind,
        KINDS[kind].version,
        params,
        inputs or {},
        after,
        round,
        estimate=estimate or seconds((0.01, 1.0)),
    )
