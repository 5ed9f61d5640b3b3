"""A model's safetensors files, of which only the headers are read.

A file is 8 bytes of length, a header of that length in JSON, and the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST = 100_000_000  # the format's own limit on a header
_AGAIN = "download or save the model again"


def tensors(model: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a folder."""
    files = sorted(model.glob("*.safetensors"))
    return {name: t["shape"] for file in files for name, t in (_header(file) or {}).items()}


def fault(model: Path) -> tuple[str, str] | None:
    """What is wrong with the files in a folder, as a download leaves them; and what to do."""
    for file in sorted(model.glob("*.safetensors")):
        header, size = _header(file), file.stat().st_size
        if header is None:
            if _start(file) == b"version ":
                return f"`{file.name}` is a pointer of Git LFS, not the file", "run `git lfs pull`"
            return f"`{file.name}` is no safetensors file, or was cut short", _AGAIN
        whole = _begins(file) + max((t["data_offsets"][1] for t in header.values()), default=0)
        if size < whole:
            return f"`{file.name}` is cut short: it has {size:,} of {whole:,} bytes", _AGAIN
    try:
        index = json.loads((model / "model.safetensors.index.json").read_text(encoding="utf-8"))
        missing = sorted({n for n in index["weight_map"].values() if not (model / n).is_file()})
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return (f"`{missing[0]}`, which its index names, is not there", _AGAIN) if missing else None


def _header(file: Path) -> Mapping[str, Any] | None:
    """What a file says of each of its tensors; ``None`` where it is no such file."""
    if not 8 <= (begins := _begins(file)) <= _MOST:
        return None
    with file.open("rb") as data:
        data.seek(8)
        try:
            header = json.loads(data.read(begins - 8))
        except ValueError:
            return None
    if not isinstance(header, dict):
        return None
    header.pop("__metadata__", None)
    return header if all(map(_sound, header.values())) else None


def _begins(file: Path) -> int:
    """Where the numbers begin."""
    return 8 + int.from_bytes(_start(file), "little")


def _start(file: Path) -> bytes:
    with file.open("rb") as data:
        return data.read(8)


def _sound(tensor: Any) -> bool:
    """Whether what a header says of a tensor has its shape and its place."""
    if not isinstance(tensor, dict):
        return False
    shape, place = tensor.get("shape"), tensor.get("data_offsets")
    return isinstance(shape, list) and isinstance(place, list) and len(place) == 2
