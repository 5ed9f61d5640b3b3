"""The worker: a process that imports torch once and then serves requests, one line of JSON each.

Replies are lines on what was standard output: ``{"holds": devices}`` where a task takes
accelerators, ``{"progress": [done, total], "shown": {…}}``, then ``{"result": …}`` or
``{"error": {"code", "message", "suggestion", "refused"}}``; ``refused`` says that the user's spec
is at fault, not the machine.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dagent.dsl.diagnostics import Failed, Refused
from dagent.dsl.unexpected import diagnose
from dagent.runtime.accelerators import held
from dagent.runtime.launching import Reported, launch
from dagent.runtime.scarce import AGAIN, advice, is_scarce

# task -> `function(request, progress) -> result`, by module and name
TASKS = {
    "answer": ("dagent.runtime.answering", "run"),
    "benchmark": ("dagent.runtime.benchmarking", "run"),
    "configure": ("dagent.runtime.configuring", "run"),
    "extract": ("dagent.runtime.extracting", "run"),
    "fetch": ("dagent.runtime.answering", "fetch"),
    "train": ("dagent.runtime.training", "run"),
    "vllm": ("dagent.runtime.vllm_answering", "run"),
}


def main() -> None:
    wire = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints belongs in the log, not on the wire
    requests: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def send(**reply: Any) -> None:
        wire.write(json.dumps(reply) + "\n")

    def progress(done: int, total: int, **shown: object) -> None:
        send(progress=[done, total], shown=shown)

    broken: Exception | None = None
    try:
        for module, _ in TASKS.values():  # the imports overlap what the run does before it needs us
            importlib.import_module(module)
    except Exception as error:  # kept for whoever asks: importing again would say something else
        broken = error
    while True:
        request = requests.get()
        task = request["task"]
        try:
            if broken is not None:
                raise broken
            if devices := held(task, request):
                send(holds=devices)
            send(result=_do(request, progress))
        except Exception as error:
            with suppress(OSError):  # the log's disk may be what is full
                traceback.print_exc()
            send(error=describe(error, task))


def _do(request: dict[str, Any], progress: Callable[..., None]) -> Any:
    task, config = request.pop("task"), request.pop("accelerate", None)
    if config is not None:
        return launch(task, config, request, progress)
    module, function = TASKS[task]
    return getattr(importlib.import_module(module), function)(request, progress)


def _listen(requests: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)  # the run is over or was killed: end now, in the middle of a training if need be


def describe(error: Exception, task: str) -> dict[str, Any]:
    """``error``, which ended ``task``, as a reply says it."""
    if isinstance(error, Reported):
        return error.error
    if isinstance(error, Refused):
        found = error.diagnostics[0]
        return {
            "code": found.code,
            "message": found.message,
            "suggestion": found.suggestion,
            "refused": not isinstance(error, Failed),
        }
    text = f"{type(error).__name__}: {error}"
    if is_scarce(error):
        message = f"memory ran out: {text}"
        return {"code": "E813", "message": message, "suggestion": f"{advice(task)}; {AGAIN}"}
    if isinstance(error, ImportError):  # an option of theirs that the check did not know
        return {
            "code": "E818",
            "message": text,
            "suggestion": "install what it names, or remove what asks for it; the same command "
            "continues the run",
        }
    known = diagnose(error)
    if known.code == "E810":
        return {"code": known.code, "message": known.message, "suggestion": known.suggestion or ""}
    return {"code": "E814", "message": text}


if __name__ == "__main__":
    main()
