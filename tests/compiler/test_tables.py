"""The tables of TRL's and PEFT's arguments are those of the installed versions."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from dagent.compiler.passes.check_train import OWNED, OWNED_LORA
from dagent.compiler.tables import TABLES, build, table


@pytest.mark.parametrize(("name", "owned"), [("trl_sft", OWNED), ("peft_lora", OWNED_LORA)])
def test_what_dagent_owns_exists(name: str, owned: dict[str, str]) -> None:
    assert set(owned) <= set(table(name)["arguments"])


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_tables_match_what_is_installed(name: str) -> None:
    pytest.importorskip(TABLES[name][0])
    installed = {package: version(package) for package in TABLES[name][2]}
    if installed != table(name)["versions"]:
        pytest.skip("another version is installed; `python -m dagent.compiler.tables` updates")
    assert build(name) == table(name)
