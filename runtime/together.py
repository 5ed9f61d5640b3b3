"""Runs in the worker or in one of the processes that accelerate launched: what these do once, share
out or agree on. In a process alone nothing is shared out, and nobody is waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

T = TypeVar("T")


def first() -> bool:
    """Whether this process is the one that writes."""
    return bool(PartialState().is_main_process)


def device() -> Any:
    """The device of this process."""
    return PartialState().device


def wait() -> None:
    PartialState().wait_for_everyone()


def agreed(decide: Callable[[], T]) -> T:
    """What the first process decides; the others wait for it, and do not decide."""
    found: list[Any] = [decide() if first() else None]
    if PartialState().num_processes > 1:
        broadcast_object_list(found)
    decided: T = found[0]
    return decided


def shared(work: Callable[[list[T]], list[Any]], items: Sequence[T]) -> list[Any]:
    """``work(items)``, each process doing its share: one result an item, in the items' order."""
    state = PartialState()
    count, rank = state.num_processes, state.process_index
    if count == 1:
        return work(list(items))
    mine = range(rank, len(items), count)
    done = work([items[n] for n in mine])
    found = dict(gather_object(list(zip(mine, done, strict=True))))
    return [found[n] for n in range(len(items))]
