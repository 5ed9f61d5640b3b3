"""What was executed: the plan of each execution, and what its steps took."""

from __future__ import annotations

from pathlib import Path

from dagent.compiler.plan import Plan, dumps
from dagent.runtime.status import execution_id, plan_path
from dagent.runtime.store import write_atomically


def keep_plan(plan: Plan, project: Path) -> None:
    """Keep the plan with its execution, so that later ones can be compared with it."""
    path = plan_path(project, execution_id(plan.id))
    if not path.exists():
        write_atomically(path, dumps(plan))
