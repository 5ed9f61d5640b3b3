"""What is said of one code."""

from __future__ import annotations

from msgspec import Struct


class Code(Struct, frozen=True):
    title: str
    what: str
    why: str
    example: str
    fix: str
