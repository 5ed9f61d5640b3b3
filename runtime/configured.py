"""Arguments that a library would refuse when its config is made: found before anything is paid for.

The worker makes the configs, which takes its imports. A plan that names plain arguments only does
not wait for them: what is wrong with those the compiler sees.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from dagent.compiler.arguments import SAMPLING, TRAINING
from dagent.compiler.places import argument_place
from dagent.compiler.plan import Step
from dagent.compiler.stages import REWARDED
from dagent.compiler.tables import table
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Note, Refused
from dagent.runtime.store import Store
from dagent.runtime.worker import Worker

PLAIN = {
    *TRAINING,
    *SAMPLING,
    "activation_checkpointing",
    "completion_only_loss",
    "do_sample",
    "lr_scheduler_type",
    "max_steps",
    "packing",
    "target_modules",
}


def check_configs(
    steps: Sequence[Step],
    project: Path,
    worker: Worker,
    store: Store,
    spec: document.Mapping | None,
) -> None:
    """Have the libraries make the configs of the plan on this machine.

    Raises:
        Refused: E878, with everything that they refuse; at its place in ``spec``, if that is there.
    """
    scratch = store.scratch()
    try:
        found = [
            _finding(told, request, spec)
            for request in _requests(steps, project)
            for told in worker.call("configure", None, **request, checkpoints=str(scratch))
        ]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if found:
        raise Refused({(d.message, d.span): d for d in found}.values())


def _requests(steps: Sequence[Step], project: Path) -> Iterator[dict[str, Any]]:
    """What to ask the worker: once for equal arguments, and not for plain ones."""
    asked: dict[str, dict[str, Any]] = {}
    for step in steps:
        if step.kind == "train":
            request = _training(step.params, project)
        elif step.kind == "evaluate" and "engine" not in step.params["answering"]:
            request = _request(generation=step.params["answering"]["generation"])
        else:
            continue
        blocks = (*(s["args"] for s in request["stages"]), request["lora"], request["generation"])
        if any(name not in PLAIN for block in blocks for name in block) or _shared(request):
            asked.setdefault(json.dumps(request, sort_keys=True), request)
    for request in asked.values():
        yield {**request, "project": str(project.absolute())}


def _training(params: Mapping[str, Any], project: Path) -> dict[str, Any]:
    launched = (params.get("accelerate") or {}).get("config")
    request = _request(stages=params["stages"], lora=params["lora"])
    if launched and _machines(project / launched) == 1:  # others join a training, and only that
        request["accelerate"] = str((project / launched).absolute())
    return request


def _request(**given: Any) -> dict[str, Any]:
    return {"stages": [], "lora": {}, "generation": {}, **given}


def _shared(request: Mapping[str, Any]) -> bool:
    """Whether several processes share out the answers that a stage draws."""
    return "accelerate" in request and any(s["stage"] in REWARDED for s in request["stages"])


def _machines(config: Path) -> int:
    says = yaml.safe_load(config.read_text(encoding="utf-8"))
    return int(says.get("num_machines", 1))


def _finding(
    found: Mapping[str, Any], request: Mapping[str, Any], spec: document.Mapping | None
) -> Diagnostic:
    block, at, names = found["table"], found["at"], found["names"]
    whole = request[block] if block in ("lora", "generation") else request["stages"][at]["args"]
    places = [argument_place(spec, block, at, name, whole.get(name)) for name in names or [None]]
    listed = ", ".join(f"`{name}`" for name in names)
    message = f"{table(block).config} refuses {listed or 'this stage'} here: {found['error']}"
    remedy = "correct or remove it" if len(names) == 1 else "correct or remove one of them"
    others = zip(names[1:], places[1:], strict=True)
    return Diagnostic(
        "E878",
        message,
        places[0],
        notes=tuple(Note(f"`{name}` stands beside it", place) for name, place in others),
        suggestion=(remedy if names else "see what it asks for") + ", then `dagent compile`",
    )
