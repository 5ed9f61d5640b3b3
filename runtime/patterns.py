"""A user's regular expression on a text that a model wrote: within a time limit, since a text can
be such that Python's ``re`` searches it for ever."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

LIMIT = 2.0  # seconds that a search may take
SLOW = f"the pattern takes over {LIMIT:g} s on it"


def search(pattern: str, text: str) -> Any:
    """The first match, as of ``re.search``; ``None`` without one.

    Raises:
        TimeoutError: the limit passed.
        ValueError: it is no regular expression.
    """
    return _compiled(pattern).search(text, timeout=LIMIT)


@lru_cache(256)
def _compiled(pattern: str) -> Any:
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(str(error)) from None
