"""The client of the worker: the process that holds torch and serves the whole run.

One request at a time, as a line of JSON on the worker's standard input; it answers with lines of
progress and then one line with a result or an error. What libraries print goes to the log. The
worker ends when its input does, so it outlives neither a finished nor a killed run.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Protocol

from dagent.dsl.diagnostics import Diagnostic, Failed, Note, Refused
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.scarce import advice, says_scarce

WORKER = (sys.executable, "-m", "dagent.runtime.worker_main")
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # Threads that spin while they wait make a small model crawl on a machine with other work.
    "OMP_WAIT_POLICY": "PASSIVE",
}


class Timing(Protocol):
    """The caps on time that hold for a task of the worker."""

    def holding(self, devices: int) -> AbstractContextManager[None]:
        """The task holds so many accelerators within."""
        ...

    def check(self, task: str) -> float | None:
        """Seconds until a cap is reached; ``None`` without one.

        Raises:
            OutOfBudget: it is reached.
        """
        ...


class Untimed:
    """No caps, and nobody counts."""

    def holding(self, devices: int) -> AbstractContextManager[None]:
        return nullcontext()

    def check(self, task: str) -> float | None:
        return None


class Worker(Protocol):
    """What a step sees of the worker."""

    def call(self, task: str, progress: Callable[..., None] | None = None, **request: Any) -> Any:
        """Do ``task`` (``train`` or ``answer``) in the worker and return its result.

        Raises:
            Refused: the worker found the spec at fault (a loss that is no number, say).
            Failed: the worker reported another error (E8xx) or died.
            OutOfBudget: a cap on time was reached; the worker is stopped.
        """
        ...


class ProcessWorker:
    """A worker in a process of its own, started at once so that its imports overlap other work."""

    def __init__(
        self,
        log: Path,
        timing: Timing | None = None,
        command: Sequence[str] = WORKER,
    ) -> None:
        self._log = log
        self._timing = timing or Untimed()
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._begins = 0  # where in the log this process's words begin
        self._lines: queue.Queue[bytes | None] = queue.Queue()

    def start(self) -> None:
        if self._process is not None:
            return
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._begins = log.tell()
            # A session of its own: Ctrl-C reaches us, and we stop the worker in good order.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**ENVIRONMENT, **os.environ},
            )
        self._lines = queue.Queue()
        threading.Thread(
            target=self._listen, args=(self._process, self._lines), daemon=True
        ).start()

    def call(self, task: str, progress: Callable[..., None] | None = None, **request: Any) -> Any:
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"task": task, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died(task) from None
        with ExitStack() as held:
            while True:
                reply = self._reply(task)
                if "holds" in reply:
                    held.enter_context(self._timing.holding(reply["holds"]))
                elif "progress" in reply:
                    if progress:
                        progress(*reply["progress"], **reply.get("shown", {}))
                elif "error" in reply:
                    raise _failed(task, reply["error"], self._log)
                else:
                    return reply["result"]

    def stop(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def _reply(self, task: str) -> dict[str, Any]:
        while True:
            try:
                left = self._timing.check(task)
            except OutOfBudget:
                self.stop()
                raise
            try:
                line = self._lines.get(timeout=1.0 if left is None else min(1.0, left + 0.01))
            except queue.Empty:
                continue
            if line is None:
                raise self._died(task)
            reply: dict[str, Any] = json.loads(line)
            return reply

    def _died(self, task: str) -> Failed:
        assert self._process is not None
        code = self._process.wait()
        self.stop()
        said = _tail(self._log, self._begins)
        killed = code == -signal.SIGKILL
        if killed or says_scarce(said):
            how = "was killed" if killed else "died"
            return Failed(
                Diagnostic(
                    "E813",
                    f"the worker {how} during `{task}`, most likely for lack of memory",
                    suggestion=f"run the same command again: what was finished is kept, and a "
                    f"training goes on from its last checkpoint; if it dies again, {advice(task)}",
                    notes=() if killed else (Note(said),),
                    file=str(self._log),
                )
            )
        return Failed(
            Diagnostic(
                "E814",
                f"the worker died during `{task}` with exit code {code}",
                suggestion=f"read the end of {self._log}; the same command continues the run",
                notes=(Note(said),),
                file=str(self._log),
            )
        )

    @staticmethod
    def _listen(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.put(line)
        except ValueError:  # stop() closed the pipe under us
            pass
        lines.put(None)


def _failed(task: str, error: dict[str, Any], log: Path) -> Refused:
    return (Refused if error.get("refused") else Failed)(
        Diagnostic(
            error["code"],
            f"`{task}` failed: {error['message']}",
            suggestion=error.get("suggestion") or f"the whole story is in {log}",
            file=str(log),
        )
    )


def _tail(log: Path, begins: int, lines: int = 5) -> str:
    text = log.read_bytes()[begins:].decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
