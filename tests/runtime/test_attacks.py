"""Programs that mean harm: outside the sandbox each does it, inside none does.

An attack reads what it is aimed at from ``TARGET`` and prints HARM once it has succeeded; what can
only be seen from outside is looked for here.
"""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
from dagent.runtime.sandbox import ISOLATORS, Limits, Sandbox

FOLDER = Path(__file__).parent / "attacks"
MIB = 2**20
LIMITS = Limits(
    seconds=6,
    memory=200 * MIB,
    processes=8,
    files=64,
    written=4 * MIB,
    output=2**16,
    calls=50,
    message=2**17,
)
# Attacks on the calls, and on who collects what a program leaves: there are these only inside.
CALLS = {
    "fifo_left": "ok",
    "forge_outcome": "error",
    "locked_left": "ok",
    "odd_names_left": "ok",
    "close_calls": "ok",
    "flood_calls": "error",
    "many_calls": "error",
    "malformed_calls": "ok",
    "deaf_calls": "error",
}
ATTACKS = sorted(p.stem for p in FOLDER.glob("*.py"))
PLAIN = [name for name in ATTACKS if name not in CALLS]
# What even an unprotected program may not do everywhere: without root, or by the kernel's make.
DEPENDS = {
    *("become_root", "chroot_escape", "keyring", "io_uring", "kernel_settings", "make_device"),
    *("mount", "nested_namespace", "open_parent_memory", "ptrace", "raise_priority"),
    *("raw_system_calls", "read_users", "set_clock", "vsock", "write_python"),
}
# How it is stopped, where a limit does it.
STOPPED = {
    "endless_output": {"output"},
    "stderr_flood": {"output"},
    "fork_bomb": {"processes", "error"},
    "thread_bomb": {"processes", "error"},
    "memory": {"memory"},
    "memory_in_parts": {"memory"},
    "many_files": {"output", "error"},
    "deep_folders": {"output", "error"},
}


@dataclass
class Victim:
    """What the attacks are aimed at, and how to see that they hit."""

    target: dict[str, Any]
    folder: Path

    def program(self, name: str) -> str:
        return f"TARGET = {self.target!r}\n" + (FOLDER / f"{name}.py").read_text()

    def seen(self, name: str, stdout: bytes) -> bool:
        """Whether the attack did what it wanted."""
        if name in ("outlive", "ignore_signals"):
            return bool(self.sleepers())
        if name == "time_bomb":
            time.sleep(0.8)
            return Path(self.target["bomb"]).exists()
        return b"HARM" in stdout

    def sleepers(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes() == f"sleep\0{self.target['sleep']}\0".encode():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found

    def unharmed(self) -> bool:
        """The project's files are as they were."""
        return (self.folder / "journal.jsonl").read_text() == "{}\n" and not (
            self.folder / "planted.py"
        ).exists()


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        if isinstance(self.request, tuple):
            self.request[1].sendto(self.request[0], self.client_address)
        else:
            self.request.sendall(self.request.recv(512))


class _Server(socketserver.ThreadingMixIn):
    daemon_threads = True


class _Tcp(_Server, socketserver.TCPServer): ...


class _Udp(_Server, socketserver.UDPServer): ...


class _Unix(_Server, socketserver.UnixStreamServer): ...


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Victim]:
    mark, secret, token = (uuid.uuid4().hex for _ in range(3))
    monkeypatch.setenv("OPENAI_API_KEY", token)
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    home.mkdir()
    (project / "test.jsonl").write_text(secret)
    (project / "journal.jsonl").write_text("{}\n")
    (home / ".credentials").write_text(token)
    socket_path = f"/tmp/{mark}.sock"  # a path of pytest's may be too long for a socket
    servers = [
        _Tcp(("127.0.0.1", 0), _Echo),
        _Udp(("127.0.0.1", 0), _Echo),
        _Unix(socket_path, _Echo),
        _Unix("\0" + mark, _Echo),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    waits = "import sys; sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", waits, mark], stdin=subprocess.PIPE)
    found = Victim(
        {
            "project": str(project),
            "test": str(project / "test.jsonl"),
            "journal": str(project / "journal.jsonl"),
            "home": str(home),
            "secret": secret,
            "token": token,
            "tcp": servers[0].server_address[1],
            "udp": servers[1].server_address[1],
            "unix": socket_path,
            "abstract": mark,
            "victim": process.pid,
            "victim_mark": mark,
            "mark": f"x{mark}",
            "sleep": f"30.{int(mark, 16) % 10**9}",
            "bomb": str(project / "bomb"),
        },
        project,
    )
    yield found
    for pid in found.sleepers():
        os.kill(pid, 9)
    process.communicate()
    for server in servers:
        server.shutdown()
        server.server_close()
    Path(socket_path).unlink(missing_ok=True)


@pytest.fixture(scope="module", params=ISOLATORS, ids=lambda i: i.name)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    try:
        box = Sandbox(LIMITS, request.param)
    except Refused as refused:
        (found,) = refused.diagnostics
        pytest.skip("; ".join(note.message for note in found.notes))
    with box:
        yield box


@pytest.mark.parametrize("name", PLAIN)
def test_it_does_harm_outside(name: str, victim: Victim, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", victim.program(name)],
            cwd=scratch,
            capture_output=True,
            timeout=60,
            env={**os.environ, "HOME": victim.target["home"]},
        )
    finally:  # Python's own removal breaks on folders as deep as one attack leaves
        subprocess.run(["rm", "-rf", str(scratch)], check=True)
    if not victim.seen(name, done.stdout):
        assert name in DEPENDS, done.stderr.decode()
        pytest.skip("this machine does not allow it even without a sandbox")


@pytest.mark.parametrize("name", PLAIN)
def test_it_does_none_inside(name: str, victim: Victim, sandbox: Sandbox) -> None:
    outcome = sandbox.run(victim.program(name))
    assert not victim.seen(name, outcome.stdout), outcome
    assert victim.unharmed()
    assert not any(victim.target["secret"].encode() in data for data in outcome.files.values())
    assert len(outcome.stdout + outcome.stderr) <= LIMITS.output
    assert outcome.seconds < LIMITS.seconds + 1
    if name in STOPPED:
        assert outcome.status in STOPPED[name], outcome
    _still_works(sandbox)


@pytest.mark.parametrize("name", CALLS)
def test_calls_stand_it(name: str, victim: Victim, sandbox: Sandbox) -> None:
    serve = {"add": lambda a, b: a + b, "large": lambda: "x" * 100_000}
    outcome = sandbox.run(victim.program(name), serve=serve)
    assert outcome.status == CALLS[name], outcome
    if name == "malformed_calls":
        answers = outcome.stdout.decode().split("\n")
        assert '"error"' in answers[0]
        assert sum('"result"' in answer for answer in answers) == 1  # NaN is JSON to Python
    _still_works(sandbox)


def _still_works(sandbox: Sandbox) -> None:
    """The next program finds an empty folder and a working sandbox."""
    program = "import os; print(os.listdir('.'), add(1, b=2))"
    after = sandbox.run(program, serve={"add": lambda a, b: a + b})
    assert after.stdout == b"[] 3\n", after


def test_there_are_enough() -> None:
    assert len(ATTACKS) >= 30
