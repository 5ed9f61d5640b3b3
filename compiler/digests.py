"""Digests of files and folders: what the lock pins."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dagent.compiler.plan import digest


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's sorted (relative path, digest) pairs; 64 hex digits.

    Raises:
        OSError: when something cannot be read.
    """
    if path.is_dir():
        return digest(
            {
                p.relative_to(path).as_posix(): content_digest(p)
                for p in sorted(path.rglob("*"))
                if p.is_file()
            }
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derived_seed(seed: int, purpose: str, round: int | None = None) -> int:
    """The seed of one random thing: 31 bits of SHA-256 of ``"seed:purpose[:round]"``.

    Independent draws stay independent when another is added, and a round's draw does not depend on
    how many rounds there are.

    >>> derived_seed(0, "train", 1) != derived_seed(0, "train", 2)
    True
    """
    text = f"{seed}:{purpose}" if round is None else f"{seed}:{purpose}:{round}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31
