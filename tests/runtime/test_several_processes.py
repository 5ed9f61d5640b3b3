"""A training in two processes on a CPU, launched by `accelerate launch` (gloo)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dagent.compiler.digests import content_digest
from dagent.dsl.diagnostics import Failed
from dagent.runtime import launching
from dagent.runtime.launching import MARK, launch
from dagent.runtime.worker import ProcessWorker

pytestmark = pytest.mark.xdist_group("training")
TWO = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
use_cpu: true
num_machines: 1
num_processes: 2
mixed_precision: 'no'
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessWorker]:
    found = ProcessWorker(tmp_path_factory.mktemp("worker") / "log")
    found.start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def base(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tiny.make_student(tmp_path_factory.mktemp("student") / "base")
    return made


@pytest.fixture
def two(tmp_path: Path) -> Path:
    file = tmp_path / "accelerate.yaml"
    file.write_text(TWO)
    return file


def losses(tiny: Any, out: Path, stage: str) -> list[float]:
    return [point["loss"] for point in tiny.curve(out, stage)]


def test_two_processes_train_as_one_does_on_twice_the_batch(
    tiny: Any, base: Path, two: Path, tmp_path: Path
) -> None:
    def stages(batch: int) -> Any:
        size = {"per_device_train_batch_size": batch}
        return ("sft", {"num_train_epochs": 3, **size}), ("dpo", {"num_train_epochs": 1, **size})

    alone = tiny.train(base, tmp_path / "alone", *stages(8))
    shown: list[tuple[int, int]] = []
    request = tiny.request(base, tmp_path / "both", stages(4))
    done = launch("train", str(two), request, lambda *steps, **_: shown.append(steps))
    assert done["rows"] == len(tiny.ROWS)
    both = tmp_path / "both"
    assert (both / "model.safetensors").is_file()
    for stage in ("1.sft", "2.dpo"):
        assert losses(tiny, both, stage) == pytest.approx(losses(tiny, alone, stage), abs=2e-3)
    right = [(row["prompt"], row["answer"]) for row in tiny.ROWS]
    likely = [sum(tiny.likelihood(model, right)) for model in (base, alone, both)]
    assert likely[2] == pytest.approx(likely[1], rel=0.02)
    assert likely[2] > 0.8 * likely[0]
    assert shown[-1][0] == shown[-1][1]


@pytest.mark.slow
def test_the_answers_that_a_chain_begins_with_are_shared_out(
    tiny: Any, base: Path, two: Path, tmp_path: Path
) -> None:
    shown: list[tuple[int, int]] = []
    request = tiny.request(base, tmp_path / "out", (("dpo", {"max_steps": 1}),))
    launch("train", str(two), request, lambda *steps, **_: shown.append(steps))
    half = len(tiny.ROWS) // 2
    assert shown[0] == (half, half)


@pytest.mark.slow
def test_configs_are_made_in_the_processes_that_will_train(
    worker: ProcessWorker, two: Path, tmp_path: Path
) -> None:
    """Eight answers at a time are no two batches of eight, which one process would not see."""
    args = {"num_generations": 8, "generation_batch_size": 8}
    request: dict[str, Any] = {
        "stages": [{"stage": "grpo", "args": args}],
        "lora": {},
        "generation": {},
        "checkpoints": str(tmp_path / "scratch"),
        "project": str(tmp_path),
    }
    assert not worker.call("configure", **request)
    (found,) = worker.call("configure", **request, accelerate=str(two))
    assert found["names"] == ["generation_batch_size"]
    assert "global batch size (16)" in found["error"]
    right = {
        **request,
        "stages": [{"stage": "grpo", "args": {**args, "generation_batch_size": 16}}],
    }
    assert not worker.call("configure", **right, accelerate=str(two))


def ranks() -> list[int]:
    """The processes that run the task."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"dagent.runtime.ranks" in words and b"accelerate.commands.launch" not in words:
            found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_a_killed_process_ends_the_training_which_goes_on_from_its_checkpoint(
    tiny: Any, worker: ProcessWorker, base: Path, two: Path, tmp_path: Path
) -> None:
    stages = (("sft", {"num_train_epochs": 20}),)
    whole = tiny.request(base, tmp_path / "whole", stages, accelerate=str(two))
    worker.call("train", **whole)
    request = tiny.request(base, tmp_path / "out", stages, accelerate=str(two), every=0)

    def kill(done: int, total: int, **_: object) -> None:
        mine = [p for p in ranks() if str(two.parent) in working_in(p)]
        if done == 20:  # of 40: what is still to do needs both
            os.kill(max(mine), signal.SIGKILL)

    with pytest.raises(Failed, match="E814") as failed:
        worker.call("train", kill, **request)
    assert "goes on from the last checkpoint" in (failed.value.diagnostics[0].suggestion or "")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob("out.checkpoints/1.sft/checkpoint-*"))
    worker.call("train", **request)
    assert content_digest(tmp_path / "out") == content_digest(tmp_path / "whole")


def test_what_a_process_is_told_of_anothers_end_is_not_the_cause(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed says nothing; the others say that their connection is gone."""
    gone = {
        "code": "E814",
        "message": "RuntimeError: [pair.cc:537] Connection reset by peer. GLHF!",
    }
    cause = {"code": "E870", "message": "the loss is nan"}

    def ends_with(*errors: dict[str, str]) -> None:
        said = "".join(f"print({MARK + json.dumps({'error': e})!r});" for e in errors)
        monkeypatch.setattr(
            launching, "command", lambda _: [sys.executable, "-c", said + "exit(1)"]
        )
        request = {"checkpoints": str(tmp_path), "project": str(tmp_path)}
        launching.launch("train", str(two), request, lambda *_, **__: None)

    with pytest.raises(Failed, match="E814: a process that accelerate launched died"):
        ends_with(gone)
    with pytest.raises(launching.Reported, match="the loss is nan"):
        ends_with(gone, cause)


def working_in(process: int) -> str:
    return os.readlink(f"/proc/{process}/cwd")


@pytest.mark.slow
def test_no_process_outlives_the_worker(tiny: Any, base: Path, two: Path, tmp_path: Path) -> None:
    worker = ProcessWorker(tmp_path / "log")
    stages = (("sft", {"num_train_epochs": 400}),)
    request = tiny.request(base, tmp_path / "out", stages, accelerate=str(two))
    mine: list[int] = []

    def kill(done: int, total: int, **_: object) -> None:
        mine.extend(p for p in ranks() if str(two.parent) in working_in(p))
        assert worker._process
        os.kill(worker._process.pid, signal.SIGKILL)

    with pytest.raises(Failed, match="E81"):
        worker.call("train", kill, **request)
    assert len(set(mine)) == 2
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(Path(f"/proc/{p}").exists() for p in mine):
        time.sleep(0.2)
    assert not [p for p in mine if Path(f"/proc/{p}").exists()]


MACHINES = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
use_cpu: true
num_machines: 2
num_processes: 2
same_network: true
main_process_ip: 127.0.0.1
main_process_port: {port}
machine_rank: {rank}
"""


@pytest.mark.slow
def test_another_machine_follows(tiny: Any, base: Path, tmp_path: Path) -> None:
    """Two launchers, as on two machines that share a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configs = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    for rank, file in enumerate(configs):
        file.write_text(MACHINES.format(port=port, rank=rank))
    follower = subprocess.Popen(
        [sys.executable, "-m", "dagent.runtime.following", str(configs[1]), str(tmp_path)],
        stderr=subprocess.DEVNULL,
    )
    try:
        stages = (("sft", {"num_train_epochs": 3, "per_device_train_batch_size": 4}),)
        request = tiny.request(base, tmp_path / "out", stages)
        request["checkpoints"] = str(tmp_path / ".dagent" / "store" / "unfinished" / "abcd")
        done = launch("train", str(configs[0]), request, lambda *_, **__: None)
    finally:
        follower.kill()
        follower.wait()
    assert done["rows"] == len(tiny.ROWS)
    alone = ("sft", {"num_train_epochs": 3, "per_device_train_batch_size": 8})
    expected = losses(tiny, tiny.train(base, tmp_path / "alone", alone), "1.sft")
    assert losses(tiny, tmp_path / "out", "1.sft") == pytest.approx(expected, abs=2e-3)


FSDP = """\
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
num_machines: 1
num_processes: 2
mixed_precision: 'no'
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_transformer_layer_cls_to_wrap: LlamaDecoderLayer
  fsdp_state_dict_type: FULL_STATE_DICT
  fsdp_reshard_after_forward: true
"""


DEEPSPEED = """\
compute_environment: LOCAL_MACHINE
distributed_type: DEEPSPEED
num_machines: 1
num_processes: 2
mixed_precision: 'no'
deepspeed_config:
  zero_stage: {stage}
  gradient_accumulation_steps: 1
  offload_optimizer_device: none
  offload_param_device: none
  zero3_init_flag: false
  zero3_save_16bit_model: true
"""
SHARDED = {
    "fsdp": FSDP,
    "zero2": DEEPSPEED.format(stage=2),
    "zero3": DEEPSPEED.format(stage=3),
}


CHAINS = {
    "sft": ("sft",),
    "sft, dpo": ("sft", "dpo"),
    "sft, grpo": ("sft", "grpo"),
}
ON_GPUS = pytest.mark.skipif(
    torch.cuda.device_count() < 2, reason="accelerate shards on GPUs alone"
)


def sharding_config(sharding: str, folder: Path) -> Path:
    if sharding != "fsdp":
        pytest.importorskip("deepspeed")
    config = folder / "accelerate.yaml"
    config.write_text(SHARDED[sharding])
    return config


@ON_GPUS
@pytest.mark.parametrize("adapter", ["full", "lora"])
@pytest.mark.parametrize("chain", sorted(CHAINS))
@pytest.mark.parametrize("sharding", sorted(SHARDED))
def test_sharded_weights_come_out_whole(
    tiny: Any, base: Path, tmp_path: Path, sharding: str, chain: str, adapter: str
) -> None:
    config = sharding_config(sharding, tmp_path)
    epochs = {"sft": 3, "dpo": 1, "grpo": 1}
    stages = [
        (
            stage,
            {
                "num_train_epochs": epochs[stage],
                "per_device_train_batch_size": 4,
                "bf16": False,
                **({"num_generations": 4} if stage == "grpo" else {}),
            },
        )
        for stage in CHAINS[chain]
    ]
    request = tiny.request(base, tmp_path / "out", stages, adapter=adapter)
    done = launch("train", str(config), request, lambda *_, **__: None)
    assert [stage["stage"] for stage in done["stages"]] == list(CHAINS[chain])
    right = [(row["prompt"], row["answer"]) for row in tiny.ROWS]
    assert sum(tiny.likelihood(tmp_path / "out", right)) > sum(tiny.likelihood(base, right)) + 10
    assert not list((tmp_path / "out").glob("adapter*"))


@ON_GPUS
@pytest.mark.parametrize("sharding", sorted(SHARDED))
def test_a_sharded_training_goes_on_from_its_checkpoint(
    tiny: Any, worker: ProcessWorker, base: Path, tmp_path: Path, sharding: str
) -> None:
    config = sharding_config(sharding, tmp_path)
    args = {"num_train_epochs": 10, "per_device_train_batch_size": 4, "bf16": False}
    stages = (("sft", args),)
    whole = tiny.request(base, tmp_path / "whole", stages)
    launch("train", str(config), whole, lambda *_, **__: None)
    request = tiny.request(base, tmp_path / "out", stages, accelerate=str(config), every=0)

    def kill(done: int, total: int, **_: object) -> None:
        if done == 20:
            os.kill(max(p for p in ranks() if str(tmp_path) in working_in(p)), signal.SIGKILL)

    with pytest.raises(Failed, match="E814"):
        worker.call("train", kill, **request)
    steps: list[int] = []
    worker.call("train", lambda done, total, **_: steps.append(done), **request)
    assert min(steps) >= 15
    expected = losses(tiny, tmp_path / "whole", "1.sft")
    assert losses(tiny, tmp_path / "out", "1.sft") == pytest.approx(expected, abs=2e-3)
