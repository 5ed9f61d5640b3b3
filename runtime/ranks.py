"""One of the processes that the worker started, itself or through accelerate: it does the task of a
request, together with the others if there are any, and tells the worker on its standard output. See
``dagent.runtime.launching``."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import traceback
from pathlib import Path

from dagent.runtime.launching import LIFELINE, MARK
from dagent.runtime.worker_main import TASKS, describe


def main() -> None:
    wire = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    if os.environ.get(LIFELINE):
        threading.Thread(target=_end_with_the_worker, daemon=True).start()
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    task = request.pop("task")
    module, function = TASKS[task]

    def send(**reply: object) -> None:
        wire.write(MARK + json.dumps(reply) + "\n")

    try:
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env

        # Without a GPU they find each other only where the CPU is asked for, as transformers does.
        state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))
        first = state.is_main_process

        def progress(done: int, total: int, **shown: object) -> None:
            if first:
                send(progress=[done, total], shown=shown)

        result = getattr(importlib.import_module(module), function)(request, progress)
        state.wait_for_everyone()
        if first:
            send(result=result)
        state.destroy_process_group()
    except Exception as error:
        traceback.print_exc()
        send(error=describe(error, task))
        wire.flush()
        os._exit(1)  # the others wait for this one; the launcher ends them


def _end_with_the_worker() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    main()
