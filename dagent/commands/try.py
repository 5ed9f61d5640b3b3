"""``dagent try``: the base and the champion answer the same prompts, side by side."""

from __future__ import annotations

import argparse
import json
import sys
import unicodedata
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
        help="- takes all of standard input for one; without it, each of its lines is one",
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
            if told := too_long(found, prompt):
                print(f"warning: {told}", file=sys.stderr, flush=True)
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


def too_long(found: Outcome, prompt: str) -> str | None:
    """What to say of a prompt that, with an answer, the student's context does not hold. What a
    chat template adds is not counted."""
    from dagent.compiler.context import context, count_tokens

    holds, answer = context(found.base), found.answering["max_new_tokens"]
    if holds is None or len(prompt.encode()) + answer <= holds:  # no token is shorter than a byte
        return None
    asked = count_tokens(found.base, prompt)
    if asked is None or asked + answer <= holds:
        return None
    return (
        f"the prompt takes {asked:,} tokens and an answer up to {answer:,}, and the student's "
        f"context holds {holds:,}: the answer ends there"
    )


def shown(answers: Mapping[str, str], number: int) -> str:
    """Each answer after whose it is; one of several lines stands below, indented."""
    names = {
        "base": "base",
        "champion": f"champion (round {number})" if number else "champion (the base)",
    }
    width = max(len(names[end]) for end in answers)
    lines = []
    for end, answer in answers.items():
        first, *rest = [_plain(line) for line in (answer or "(nothing)").splitlines()] or [""]
        lines.append(f"{names[end]:<{width}}  {first}")
        lines += [" " * (width + 2) + line for line in rest]
    return "\n".join(lines)


def _plain(line: str) -> str:
    """Without what steers a terminal: a model may answer anything."""
    return "".join(
        c if c == "\t" or unicodedata.category(c) != "Cc" else f"\\x{ord(c):02x}" for c in line
    )


def _prompts(given: str | None) -> Iterator[str]:
    """The one given; all of standard input for ``-``; else each line, typed or piped."""
    if given == "-":
        yield sys.stdin.read().rstrip("\n")
    elif given is not None:
        yield given
    else:
        for line in _typed() if sys.stdin.isatty() else sys.stdin:
            if line.strip():
                yield line.rstrip("\n").replace("\\n", "\n")


def _typed() -> Iterator[str]:
    print("A prompt a line; \\n is a new line; Ctrl-D ends.", file=sys.stderr)
    while True:
        try:
            yield input("› ")
        except EOFError:
            print()
            return
