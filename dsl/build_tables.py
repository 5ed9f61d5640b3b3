"""Writes ``tables.py`` from ``grammar.lark``: `python -m dagent.dsl.build_tables`.

Lark needs 0.3 s to turn a grammar into tables, most of the time that `dagent compile` may take,
and 2 ms to load tables made before. A test fails when the tables are not those of the grammar.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

GRAMMAR = Path(__file__).with_name("grammar.lark")
TABLES = Path(__file__).with_name("tables.py")
OPTIONS = {
    "parser": "lalr",
    "lexer": "basic",
    "propagate_positions": True,
    "maybe_placeholders": False,
}


def digest() -> str:
    return hashlib.sha256(GRAMMAR.read_bytes()).hexdigest()


def generate() -> str:
    """The text of ``tables.py``. States are numbered differently in every run."""
    import lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    parser = lark.Lark(GRAMMAR.read_text(encoding="utf-8"), **OPTIONS)
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    lines = [
        '"""Made from grammar.lark by `python -m dagent.dsl.build_tables`; never edited."""',
        "# ruff: noqa",
        "# fmt: off",
        "from typing import Any",
        f"GRAMMAR = {digest()!r}",
        f"LARK = {lark.__version__!r}",
        f"DATA: dict[str, Any] = {data!r}",
        f"MEMO: dict[int, Any] = {memo!r}",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLES.write_text(generate(), encoding="utf-8")
