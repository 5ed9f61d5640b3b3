"""``dagent report``: one HTML file that says what an execution did and how sure its result is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dagent.files import write


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="FOLDER")
    parser.add_argument(
        "--execution", metavar="ID", help="the first letters of its id; default: the latest"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="default: report.html in the folder; - prints it",
    )


def run(args: argparse.Namespace) -> int:
    from dagent.runtime.execution import is_running
    from dagent.runtime.history import events_of
    from dagent.runtime.report.page import render

    events = events_of(args.folder, args.execution)
    page = render(events, args.folder, alive=is_running(args.folder))
    output: Path = args.output or args.folder / "report.html"
    if str(output) == "-":
        sys.stdout.write(page)
        return 0
    write(output, page)
    print(f"{output} written; open it in any browser")
    return 0
