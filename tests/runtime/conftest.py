from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def stub() -> ModuleType:
    """``stub.py``, which is also a script: loaded once, under one name."""
    path = Path(__file__).parent / "stub.py"
    spec = importlib.util.spec_from_file_location("dagent_test_stub", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
