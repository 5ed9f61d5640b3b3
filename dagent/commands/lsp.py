"""``dagent lsp``: the language server, for editors to start. Speaks over stdin and stdout."""

from __future__ import annotations

import argparse
import logging

from dagent.dsl.diagnostics import Diagnostic, Failed


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tcp", type=int, metavar="PORT", help="listen on 127.0.0.1 instead")
    parser.add_argument("--stdio", action="store_true", help="the default; editors pass it")


def run(args: argparse.Namespace) -> int:
    try:
        from dagent.language_server.server import create
    except ModuleNotFoundError as error:
        if error.name not in ("pygls", "lsprotocol"):
            raise
        message = f"the language server needs the package `{error.name}`"
        remedy = "pip install 'dagent[lsp]'"
        raise Failed(Diagnostic("E818", message, suggestion=remedy)) from None
    # stdout is the protocol's; stderr goes to the editor's log, where only trouble belongs.
    logging.basicConfig(level=logging.WARNING)
    server = create()
    if args.tcp is not None:
        server.start_tcp("127.0.0.1", args.tcp)
    else:
        server.start_io()
    return 0
