"""An exception that nobody expected -> the diagnostic that helps its reader most."""

from __future__ import annotations

import errno
import os

from dagent.dsl.diagnostics import Diagnostic, Note

_REPORT = "run it again with --debug and report what it prints"


def diagnose(error: BaseException) -> Diagnostic:
    """What the machine refused, as far as the error tells; else E900, which asks for a report."""
    if _no_room(error):
        return Diagnostic(
            "E810",
            "the disk is full",
            suggestion="free some space and run the same command again: it continues",
        )
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, MemoryError):
        return Diagnostic("E813", "the machine is out of memory", suggestion="use less at a time")
    if isinstance(error, RecursionError):
        return Diagnostic("E027", "something is nested too deeply", suggestion="flatten it")
    if isinstance(error, UnicodeDecodeError):
        return Diagnostic("E004", f"not UTF-8 text: {error.reason}", suggestion="save it as UTF-8")
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package != "dagent":
            message = f"the package `{package}` is not installed"
            return Diagnostic("E818", message, suggestion="pip install 'dagent[all]'")
    return _internal(error)


def _no_room(error: BaseException) -> bool:
    """Some libraries, and ``shutil.copytree``, pass on the system's words without its number."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in numbers or any(
        os.strerror(number) in str(error) for number in numbers
    )


def _system(error: OSError) -> Diagnostic:
    file = str(error.filename) if error.filename is not None else None
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        message = f"access to `{file}` is denied" if file else "access is denied"
        return Diagnostic("E812", message, suggestion="check who may write there", file=file)
    if error.errno == errno.EADDRINUSE:
        message = "the port is taken by another program"
        return Diagnostic("E811", message, suggestion="choose another with --port")
    if error.errno == errno.ENOENT and file:
        return Diagnostic("E001", f"there is no file `{file}`", file=file)
    if error.errno == errno.EISDIR and file:
        return Diagnostic("E002", f"`{file}` is a folder", file=file)
    if error.errno == errno.ENOMEM:
        return Diagnostic("E813", "the machine is out of memory", suggestion="use less at a time")
    return _internal(error)


def _internal(error: BaseException) -> Diagnostic:
    said = str(error).strip().splitlines()
    message = f"unexpected {type(error).__name__}" + (f": {said[0]}" if said else "")
    note = Note("this is a fault of dagent, not of your spec; what was finished is kept")
    return Diagnostic("E900", message, suggestion=_REPORT, notes=(note,))
