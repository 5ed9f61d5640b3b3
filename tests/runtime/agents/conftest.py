from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def engineers(load: Callable[[str], ModuleType]) -> ModuleType:
    """``engineer.py``: the stand-in for a language model that knows sums."""
    return load("agents/engineer.py")
