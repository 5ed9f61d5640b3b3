"""Options whose package is missing are named before anything runs; memory that ran out."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.tables import table
from dagent.dsl.diagnostics import Failed
from dagent.runtime.optional import missing
from dagent.runtime.worker import ProcessWorker


def stage(**args: Any) -> dict[str, Any]:
    return {"stage": "sft", "args": args}


def absent(package: str) -> None:
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")


def test_an_option_is_named_with_the_command_that_helps() -> None:
    absent("liger_kernel")
    absent("bitsandbytes")
    chain = [stage(use_liger_kernel=True), stage(optim="adamw_8bit", use_liger_kernel=True)]
    liger, bits = missing(chain)
    assert (liger.code, bits.code) == ("E818", "E818")
    assert "`use_liger_kernel = true` needs the package `liger-kernel`" in liger.message
    assert "pip install liger-kernel" in (liger.suggestion or "")
    assert "`optim = adamw_8bit` needs the package `bitsandbytes`" in bits.message


def test_what_is_installed_or_off_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not list(missing([stage(use_liger_kernel=False, optim="adamw_torch_fused")]))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert not list(missing([stage(use_liger_kernel=True, optim="paged_adamw_8bit")]))


def test_an_execution_ends_before_its_first_step(stub: Any, tmp_path: Path) -> None:
    from dagent.dsl.diagnostics import Refused
    from dagent.runtime.history import events_of

    absent("liger_kernel")
    spec = stub.SPEC.replace("learning_rate = 1e-3", "use_liger_kernel = true")
    folder = stub.make_project(tmp_path / "sums", spec)
    with pytest.raises(Refused, match="E818") as refused:
        stub.run_project(folder)
    assert len(refused.value.diagnostics) == 1  # of three rounds
    assert not [e for e in events_of(folder) if e["event"] == "step_started"]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", table("sft").arguments["optim"].choices)
def test_every_optimizer_that_transformers_cannot_make_is_missed(optimizer: str) -> None:
    """By asking transformers itself, with what is installed here."""
    import torch
    from transformers import Trainer
    from transformers.training_args import TrainingArguments

    args = TrainingArguments(
        output_dir="unused", optim=optimizer, use_cpu=True, optim_target_modules="all-linear"
    )
    model = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
    try:
        Trainer.get_optimizer_cls_and_kwargs(args, model)
    except (ImportError, ValueError) as error:
        lacks = isinstance(error, ImportError) or "import" in str(error) or "install" in str(error)
    else:
        lacks = False
    assert bool(list(missing([stage(optim=optimizer)]))) == lacks


@pytest.mark.slow
def test_what_no_check_foresaw_is_told_as_a_missing_package(tiny: Any, tmp_path: Path) -> None:
    """The worker itself: what a library says when it misses another."""
    absent("liger_kernel")
    base = tiny.make_student(tmp_path / "base")
    request = tiny.request(base, tmp_path / "out", (("sft", {"use_liger_kernel": True}),))
    worker = ProcessWorker(tmp_path / "log")
    try:
        with pytest.raises(Failed, match="E818") as failed:
            worker.call("train", **request)
    finally:
        worker.stop()
    assert "liger" in failed.value.diagnostics[0].message
    assert "install what it names" in (failed.value.diagnostics[0].suggestion or "")


def test_a_worker_that_cannot_import_says_so_when_it_is_asked(tmp_path: Path) -> None:
    lacking = (
        "import sys; sys.modules['trl'] = None; from dagent.runtime.worker_main import main; main()"
    )
    worker = ProcessWorker(tmp_path / "log", command=(sys.executable, "-c", lacking))
    try:
        for _ in range(2):  # it lives on, and says the same
            with pytest.raises(Failed, match="E818") as failed:
                worker.call("answer", prompts=["?"])
            assert "trl" in failed.value.diagnostics[0].message
    finally:
        worker.stop()


@pytest.mark.parametrize(
    ("task", "remedy"), [("train", "gradient_accumulation"), ("answer", "batch")]
)
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        ImportError("libgfortran.so.5: failed to map segment from shared object"),
    ],
)
def test_memory_that_ran_out_is_told_with_what_helps(
    error: Exception, task: str, remedy: str
) -> None:
    from dagent.runtime.worker_main import describe

    told = describe(error, task)
    assert told["code"] == "E813"
    assert remedy in told["suggestion"]
    assert ("qlora" in told["suggestion"]) == (task == "train")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("libgomp: Thread creation failed: Resource temporarily unavailable", "E813"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "E813"),
        ("Illegal instruction", "E814"),
    ],
)
def test_a_worker_that_a_library_ended_says_why(words: str, code: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an earlier worker said: out of memory\n")
    ends = f"import sys; input(); print({words!r}, file=sys.stderr); sys.exit(1)"
    worker = ProcessWorker(log, command=(sys.executable, "-c", ends))
    with pytest.raises(Failed, match=code) as failed:
        worker.call("train", rows=[])
    assert failed.value.diagnostics[0].notes[0].message == words
