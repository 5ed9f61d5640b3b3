"""Where a result was made: what a reviewer asks for beside the plan, and the lock does not hold."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

PATIENCE = 10.0  # seconds


def made_on(project: Path) -> dict[str, str]:
    """``python``, ``machine`` (system, processor, cores) and, in a git repository, ``commit``."""
    cores = os.cpu_count() or 1
    found = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores > 1)}",
    }
    commit = _git(project, "rev-parse", "HEAD")
    if commit:
        # Untracked files do not count: the plan, the lock and the report are among them.
        changed = _git(project, "status", "--porcelain", "--untracked-files=no", ".")
        found["commit"] = f"{commit}, with changes in this folder" if changed else commit
    return found


def _git(project: Path, *words: str) -> str:
    """What git says; nothing where it is missing, slow, or the folder is in no repository."""
    command = ["git", "--no-optional-locks", *words]
    try:
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
