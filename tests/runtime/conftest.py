from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def stub() -> ModuleType:
    """``stub.py``, which is also a script: loaded once, under one name."""
    return load("stub.py")


@pytest.fixture(scope="session")
def lm_server() -> ModuleType:
    """``lm/server.py``: ``with lm_server.Server(answer) as server``."""
    return load("lm/server.py")


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """``tiny.py``: a student of two layers, and the worker's training in this process."""
    return load("tiny.py")


def load(file: str) -> ModuleType:
    path = Path(__file__).parent / file
    name = f"dagent_test_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
