"""What a compilation takes from outside the spec. Injected, so that compiling stays pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# The built-in students stand beside this folder, in a checkout as in a wheel. They are read as
# data: the compiler imports nothing of the runtime.
STUDENTS = Path(__file__).resolve().parent.parent / "runtime" / "students"


@dataclass(frozen=True)
class Settings:
    """``set`` are the ``NAME=VALUE`` texts of ``--set``; ``env`` the environment to read."""

    set: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    students: Path = STUDENTS
