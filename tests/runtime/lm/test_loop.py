"""The loop that agents and their calls share."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from dagent.runtime.lm.loop import in_caller, loop, run


def test_work_runs_on_the_loop_with_the_contexts_of_who_waits() -> None:
    told = ContextVar("told", default="nothing")

    async def work() -> tuple[str, bool]:
        return told.get(), asyncio.get_running_loop() is loop()

    told.set("something")
    assert run(work()) == ("something", True)


def test_what_it_raises_arrives() -> None:
    async def work() -> None:
        raise KeyError("here")

    with pytest.raises(KeyError, match="here"):
        run(work())


def test_a_function_runs_in_the_thread_that_waits_and_stops_nobody_else() -> None:
    ticked = threading.Event()

    def slow() -> threading.Thread:
        assert ticked.wait(5), "the loop stood still"
        return threading.current_thread()

    async def tick() -> None:
        ticked.set()

    async def work() -> threading.Thread:
        thread, _ = await asyncio.gather(in_caller(slow), tick())
        return thread

    assert run(work()) is threading.current_thread()


def test_what_a_function_raises_is_raised_where_it_was_called() -> None:
    async def work() -> str:
        try:
            await in_caller(int, "x")
        except ValueError:
            return "told"
        return "silent"

    assert run(work()) == "told"
    assert asyncio.run(work()) == "told"  # on another loop nobody waits, and it is called in place


def test_an_interrupt_ends_the_work_first() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0.1)  # until somebody waits
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            ended.append("tidy")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            run(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == ["tidy"]


@pytest.mark.parametrize("begun", [True, False])
def test_an_interrupt_before_anybody_waits_ends_the_work_too(
    begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = threading.Event()
    ended: list[str] = []
    call = loop().call_soon_threadsafe

    async def work() -> None:
        try:
            running.set()
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            ended.append("tidy")

    def interrupted(function: Callable[[], None]) -> None:
        monkeypatch.undo()
        if begun:
            call(function)
            assert running.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop(), "call_soon_threadsafe", interrupted)
    asked = work()
    with pytest.raises(KeyboardInterrupt):
        run(asked)
    assert ended == (["tidy"] if begun else [])
    assert inspect.getcoroutinestate(asked) == inspect.CORO_CLOSED


def test_the_loop_does_not_wait_for_itself() -> None:
    async def inner() -> None: ...

    async def work() -> None:
        run(inner())

    with pytest.raises(RuntimeError, match="itself"):
        run(work())
