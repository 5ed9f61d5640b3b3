"""Memory that ran out: how it is told from other errors, and what to do about it."""

from __future__ import annotations

# How torch says that there is no memory left, on a GPU and on a CPU; how the loader says it, and
# what C++ and OpenMP say when they end the process for it.
WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to map segment from shared object",
    "std::bad_alloc",
    "thread creation failed",
)
TRAINING = (
    "use a smaller `per_device_train_batch_size` with more `gradient_accumulation_steps`, "
    "`activation_checkpointing = true`, or `adapter = lora` (`qlora` on a GPU)"
)
ANSWERING = "use a smaller `batch` in `student`"
VLLM = "write `engine = transformers`, or free the GPU: vLLM takes nine tenths of it"
AGAIN = (
    "then compile and execute again: finished steps are kept. Where memory is free again, the same "
    "command goes on from the last checkpoint"
)


def is_scarce(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or says_scarce(str(error))


def says_scarce(text: str) -> bool:
    return any(words in text.lower() for words in WORDS)


def advice(task: str) -> str:
    """What to change where ``task`` of the worker had too little memory."""
    return {"train": TRAINING, "vllm": VLLM}.get(task, ANSWERING)
