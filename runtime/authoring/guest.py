"""Runs beside the author's program, inside the sandbox: the standard library only.

Lays the tools among the builtins, seeds ``random``, and runs ``program.py`` as ``__main__``. What
it sends to the parent is checked there; nothing here is trusted.
"""

import builtins
import json
import linecache
import os
import random
import sys
import threading
import traceback
import types


class Tools:
    """One line of JSON each way on the descriptor that the sandbox names. Threads take turns."""

    def __init__(self, descriptor):
        self._lock = threading.Lock()
        self._to = os.fdopen(descriptor, "wb", closefd=False)
        self._from = os.fdopen(descriptor, "rb", closefd=False)

    def _call(self, name, *args):
        with self._lock:
            self._to.write(json.dumps({"call": name, "args": args, "kwargs": {}}).encode() + b"\n")
            self._to.flush()
            answer = json.loads(self._from.readline() or b'{"error": "nobody answers"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def api_generate_batch(self, prompts, sys_prompt="", json=False):
        return self._call("api_generate_batch", list(prompts), sys_prompt, json)

    def get_available_api_calls(self):
        return self._call("get_available_api_calls")

    def api_count(self):
        return self._call("api_count")

    def check_submission(self, rows=None):
        return self._call("check_submission", self._submission(rows))

    def train_model(self, rows=None):
        return self._call("train_model", self._submission(rows))

    def evaluate_dataset(self):
        return self._call("evaluate_dataset")

    def _submission(self, rows):
        if rows is not None:
            return rows
        with open("submission.json", encoding="utf-8") as file:
            return json.load(file)


def main(seed):
    tools = Tools(int(os.environ.pop("DAGENT_CALLS")))
    for name in dir(tools):
        if not name.startswith("_"):
            setattr(builtins, name, getattr(tools, name))
    random.seed(seed)
    with open("program.py", encoding="utf-8") as file:
        code = file.read()
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.getcwd())
    linecache.cache["program.py"] = (len(code), None, code.splitlines(True), "program.py")
    try:
        exec(compile(code, "program.py", "exec"), vars(module))
    except Exception as error:
        # From the program's own first line on: it did not write the rest.
        traceback.print_exception(type(error), error, error.__traceback__.tb_next)
        sys.exit(1)


main(int(sys.argv[1]))
