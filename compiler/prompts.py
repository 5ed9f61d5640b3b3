"""The versions and lengths of the agents' prompts, from a table that the agents themselves wrote.

``python -m dagent.runtime.agents.versions`` writes it; a test holds that it is current. The
compiler cannot ask the agents: importing DSPy takes seconds.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from dagent.compiler.spec import Spec

BRINGING = ("generator", "refiner")  # who writes what the answers of a row are judged by
TABLE = Path(__file__).parent / "prompts.json"


def prompt_of(role: str, brings: str = "") -> str:
    """The name of a role's prompt in the table; that of a generator or refiner for a grader that
    needs more of a row than its answer is another.

    >>> prompt_of("generator", "code")
    'generator.code'
    """
    return f"{role}.{brings}" if brings else role


def version(role: str) -> str:
    """The first 12 hex digits of the digest of a role's signatures."""
    found: str = _table()[role]["version"]
    return found


def characters(role: str, predictor: str) -> int:
    """How long a prompt is before its inputs are filled in."""
    found: int = _table()[role]["characters"][predictor]
    return found


def prompts(spec: Spec) -> dict[str, str]:
    """Of every role that a language model has, a metric's judge included."""
    roles = ("diagnoser", "planner", "generator", "verifier", "refiner", "author")
    having = {name: getattr(spec.engineer, name) for name in roles}
    found = {
        name: version(prompt_of(name, spec.brings if name in BRINGING else ""))
        for name, role in having.items()
        if role and role.lm
    }
    return found | ({"judge": version("judge")} if spec.criteria.judges else {})


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
