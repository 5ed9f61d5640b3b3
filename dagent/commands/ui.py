"""``dagent ui``: the MLflow page on this folder's executions, or the address of the user's own."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagent.dsl.diagnostics import Diagnostic, Failed, Note, Refused
from dagent.runtime import tracking

SERVERS = ("http", "https", "databricks", "databricks-uc")  # addresses that have a page already
# Charts of the training runs; without it a new browser opens a page for traces of chats.
VIEW = "?workflowType=machine_learning&compareRunsMode=CHART"
PATIENCE = 120.0  # seconds that a cold machine may need to import MLflow's server


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=5000, help="0 takes a free one (5000)")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--no-open", action="store_true", help="do not open the browser")


def run(args: argparse.Namespace) -> int:
    """Catch up, then serve until Ctrl-C.

    Raises:
        Refused: nothing was executed here yet.
        Failed: the port is taken, MLflow is not installed or does not start.
    """
    project = Path.cwd()
    _check(project)
    remote = tracking.remote_uri()
    served = remote is None or remote.split(":")[0] not in SERVERS
    port = _free(args.host, args.port) if served else 0
    _catch_up(project)
    if not served:
        _show(_page(str(remote).rstrip("/"), project), args.no_open)
        return 0
    with _ending_like_ctrl_c(), _server(project, args.host, port) as server:
        address = "127.0.0.1" if args.host in ("0.0.0.0", "") else args.host
        url = f"http://{address}:{port}"
        _wait(server, url, project)
        _show(_page(url, project), args.no_open)
        print("Ctrl-C ends it.", flush=True)
        if server.wait():
            raise _not_started("MLflow's server ended by itself", project)
    return 0


def _check(project: Path) -> None:
    if not tracking.executions(project):
        raise Refused(
            Diagnostic(
                "E817",
                "nothing was executed in this folder yet, so there is nothing to show",
                suggestion="run `dagent execute`, or go to the spec's folder",
            )
        )
    if not tracking.installed():
        raise Failed(
            Diagnostic(
                "E818",
                "MLflow is not installed",
                suggestion="pip install 'dagent[track]'",
            )
        )


def _catch_up(project: Path) -> None:
    if missing := sum(folder.behind() for folder in tracking.executions(project)):
        print(f"MLflow lacks {missing} events; catching up", file=sys.stderr, flush=True)
    for line in tracking.catch_up(project):
        print(line, file=sys.stderr, flush=True)


def _free(host: str, port: int) -> int:
    """The port, if nobody listens on it; a free one for 0.

    Raises:
        Failed: E811 when it is taken, E819 when the host is none of this machine's.
    """
    try:
        return _bind(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise Failed(
                Diagnostic(
                    "E819",
                    f"cannot listen on {host}:{port}: {error.strerror or error}",
                    suggestion="choose another `--host` or `--port`",
                )
            ) from None
        with contextlib.suppress(OSError):
            another = _bind(host, 0)
            raise Failed(
                Diagnostic(
                    "E811",
                    f"port {port} of {host} is taken by another program",
                    suggestion=f"choose another one, such as `dagent ui --port {another}`",
                )
            ) from None
        raise


def _bind(host: str, port: int) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # A port that our last server left a moment ago is free, whatever TIME_WAIT says.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


@contextmanager
def _server(project: Path, host: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """MLflow's server on this folder's runs; ended, with all that it started, on the way out."""
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", tracking.tracking_uri(project)),
        *("--default-artifact-root", tracking.local_artifacts(project).as_uri()),
        *("--host", host, "--port", str(port), "--workers", "1"),
    ]
    with _log(project).open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=project / ".dagent",
            env={**tracking.environment(), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(5)


def _wait(server: subprocess.Popen[bytes], url: str, project: Path) -> None:
    print("starting MLflow", file=sys.stderr, flush=True)
    # An address of this machine is never asked for through a proxy.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if server.poll() is not None:
            raise _not_started("MLflow's server did not start", project)
        with contextlib.suppress(OSError), opener.open(f"{url}/health", timeout=2):
            return
        time.sleep(0.2)
    raise _not_started(f"MLflow's server did not answer within {PATIENCE:.0f} s", project)


def _not_started(message: str, project: Path) -> Failed:
    lines = _log(project).read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    notes = (Note(tracking.redacted(last)),) if last else ()
    return Failed(
        Diagnostic(
            "E819",
            message,
            suggestion="read the end of the log",
            notes=notes,
            file=str(_log(project).relative_to(project)),
        )
    )


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """Ctrl-C, and a polite kill, end the server quietly: for a server that is no failure."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)


def _page(url: str, project: Path) -> str:
    """The page of the latest execution's experiment."""
    experiment = tracking.executions(project)[-1].cursor().experiment
    return f"{url}/#/experiments/{experiment}/runs{VIEW}" if experiment else url


def _show(url: str, no_open: bool) -> None:
    print(tracking.redacted(url), flush=True)
    if not no_open:
        import webbrowser

        webbrowser.open(url)


def _log(project: Path) -> Path:
    return project / ".dagent" / "ui.log"


def _port(text: str) -> int:
    if text.isdigit() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
