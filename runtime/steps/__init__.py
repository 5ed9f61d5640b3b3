"""One module per kind of step; the module is the runner (``runtime.step.StepRunner``)."""

from __future__ import annotations

import importlib
from typing import cast

from dagent.compiler.kinds import KINDS
from dagent.runtime.step import StepRunner


def runner(kind: str) -> StepRunner:
    """The runner of a kind.

    Raises:
        KeyError: when the compiler knows no such kind.
    """
    return cast(StepRunner, importlib.import_module(f"{__name__}.{KINDS[kind].name}"))
