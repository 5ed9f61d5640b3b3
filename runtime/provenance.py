"""Where a result was made: what a reviewer asks for beside the plan, and the lock does not hold."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import dagent
from dagent.compiler.lock import PACKAGES, installed

# Those of the lock, and others that answers, trainings or intervals may hang on.
RECORDED = (*PACKAGES, "bitsandbytes", "deepspeed", "dspy", "liger_kernel", "statsmodels", "vllm")
PATIENCE = 10.0  # seconds


def made_on(project: Path) -> dict[str, str]:
    """``python``, ``machine`` (system, processor, cores) and, in a git repository, ``commit``;
    ``dagent`` is the commit of dagent itself where it runs from its repository."""
    cores = os.cpu_count() or 1
    found = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {cores} core{'s' * (cores > 1)}",
    }
    if commit := _commit(project):
        found["commit"] = commit
    itself = Path(dagent.__file__).parent
    if _git(itself, "ls-files", "__init__.py"):  # else the repository around it is another's
        found["dagent"] = _commit(itself.parent)
    return found


def packages() -> dict[str, str]:
    """Versions of the packages that a result may hang on, as they are installed here."""
    return installed(RECORDED)


def _commit(folder: Path) -> str:
    commit = _git(folder, "rev-parse", "HEAD")
    # Untracked files do not count: the plan, the lock and the report are among them.
    changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    return f"{commit}, with changes in this folder" if changed else commit


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
