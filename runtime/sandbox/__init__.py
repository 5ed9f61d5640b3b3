"""Where code that a model wrote runs: no network, no files but its own, little of everything.

>>> from dagent.runtime.sandbox import run
>>> run("print(6 * 7)").stdout
b'42\\n'
"""

from dagent.runtime.sandbox.box import Sandbox, run, unsandboxed
from dagent.runtime.sandbox.isolators import (
    ALLOWED,
    BUBBLEWRAP,
    ISOLATORS,
    NONE,
    UNSHARE,
    Isolator,
)
from dagent.runtime.sandbox.limits import Limits, Outcome

__all__ = [
    "ALLOWED",
    "BUBBLEWRAP",
    "ISOLATORS",
    "NONE",
    "UNSHARE",
    "Isolator",
    "Limits",
    "Outcome",
    "Sandbox",
    "run",
    "unsandboxed",
]
