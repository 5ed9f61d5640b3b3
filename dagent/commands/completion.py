"""``dagent completion``: what a shell runs to complete verbs and options on TAB."""

from __future__ import annotations

import argparse

from dagent.dsl.diagnostics import Diagnostic, Failed

SHELLS = ("bash", "zsh", "fish")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="put the output into the shell's start file")


def run(args: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError:
        message = "completion in the shell needs the package `argcomplete`"
        remedy = "pip install 'dagent[completion]'"
        raise Failed(Diagnostic("E818", message, suggestion=remedy)) from None
    print(shellcode(["dagent"], shell=args.shell))
    return 0
