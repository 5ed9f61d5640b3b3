"""Functions of the parent's that a program may call: a line of JSON there, a line back.

``{"call": name, "args": […], "kwargs": {…}}`` is answered by ``{"result": …}`` or
``{"error": text}``. Whatever else comes, comes from a program that does not play by the rules: it
is told so, and it is stopped when it sends more than a line may hold or calls more than it may.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from typing import Any

from dagent.runtime.sandbox.limits import Limits

Function = Callable[..., Any]
_PATIENCE = 1.0  # seconds that a program has to take an answer


class Calls:
    """The parent's end. ``closed`` when the program has hung up."""

    def __init__(self, socket: socket.socket, serve: Mapping[str, Function], limits: Limits):
        self.socket, self.serve, self.limits = socket, serve, limits
        self.socket.settimeout(_PATIENCE)
        self.pending = bytearray()
        self.made = 0
        self.closed = False

    def answer(self) -> str | None:
        """Read what is there and answer every whole line; why to stop the program, if so."""
        try:
            data = self.socket.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return None
        self.pending += data
        while (end := self.pending.find(b"\n")) >= 0:
            line = bytes(self.pending[:end])
            del self.pending[: end + 1]
            self.made += 1
            if self.made > self.limits.calls:
                return f"called the parent more than {self.limits.calls} times"
            try:
                self._reply(self._result(line))
            except TimeoutError:
                return "does not take the answers to its calls"
            except OSError:
                self.closed = True
                return None
        if len(self.pending) > self.limits.message:
            return f"sent a message of more than {self.limits.message} bytes"
        return None

    def _result(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
            name, args, kwargs = message["call"], message["args"], message["kwargs"]
            function = self.serve[name]
        except (ValueError, TypeError, KeyError, RecursionError):
            return {"error": "no call of a function that is served"}
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            return {"error": "the arguments of a call are a list and an object"}
        try:
            return {"result": function(*args, **kwargs)}
        except (TypeError, ValueError, LookupError, RuntimeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _reply(self, result: dict[str, Any]) -> None:
        try:
            text = json.dumps(result)
        except (TypeError, ValueError) as error:
            text = json.dumps({"error": f"the answer is no JSON: {error}"})
        if len(text) > self.limits.message:
            text = json.dumps({"error": f"an answer of more than {self.limits.message} bytes"})
        self.socket.sendall(text.encode() + b"\n")
