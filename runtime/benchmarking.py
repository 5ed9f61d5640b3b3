"""Runs in the worker: a task of lm-evaluation-harness (``lm_eval``), through the library itself.

The student is loaded as everywhere, and handed over loaded: no weights but safetensors. What the
task draws is drawn by the harness's own fixed seeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.dsl.nearest import nearest
from dagent.runtime.answering import load, loading

SHOWN = 4000  # characters of a prompt that are kept


def run(request: dict[str, Any], progress: Callable[..., None]) -> list[dict[str, Any]]:
    """``{model, project, asked}``, the last the parameters of the step -> a row for each question,
    ``scores[asked["name"]]`` in 0..1.

    Raises:
        Refused: E329, the harness cannot run the task, or it gives no score of 0..1 for a row.
    """
    asked, here = request["asked"], Path.cwd()
    os.chdir(request["project"])  # what a task of the user's names is relative to the spec
    try:
        samples = _samples(request["model"], asked)
    except Exception as error:  # whatever the library says is the user's to read
        said = str(error).strip().partition("\n")[0]
        named = "" if type(error) is LookupError else f"{type(error).__name__}: "
        raise _refused(asked, named + said) from error
    finally:
        os.chdir(here)
    return [_row(task, sample, asked) for task, found in samples.items() for sample in found]


def _samples(folder: str, asked: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What the harness says of every question, by task; of several filters the first counts."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model, tokenizer = load(folder, **loading(asked))
    if torch.cuda.is_available():
        model.to("cuda")
    chat = bool(tokenizer.chat_template)
    tasks = TaskManager(include_path=asked["tasks"], include_defaults=False)
    if asked["task"] not in tasks.all_tasks:
        tasks = TaskManager(include_path=asked["tasks"])  # reads some ten thousand files
        if asked["task"] not in tasks.all_tasks and not Path(asked["task"]).is_file():
            meant = nearest(asked["task"], tasks.all_tasks)
            raise LookupError(
                "there is none of that name" + (f"; did you mean `{meant}`?" if meant else "")
            )
    found = lm_eval.simple_evaluate(
        HFLM(pretrained=model, tokenizer=tokenizer, batch_size=asked["batch"]),
        tasks=[asked["task"]],
        task_manager=tasks,
        num_fewshot=asked["shots"],
        limit=asked["limit"],
        apply_chat_template=chat,
        system_instruction=asked["system"] if chat else None,
        bootstrap_iters=0,
        log_samples=True,
    )
    samples: dict[str, list[dict[str, Any]]] = found["samples"]
    return {
        task: [s for s in each if s["filter"] == each[0]["filter"]]
        for task, each in samples.items()
        if each
    }


def _row(task: str, sample: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    metric = asked["metric"] or sample["metrics"][0]
    if metric not in sample["metrics"]:
        raise _refused(asked, f"it has no metric `{metric}` but " + ", ".join(sample["metrics"]))
    try:
        score = float(sample[metric])
    except (TypeError, ValueError):
        score = -1.0
    if not 0 <= score <= 1:
        raise _refused(asked, f"its metric `{metric}` is no score of 0 to 1 for each row")
    return {
        "id": f"{task}:{sample['doc_id']}",
        "prompt": str(sample["arguments"][0][0])[-SHOWN:],
        "answer": str(sample["target"]),
        "output": str(sample["filtered_resps"][0]),
        "scores": {asked["name"]: score},
    }


def _refused(asked: Mapping[str, Any], why: str) -> Refused:
    return Refused(
        Diagnostic(
            "E329",
            f"the task `lm_eval:{asked['task']}` cannot be run: {why}",
            suggestion="see `lm_eval ls tasks` for names; a task of the hub needs the network or "
            "the cache of `datasets`",
        )
    )
