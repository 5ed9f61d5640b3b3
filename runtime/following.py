"""On the other machines of a training on several: joins each training that the first one starts.

    python -m dagent.runtime.following accelerate-1.yaml /shared/project

The config is that of the spec with this machine's own `machine_rank`; the project's folder has the
same name on all machines. It follows until it is interrupted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from dagent.runtime.launching import REQUEST, command, environment

SECONDS = 1.0  # between two looks for a request


def requests(project: Path) -> Iterator[Path]:
    """Each request once, as it appears."""
    seen: set[tuple[str, float]] = set()
    while True:
        for file in sorted(project.glob(f".dagent/store/unfinished/*/{REQUEST}")):
            try:
                known = (str(file), file.stat().st_mtime)
            except FileNotFoundError:
                continue
            if known not in seen:
                seen.add(known)
                yield file
        time.sleep(SECONDS)


def main() -> None:
    config, project = (Path(word).absolute() for word in sys.argv[1:])
    for file in requests(project):
        process = subprocess.Popen(
            [*command(config), str(file)],
            cwd=project,
            env=environment(config),
            stdin=subprocess.PIPE,  # it ends when this process does
        )
        process.wait()  # what failed is reported where the training was started


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
