"""Runs in the worker: a task in processes of its own, as many as the user's accelerate config says.

`accelerate launch` starts them, on this machine or several, with DDP, FSDP or DeepSpeed. Each runs
``dagent.runtime.ranks``, which does the task as the worker would; the first of them reports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

import dagent
from dagent.dsl.diagnostics import Diagnostic, Failed
from dagent.runtime.rows import write_json
from dagent.runtime.scarce import advice

LIFELINE = "DAGENT_LIFELINE"  # set for processes whose standard input ends when the worker does
REQUEST = "request.json"
_RANKS = "dagent.runtime.ranks"
MARK = "dagent:"  # begins a line of theirs that is a reply; others are what libraries print

# How the others say that one of them is gone, by gloo and by NCCL: what ended it says nothing.
GONE = ("connection reset by peer", "connection closed by peer", "broken pipe", "remote process")


class Reported(Exception):
    """An error as a process described it: the ``error`` of the worker's replies."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


def launch(task: str, config: str, request: dict[str, Any], progress: Callable[..., None]) -> Any:
    """Do ``task`` by the accelerate config at the path ``config``; relative paths in it start at
    the folder ``request["project"]``. The request lies in the folder ``request["checkpoints"]``,
    which other machines must see under the same name.

    Raises:
        Reported: what one of the processes met.
        Failed: E814, one of them died.
    """
    folder = Path(request["checkpoints"])
    folder.mkdir(parents=True, exist_ok=True)
    file = write_json(folder / REQUEST, {"task": task, **request})
    try:
        words = [*command(Path(config)), str(file)]
        result, error, code = _follow(
            words, environment(Path(config)), progress, request["project"]
        )
    finally:
        file.unlink()
    if error is not None:
        raise Reported(error)
    if code or not result:
        raise Failed(
            Diagnostic(
                "E814",
                f"a process that accelerate launched died, and accelerate ended with code {code}",
                suggestion="the log says which; the same command goes on from the last "
                f"checkpoint; if memory ran out, {advice(task)}",
            )
        )
    return result[0]


def alone(task: str, request: Mapping[str, Any], progress: Callable[..., None]) -> Any:
    """Do ``task`` in one process of its own: all memory that it takes is free again afterwards,
    that of an accelerator too, and a crash in it is an error here.

    Raises:
        Reported: what the process met.
        Failed: E814, it died.
    """
    with TemporaryDirectory() as folder:
        file = write_json(Path(folder) / REQUEST, {"task": task, **request})
        words = [sys.executable, "-m", _RANKS, str(file)]
        result, error, code = _follow(words, environment(), progress)
    if error is not None:
        raise Reported(error)
    if not result:
        raise Failed(
            Diagnostic(
                "E814",
                f"the process of `{task}` died with code {code}",
                suggestion=f"the log may say why; if memory ran out, {advice(task)}",
            )
        )
    return result[0]


def _follow(
    words: Sequence[str],
    env: Mapping[str, str],
    progress: Callable[..., None],
    folder: str | None = None,
) -> tuple[list[Any], dict[str, Any] | None, int]:
    """Run processes that reply by marked lines, and pass on what else they print: the results, the
    first error and the exit code."""
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,  # nothing is written: it ends when this process does
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=env,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    result: list[Any] = []
    error: dict[str, Any] | None = None
    for line in process.stdout:
        if not line.startswith(MARK):
            print(line, end="", file=sys.stderr)
            continue
        reply = json.loads(line.removeprefix(MARK))
        if "progress" in reply:
            progress(*reply["progress"], **reply["shown"])
        elif "result" in reply:
            result.append(reply["result"])
        elif not _says_gone(reply["error"]["message"]):
            error = error or reply["error"]  # what the others say then is what its end did
    code = process.wait()
    process.stdin.close()
    return result, error, code


def _says_gone(text: str) -> bool:
    return any(words in text.lower() for words in GONE)


def command(config: Path) -> list[str]:
    """What launches ``dagent.runtime.ranks``, up to its argument."""
    words = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    says = _read(config)
    if says.get("distributed_type") == "MULTI_CPU" and not says.get("mpirun_config"):
        words.append("--multi_gpu")  # else accelerate leaves several processes on a CPU to mpirun
    if says.get("num_machines", 1) == 1 and "main_process_port" not in says:
        words += ["--main_process_port", "0"]  # a free one: other runs may train at the same time
    return [*words, "-m", _RANKS]


def environment(config: Path | None = None) -> dict[str, str]:
    """Of the launcher, and so of what it launches."""
    root = str(Path(dagent.__file__).parents[1])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    found = {**os.environ, LIFELINE: "1", "PYTHONPATH": path}
    if config is not None and _read(config).get("use_cpu"):
        found["ACCELERATE_USE_CPU"] = "true"  # the launcher of several processes does not pass it
    return found


def _read(config: Path) -> dict[str, Any]:
    says = yaml.safe_load(config.read_text(encoding="utf-8"))
    return says if isinstance(says, dict) else {}
