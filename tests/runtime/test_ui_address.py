"""`dagent ui` at an address that it cannot have."""

from __future__ import annotations

import pytest

from dagent.commands.ui import _free
from dagent.dsl.diagnostics import Refused


def test_an_address_of_no_machine_here_is_told() -> None:
    with pytest.raises(Refused) as refused:
        _free("203.0.113.1", 0)  # kept for documentation: nobody has it
    assert [d.code for d in refused.value.diagnostics] == ["E819"]
