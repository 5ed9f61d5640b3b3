"""The command line: picks the verb, imports only its module, turns findings into exit codes.

Exit codes: 0 fine, 1 the user's spec or goal falls short, 2 the tool failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from dagent import __version__
from dagent.dsl.diagnostics import Refused

# Verb -> what it does. `dagent VERB` imports `dagent.commands.VERB` and nothing else, so that
# `check` starts without what `execute` needs. Each module has `arguments(parser)` and `run(args)`.
VERBS = {
    "init": "start a project from a template",
    "check": "find everything that is wrong with a spec",
    "fmt": "write a spec in the one canonical form, or in the other syntax",
    "lsp": "answer editors: errors as you type, completion, definitions, formatting",
    "explain": "say what a diagnostic's code means and how to mend it",
    "compile": "turn the spec into a plan: dagent.plan.json and dagent.lock",
    "show": "print a plan for people",
    "graph": "draw a plan",
    "diff": "say what a change of the spec means for the plan, step by step",
    "lock": "say what moved since the plan was compiled",
    "rehearse": "walk a plan against stand-ins, to find what would break before money is spent",
    "execute": "run a plan, or continue it where it stopped",
    "status": "say how the latest execution stands",
    "report": "write one HTML file on an execution: what improved, how sure it is, at what cost",
    "export": "lay out the champion and its rows for transformers, datasets and a hub",
    "try": "ask the base and the champion the same question, side by side",
    "ui": "open the MLflow page on this folder's runs",
    "completion": "print what makes a shell complete verbs and options",
}


def _parser(verb: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dagent",
        description="Specialise a language model with data that agents engineer.",
        epilog="The main path: dagent compile && dagent execute",
    )
    parser.add_argument("--version", action="version", version=f"dagent {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, says in VERBS.items():
        sub = verbs.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        sub.add_argument("--debug", action="store_true", help="show tracebacks")
        sub.add_argument("--color", choices=("auto", "always", "never"), help="default: auto")
        if name == verb:
            importlib.import_module(f"dagent.commands.{name}").arguments(sub)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. No traceback leaves here without --debug."""
    if "_ARGCOMPLETE" in os.environ:
        return _complete()
    argv = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in argv if not word.startswith("-")), None)
    parser = _parser(verb)
    args = parser.parse_args(argv)
    if not args.verb:
        parser.print_help()
        return 0
    _colour(args.color)
    try:
        return int(importlib.import_module(f"dagent.commands.{args.verb}").run(args) or 0)
    except KeyboardInterrupt:
        if args.debug:
            raise
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the terminal wrote ^C on this line
        print("interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`dagent show | head`): nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Refused as refused:
        if args.debug and refused.exit_code == 2:
            raise
        from dagent.dsl.render import report

        report(refused.diagnostics, getattr(args, "format", "full"))
        return refused.exit_code
    except Exception as error:
        if args.debug:
            raise
        from dagent.dsl.render import report
        from dagent.dsl.unexpected import diagnose

        report([diagnose(error)], getattr(args, "format", "full"))
        return 2


def _complete() -> int:
    """Answer a shell that asks on TAB; `dagent completion` printed what asks."""
    import argcomplete

    words = os.environ.get("COMP_LINE", "").split()[1:]
    argcomplete.autocomplete(_parser(next((word for word in words if word in VERBS), None)))
    return 0  # not reached: argcomplete ends the process


def _colour(choice: str | None) -> None:
    """Put into the environment, so that what other packages and processes print holds to it."""
    if choice in ("always", "never"):
        for name in ("NO_COLOR", "FORCE_COLOR"):
            os.environ.pop(name, None)
        os.environ["FORCE_COLOR" if choice == "always" else "NO_COLOR"] = "1"
