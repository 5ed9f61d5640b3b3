from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent


def load(path: Path) -> ModuleType:
    name = f"dagent_test_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def engineers() -> ModuleType:
    """``engineer.py``: the stand-in for a language model that knows sums."""
    return load(HERE / "engineer.py")


@pytest.fixture(scope="session")
def servers() -> ModuleType:
    return load(HERE.parent / "lm" / "server.py")


@pytest.fixture
def serve(servers: ModuleType) -> Iterator[Any]:
    """``serve(answer)``: an OpenAI-compatible server that lasts as long as the test."""
    running = []

    def start(answer: Any, **more: Any) -> Any:
        server = servers.Server(answer, **more)
        running.append(server.__enter__())
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)
