"""The parent's side: a sandbox that is kept warm, and the bounds that are kept from outside it."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from time import monotonic
from typing import Any

from dagent.dsl.diagnostics import Diagnostic, Note, Refused
from dagent.runtime.sandbox import isolators, seccomp
from dagent.runtime.sandbox.calls import Calls, Function
from dagent.runtime.sandbox.isolators import Isolator
from dagent.runtime.sandbox.limits import MIB, Limits, Outcome, Status

_START = 20.0  # seconds that a sandbox may take to come up on a loaded machine
_ANSWER = 10.0  # and to hand over what a program left
_EXCEEDED: Mapping[str, tuple[Status, str]] = {
    "memory": ("memory", "used more memory than its limit of {memory} bytes"),
    "processes": ("processes", "started more than {processes} processes and threads"),
    "files": ("output", "made more than {files} files"),
}


class Broken(Exception):
    """The sandbox itself ended, or did not start; the text says how."""


class Sandbox:
    """Programs run one after the other in one isolated place, each with an empty scratch folder.

    Nothing of a program is left when the next starts: every process is killed, every file removed;
    where that is in doubt, and after every limit that was exceeded, the place is made anew. It
    belongs to the thread that uses it.

    Raises:
        Refused: E840 when this machine cannot isolate, with the reason for each way tried.
    """

    def __init__(self, limits: Limits | None = None, isolator: Isolator | None = None) -> None:
        self.limits = limits or Limits()
        self._guest: _Guest | None = None
        self.isolator, self._filter, self._guest = _start_first(self.limits, isolator)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._guest is not None:
            self._guest.end()
            self._guest = None

    def run(
        self,
        program: str | Sequence[str],
        files: Mapping[str, bytes | str] | None = None,
        stdin: bytes | str = b"",
        serve: Mapping[str, Function] | None = None,
    ) -> Outcome:
        """Run Python code (a text) or a command (a list) and wait for its end.

        ``files`` are laid into its scratch folder, the only thing of the caller's that it sees.
        ``serve`` are functions that it may call by name, in this process; what they take and give
        must be JSON. The program's time stands still while one runs.

        Raises:
            ValueError: for a file's name that leaves the scratch folder.
            Refused: E841 when the sandbox cannot be started again.
        """
        named = {_inside(name): _bytes(data) for name, data in (files or {}).items()}
        if self._guest is None or self._guest.ended:
            self.close()
            try:
                self._guest = _Guest(self.isolator, self.limits)
            except Broken as broken:
                raise _gone(str(broken)) from None
        guest, self._guest = self._guest, None  # kept only if the run ends well
        case = _Case(guest, self.limits, serve or {})
        try:
            outcome, clean = case.run(program, named, _bytes(stdin), self._filter)
        except BaseException:
            guest.end()
            raise
        if clean:
            self._guest = guest
        else:
            guest.end()
        return outcome


def run(
    program: str | Sequence[str],
    files: Mapping[str, bytes | str] | None = None,
    stdin: bytes | str = b"",
    limits: Limits | None = None,
    serve: Mapping[str, Function] | None = None,
    isolator: Isolator | None = None,
) -> Outcome:
    """One program in a sandbox of its own; see ``Sandbox.run``."""
    with Sandbox(limits, isolator) as sandbox:
        return sandbox.run(program, files, stdin, serve)


def unsandboxed() -> bool:
    """Whether programs run here without isolation: it is allowed, and nothing else works."""
    if not os.environ.get(isolators.ALLOWED):
        return False
    with Sandbox() as sandbox:
        return not sandbox.isolator.isolated


def _start_first(limits: Limits, wanted: Isolator | None) -> tuple[Isolator, bytes, _Guest]:
    """The first way of isolating that works here, tried by using it."""
    causes = []
    tried = (wanted,) if wanted else isolators.offered()
    filter = b""
    try:
        filter = seccomp.program()
    except (ImportError, OSError, RuntimeError) as error:
        tried = tuple(isolator for isolator in tried if not isolator.isolated)
        causes.append(f"no filter of system calls: {error}")
    for isolator in tried:
        if lacking := isolators.missing(isolator):
            causes.append(f"{isolator.name}: no `{'`, `'.join(lacking)}` on this machine")
            continue
        try:
            return isolator, filter if isolator.isolated else b"", _Guest(isolator, limits)
        except Broken as broken:
            causes.append(f"{isolator.name}: {broken}")
    raise _cannot(causes)


def _cannot(causes: Sequence[str]) -> Refused:
    return Refused(
        Diagnostic(
            "E840",
            "this machine cannot isolate the code that a model wrote",
            notes=tuple(Note(cause) for cause in causes),
            suggestion="install bubblewrap and `dagent[sandbox]`, or run where user namespaces are "
            "allowed; `dagent execute --allow-unsandboxed` runs it with your files and network",
        )
    )


def _gone(cause: str) -> Refused:
    return Refused(
        Diagnostic(
            "E841",
            f"the sandbox could not be started again: {cause}",
            suggestion="execute again; what was finished is kept",
        )
    )


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise ValueError(f"no file of the scratch folder: {name!r}")
    return str(path)


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


class _Guest:
    """The process that holds the sandbox, and the socket to its first process."""

    def __init__(self, isolator: Isolator, limits: Limits) -> None:
        scratch = isolators.SCRATCH if isolator.isolated else tempfile.mkdtemp(prefix="dagent-")
        self.isolated = isolator.isolated
        self.control, inner = socket.socketpair()
        mode = "isolated" if isolator.isolated else "unprotected"
        source = Path(__file__).with_name("guest.py").read_text(encoding="utf-8")
        python = [isolators.interpreter(), "-I", "-S", "-c", source]
        command = isolator.wrap([*python, str(inner.fileno()), mode, scratch], limits)
        with inner, tempfile.TemporaryFile() as said:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[inner.fileno()],
                env={"PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"},
                start_new_session=True,
            )
            self.end = weakref.finalize(self, _end, self.process, self.control, scratch)
            inner.close()
            self.control.settimeout(_START)
            try:
                self.receive(0)
            except (Broken, OSError) as error:
                self.end()
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                raise Broken(lines[-1] if lines else str(error)) from None

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def send(self, header: dict[str, Any], blobs: Sequence[bytes], fds: Sequence[int]) -> None:
        self.control.settimeout(_ANSWER)
        text = json.dumps({**header, "sizes": [len(b) for b in blobs]}).encode()
        socket.send_fds(self.control, [struct.pack("!Q", len(text))], fds)
        for part in (text, *blobs):
            self.control.sendall(part)

    def receive(self, most: int) -> tuple[dict[str, Any], list[bytes]]:
        """A header and at most ``most`` bytes of files. What is not of that form ends it.

        Raises:
            Broken: when the guest is gone, or says what it never would.
            TimeoutError: when it is silent.
        """
        (size,) = struct.unpack("!Q", self._exactly(8))
        if size > MIB:
            raise Broken("an answer that is too long")
        try:
            header = json.loads(self._exactly(size))
            sizes = [int(n) for n in header["sizes"]]
        except (ValueError, KeyError, TypeError):
            raise Broken("an answer that is none") from None
        if any(n < 0 for n in sizes) or sum(sizes) > most:
            raise Broken("more files than allowed")
        return header, [self._exactly(n) for n in sizes]

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self.control.recv(min(size - len(parts), MIB))
            if not part:
                raise Broken("it ended")
            parts += part
        return bytes(parts)


def _end(process: subprocess.Popen[bytes], control: socket.socket, scratch: str) -> None:
    """Kill the holder of the namespaces, and with its first process all that is in them."""
    control.close()
    process.kill()
    process.wait()
    if scratch != isolators.SCRATCH:
        shutil.rmtree(scratch, ignore_errors=True)


class _Case:
    """One program: its pipes, and the watch over its time, its output and its calls."""

    def __init__(self, guest: _Guest, limits: Limits, serve: Mapping[str, Function]) -> None:
        self.guest, self.limits, self.serve = guest, limits, serve
        self.taken: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
        self.calls: Calls | None = None
        self.paused = 0.0  # seconds that the parent spent in calls

    def run(
        self, program: str | Sequence[str], files: Mapping[str, bytes], stdin: bytes, filter: bytes
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether the sandbox may be used again."""
        selector = selectors.DefaultSelector()
        ours: list[Callable[[], object]] = [selector.close]
        try:
            given = [_readable(stdin)]
            for name in self.taken:
                reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                os.set_blocking(writer, True)
                selector.register(reader, selectors.EVENT_READ, name)
                ours.append(lambda fd=reader: os.close(fd))  # type: ignore[misc]
                given.append(writer)
            if self.serve:
                mine, its = socket.socketpair()
                ours.append(mine.close)
                given.append(its.detach())
                self.calls = Calls(mine, self.serve, self.limits)
                selector.register(mine, selectors.EVENT_READ, "calls")
            request = {
                "code": program if isinstance(program, str) else "",
                "argv": [] if isinstance(program, str) else list(program),
                "names": list(files),
                "serve": list(self.serve),
                "limits": asdict(self.limits),
                "filter": filter.hex(),
            }
            started = monotonic()
            try:
                self.guest.send(request, list(files.values()), given)
            except OSError as error:
                return self._stopped("error", f"the sandbox broke: {error}", started), False
            finally:
                for fd in given:
                    os.close(fd)
            selector.register(self.guest.control, selectors.EVENT_READ, "control")
            return self._watch(selector, started)
        finally:
            for close in ours:
                close()

    def _watch(self, selector: selectors.BaseSelector, started: float) -> tuple[Outcome, bool]:
        while True:
            left = self.limits.seconds + self.paused - (monotonic() - started)
            if left <= 0:
                said = f"still running after {self.limits.seconds:g} seconds"
                return self._stopped("timeout", said, started), False
            ready = {key.data: key.fd for key, _ in selector.select(left)}
            if over := self._drain(selector, ready):
                return self._stopped("output", over, started), False
            if "calls" in ready and self.calls is not None:
                before = monotonic()
                if fault := self.calls.answer():
                    return self._stopped("error", fault, started), False
                self.paused += monotonic() - before
                if self.calls.closed:
                    selector.unregister(self.calls.socket)
            if "control" in ready:
                return self._finish(selector, started)

    def _drain(self, selector: selectors.BaseSelector, ready: Mapping[str, int]) -> str | None:
        """Take what was written; what is beyond the limit, in words."""
        for name in self.taken:
            if name not in ready:
                continue
            try:
                data = os.read(ready[name], 1 << 16)
            except BlockingIOError:
                continue
            if not data:
                selector.unregister(ready[name])
            room = self.limits.output - sum(map(len, self.taken.values()))
            self.taken[name] += data[:room]
            if len(data) > room:
                return f"wrote more than {self.limits.output} bytes to stdout and stderr"
        return None

    def _finish(self, selector: selectors.BaseSelector, started: float) -> tuple[Outcome, bool]:
        """Everything inside is dead: take the rest of the output, and what it left."""
        elapsed = monotonic() - started - self.paused
        self.guest.control.settimeout(_ANSWER)
        try:
            header, blobs = self.guest.receive(self.limits.written)
            code, exceeded = int(header["code"]), header["exceeded"]
            files = {str(n): b for n, b in zip(header["names"], blobs, strict=True)}
        except (Broken, OSError, KeyError, TypeError, ValueError) as error:
            return self._stopped("error", f"the sandbox broke: {error}", started), False
        selector.unregister(self.guest.control)
        while any(key.data in self.taken for key in selector.get_map().values()):
            ready = {key.data: key.fd for key, _ in selector.select(1.0)}
            if not ready:
                break  # only where nothing isolates can something still hold the pipe
            if over := self._drain(selector, ready):
                return self._stopped("output", over, started), False
        status, reason = self._verdict(code, exceeded)
        stdout, stderr = (bytes(self.taken[name]) for name in ("stdout", "stderr"))
        kept = None if exceeded else code
        outcome = Outcome(status, stdout, stderr, elapsed, kept, reason, files)
        return outcome, bool(header.get("clean")) and not exceeded

    def _verdict(self, code: int, exceeded: str | None) -> tuple[Status, str]:
        if exceeded is not None and exceeded in _EXCEEDED:
            status, text = _EXCEEDED[exceeded]
            return status, text.format(**asdict(self.limits))
        if code == -signal.SIGXCPU:
            return "timeout", f"used the processor for more than {self.limits.seconds:g} seconds"
        if code == -signal.SIGXFSZ:
            return "output", f"wrote a file of more than {self.limits.written} bytes"
        if code < 0:
            return "signal", f"killed by {signal.Signals(-code).name}"
        if code:
            last = bytes(self.taken["stderr"][-2000:]).decode(errors="replace").strip()
            return "error", (last.splitlines() or [f"exit code {code}"])[-1][:300]
        return "ok", ""

    def _stopped(self, status: Status, reason: str, started: float) -> Outcome:
        stdout, stderr = (bytes(self.taken[name]) for name in ("stdout", "stderr"))
        return Outcome(
            status, stdout, stderr, monotonic() - started - self.paused, None, reason, {}
        )


def _readable(data: bytes) -> int:
    """A descriptor to read ``data`` from, that nobody has to feed and nobody can grow."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY)
