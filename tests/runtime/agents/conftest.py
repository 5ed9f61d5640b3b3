from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def engineers(load: Callable[[str], ModuleType]) -> ModuleType:
    """``engineer.py``: the stand-in for a language model that knows sums."""
    return load("agents/engineer.py")


@pytest.fixture
def play(
    load: Callable[[str], ModuleType],
    stub: ModuleType,
    engineers: ModuleType,
    serve: Any,
    tmp_path: Path,
) -> Any:
    """``play(engineer, more, files={"few.jsonl": …}, rounds=2, domain="…")``: the sums project
    engineered by that model over HTTP, as a ``playing.Played``."""
    playing = load("agents/playing.py")

    def start(engineer: Any, more: str = "", files: Any = None, **said: Any) -> Any:
        server = serve(engineer)
        folder = tmp_path / f"p{len(list(tmp_path.iterdir()))}"
        stub.make_project(folder, playing.spec(stub, server.base, more, **said))
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        stub.run_project(folder)
        return playing.Played(folder, server, engineers.asks_for)

    return start
