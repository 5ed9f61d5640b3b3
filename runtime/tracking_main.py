"""The tracking process: follows one execution's journal, or catches up all of a folder's.

It ends when its standard input does and nothing is left to mirror, so it outlives the executor
only for as long as that takes.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from dagent.runtime.tracking import RunFolder, executions, follow


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dagent.runtime.tracking_main", description=__doc__)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--execution", help="follow this one; without it, only catch up")
    args = parser.parse_args(argv)
    # The student's training has the first right to the processor.
    os.nice(5)
    catch_up(args.project, but=args.execution)
    if args.execution:
        follow(RunFolder(args.project, args.execution), _end_of_input())
    return 0


def catch_up(project: Path, but: str | None = None) -> None:
    """Mirror what the folder's executions lack, oldest first, until MLflow does not answer."""
    at_once = threading.Event()
    at_once.set()
    for folder in executions(project):
        if folder.execution != but and folder.behind() and follow(folder, at_once).error:
            return


def _end_of_input() -> threading.Event:
    """An event that is set when standard input ends: the executor closed it, or is dead."""
    gone = threading.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        gone.set()

    threading.Thread(target=watch, daemon=True).start()
    return gone


if __name__ == "__main__":
    sys.exit(main())
