"""The table of prices that dagent ships."""

from __future__ import annotations

import json

from dagent.compiler.prices import TABLE, price


def test_the_table_says_whence_and_when_and_every_price_can_be() -> None:
    table = json.loads(TABLE.read_text())
    assert table["source"]
    assert table["date"]
    assert len(table["models"]) > 100
    for name, found in table["models"].items():
        assert "/" in name
        assert 0 < found["input"] < 1000
        assert 0 < found["output"] < 2000
        assert found.get("cached_input", 0) <= found["input"], name
        assert found.get("batch_input", 0) <= found["input"], name
        assert ("batch_input" in found) == ("batch_output" in found), name


def test_a_model_by_its_name() -> None:
    found = price("openai/gpt-4o-mini")
    assert found is not None
    assert found.cost(1_000_000, 0) == found.input
    assert price("nobody/knows") is None
