"""What a teacher's answer says: its text, and the values of the JSON in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_FENCED = re.compile(r"```(?:\w+)?\n(.*?)```", re.DOTALL)


def parsed(text: str) -> Any:
    """The JSON that a text is, or holds in its first fence; None if it is none."""
    fenced = _FENCED.search(text)
    for candidate in (text, fenced[1] if fenced else ""):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return None


def said(text: str) -> Iterator[str]:
    """The text itself, and every text and number of its JSON, without their escapes."""
    yield text
    waiting = [parsed(text)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int | float):
            yield json.dumps(value)
