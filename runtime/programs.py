"""A user's Python function, named in the spec as ``file.py:function``, as generator or verifier."""

from __future__ import annotations

import importlib.util
import sys
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
        except (Exception, SystemExit) as error:  # what a library calls on bad input may exit
            raise _refused(reference, error) from error

    return call


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
