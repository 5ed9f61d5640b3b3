"""``dagent try``: the base and the champion answer the same prompts, side by side."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagent.runtime.outcome import Outcome
    from dagent.runtime.worker import Worker

ENDS = ("base", "champion")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "prompt",
        nargs="?",
        metavar="PROMPT",
        help="- reads it from standard input; without one, a prompt a line until Ctrl-D",
    )
    parser.add_argument(
        "--execution", metavar="ID", help="the first letters of its id; default: the latest"
    )
    parser.add_argument("--only", choices=ENDS, help="ask one of them alone")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each prompt")


def run(args: argparse.Namespace) -> int:
    from dagent.runtime.history import events_of
    from dagent.runtime.outcome import outcome
    from dagent.runtime.worker import ProcessWorker

    project = Path()
    found = outcome(events_of(project, args.execution), project)
    ends = (args.only,) if args.only else ENDS
    with ExitStack() as stack:
        worker = ProcessWorker(project / ".dagent/try.log")
        stack.callback(worker.stop)
        worker.start()
        for prompt in _prompts(args.prompt):
            answers = ask(worker, found, prompt, ends)
            if args.json:
                print(json.dumps({"prompt": prompt, **answers}, ensure_ascii=False), flush=True)
            else:
                print(shown(answers, found.round), flush=True)
    return 0


def ask(worker: Worker, found: Outcome, prompt: str, ends: Sequence[str]) -> dict[str, str]:
    """Answers by end, with the template and the settings that the spec evaluates with."""
    models = {"base": found.base, "champion": found.champion}
    return {
        end: worker.call("answer", model=str(models[end]), prompts=[prompt], **found.answering)[0]
        for end in ends
    }


def shown(answers: Mapping[str, str], number: int) -> str:
    """Each answer after whose it is; one of several lines stands below, indented."""
    names = {
        "base": "base",
        "champion": f"champion (round {number})" if number else "champion (the base)",
    }
    width = max(len(names[end]) for end in answers)
    lines = []
    for end, answer in answers.items():
        first, *rest = (answer or "(nothing)").splitlines()
        lines.append(f"{names[end]:<{width}}  {first}")
        lines += [" " * (width + 2) + line for line in rest]
    return "\n".join(lines)


def _prompts(given: str | None) -> Iterator[str]:
    """The one given; all of standard input for ``-`` or a pipe; else what a person types."""
    if given not in (None, "-"):
        yield str(given)
    elif given == "-" or not sys.stdin.isatty():
        yield sys.stdin.read().rstrip("\n")
    else:
        print("A prompt a line; \\n is a new line; Ctrl-D ends.", file=sys.stderr)
        while True:
            try:
                line = input("› ").replace("\\n", "\n")
            except EOFError:
                print()
                return
            if line.strip():
                yield line
