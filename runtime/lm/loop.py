"""The event loop of language models: one for the process, in a thread of its own, so that whatever
asks shares connections and the pace.

Threads that take turns at the interpreter cost more than what a call computes. So agents run on
this loop too, and what is done for a call is done there, but for waiting for the disk.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import ContextVar
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_jobs: ContextVar[SimpleQueue[Any] | None] = ContextVar("jobs", default=None)


@cache
def loop() -> asyncio.AbstractEventLoop:
    """Running already."""
    # Calls in flight are thousands of young objects: looked through for cycles every 700, as is
    # Python's custom, they would cost a fifth of the time.
    gc.set_threshold(10_000, 10, 10)
    made = _Loop()
    threading.Thread(target=made.run_forever, name="language-models", daemon=True).start()
    return made


def run(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, on this loop. Who is interrupted while waiting has it cancelled first."""
    if on_loop():
        work.close()
        raise RuntimeError("the loop of language models cannot wait for itself")
    jobs: SimpleQueue[Callable[[], None] | asyncio.Task[T] | None] = SimpleQueue()
    task: asyncio.Task[T] | None = None

    def begin() -> None:
        nonlocal task
        _jobs.set(jobs)
        task = loop().create_task(work)
        task.add_done_callback(jobs.put)

    def stop() -> None:
        if task is None:  # nobody came to begin it
            work.close()
            jobs.put(None)
        else:
            task.cancel()

    try:
        loop().call_soon_threadsafe(begin)
        while callable(job := jobs.get()):
            job()
    except BaseException:
        loop().call_soon_threadsafe(stop)
        while callable(jobs.get()):
            pass
        raise
    assert job is not None
    return job.result()


async def in_caller(function: Callable[..., T], *args: Any) -> T:
    """Call what takes long, or is at home in the main thread only, in the thread that waits in
    ``run``: the answers of other calls are received meanwhile."""
    jobs = _jobs.get()
    if jobs is None:
        return function(*args)
    done: Future[T] = Future()

    def job() -> None:
        try:
            done.set_result(function(*args))
        except Exception as error:
            done.set_exception(error)

    jobs.put(job)
    return await asyncio.wrap_future(done)


def on_loop() -> bool:
    """Whether this code runs on it."""
    try:
        return asyncio.get_running_loop() is loop()
    except RuntimeError:
        return False


class _Loop(asyncio.SelectorEventLoop):
    """DSPy sends what takes microseconds to threads, twice a call: here it is done in place."""

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        inner = func.args[0] if isinstance(func, partial) and func.args else None
        if executor or getattr(inner, "__module__", "") != "dspy.clients.execution":
            return super().run_in_executor(executor, func, *args)
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done
