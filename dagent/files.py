"""Writing over a file of the user's."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from errno import EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS
from pathlib import Path

from dagent.dsl.diagnostics import Diagnostic, Refused

_PATH_IS_WRONG = {EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS}


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What stands in the way of a file or folder is told as a finding.

    Raises:
        Refused: E007 where the folder is missing or may not be written to, or the name is too long.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _PATH_IS_WRONG:
            raise
        reason = (error.strerror or str(error)).lower()
        message = f"`{path}` cannot be written: {reason}"
        raise Refused(Diagnostic("E007", message, file=str(path))) from None


def write(path: Path, text: str) -> None:
    """All of the file or nothing, through links, with the rights it had.

    Raises:
        Refused: E007, see ``writing``.
    """
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with writing(path):
            _replace(temporary, path, text)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _replace(temporary: Path, path: Path, text: str) -> None:
    with temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        temporary.chmod(path.stat().st_mode)
    temporary.replace(path)
