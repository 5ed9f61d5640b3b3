from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Load = Callable[[str], ModuleType]


@pytest.fixture(scope="session")
def load() -> Load:
    """``load("lm/server.py")``: a module that several tests use, once, under one name."""
    return _load


@pytest.fixture(scope="session")
def stub() -> ModuleType:
    """``stub.py``, which is also a script."""
    return _load("stub.py")


@pytest.fixture(scope="session")
def lm_server() -> ModuleType:
    """``lm/server.py``: ``with lm_server.Server(answer) as server``."""
    return _load("lm/server.py")


@pytest.fixture
def serve(lm_server: ModuleType) -> Iterator[Any]:
    """``serve(answer)``: an OpenAI-compatible server that lasts as long as the test."""
    running = []

    def start(answer: Any, **more: Any) -> Any:
        server = lm_server.Server(answer, **more)
        running.append(server.__enter__())
        return server

    yield start
    for server in running:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """``tiny.py``: a student of two layers, and the worker's training in this process."""
    return _load("tiny.py")


def _load(file: str) -> ModuleType:
    path = Path(__file__).parent / file
    name = f"dagent_test_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
