"""What this machine has of what some plans need; asked before anything runs, and without torch."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator

from dagent.dsl.diagnostics import Diagnostic


def needs_gpu(code: str, what: str, package: str, instead: str) -> Iterator[Diagnostic]:
    """A finding with ``code`` where there is no CUDA GPU, or not the package that ``what`` needs;
    ``instead`` is what to write where they cannot be had."""
    lacks = [] if _has_gpu() else ["a CUDA GPU"]
    if importlib.util.find_spec(package) is None:
        lacks.append(f"the package `{package}`")
    if lacks:
        yield Diagnostic(
            code,
            f"`{what}` needs {' and '.join(lacks)}, which this machine lacks",
            suggestion=f"write `{instead}` and compile again, or run the plan where they are",
        )


def _has_gpu() -> bool:
    """As CUDA's driver says; to ask torch would cost seconds."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int()
    return not driver.cuInit(0) and not driver.cuDeviceGetCount(ctypes.byref(count)) and bool(count)
