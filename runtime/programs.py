"""A user's Python function, named in the spec as ``file.py:function``, as generator or verifier."""

from __future__ import annotations

import importlib.util
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from dagent.dsl.diagnostics import Diagnostic, Note, Refused


def load_function(reference: str, project: Path) -> Callable[..., Any]:
    """The function, from a module loaded afresh, with its own folder importable.

    Raises:
        Refused: E815 when the file cannot be loaded or has no such function.
    """
    file, _, name = reference.rpartition(":")
    module = load_module(project / file)
    function = getattr(module, name, None)
    if not callable(function):
        raise Refused(
            Diagnostic("E815", f"`{file}` has no function `{name}`", file=str(project / file))
        )
    return guarded(function, reference)


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_dagent_program_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[spec.name] = module  # where dataclasses look up the annotations of their fields
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _refused(path.name, error) from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def guarded(function: Callable[..., Any], reference: str) -> Callable[..., Any]:
    """The function, its exceptions turned into a finding that names the line of the user's code."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Refused:
            raise
        except (Exception, SystemExit) as error:  # what a library calls on bad input may exit
            raise _refused(reference, error) from error

    return call


def limited(function: Callable[..., Any], reference: str, seconds: float) -> Callable[..., Any]:
    """The function, ended with a finding when a call takes longer: it would hold up the run, caps
    on time and all. Only the main thread, where steps are at work, can be told that time is up."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"{seconds:g} s are over; `timeout` of the metric allows more")

    @wraps(function)
    def call(*args: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return function(*args)
        before = signal.signal(signal.SIGALRM, late)
        # And again each second, where the function catches it.
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        try:
            return function(*args)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return guarded(call, reference)


def _refused(reference: str, error: BaseException) -> Refused:
    frames = traceback.extract_tb(error.__traceback__)
    file = Path(reference.rpartition(":")[0] or reference).name
    own = [frame for frame in frames if Path(frame.filename).name == file]
    place = (own or frames)[-1]  # where the user's own code stood, not the library it called
    return Refused(
        Diagnostic(
            "E815",
            f"your program `{reference}` raised {type(error).__name__}: {error}",
            suggestion="mend it, then compile and execute again; finished steps are kept",
            notes=(Note(f"at {Path(place.filename).name}:{place.lineno}: {place.line}"),),
            file=place.filename,
        )
    )
