"""How a call of a language model can end without an answer, by what the caller can do about it.

``OutOfBudget`` (``runtime/meter.py``) is the fourth: a cap leaves no room for the call.
"""

from __future__ import annotations

from dagent.dsl.diagnostics import Failed, Refused


class Fatal(Refused):
    """No call of this kind can succeed: no key, a refused key, no such model, no credit.

    The user has to mend it; the run stops and continues from there. Carries code and remedy.
    """


class Unavailable(Failed):
    """The server gave no answer at all for as long as patience lasts. The run can be continued."""


class Unusable(Exception):
    """This one call came to nothing: refused, empty, too long, or failing wherever others succeed.

    ``str`` is the reason, fit to be a reject's ``reason``. Other calls go on.
    """


def told(text: str) -> str:
    """What a server or a model said, on one line that every screen and file can take.

    >>> told("slow\\n down\\x1b[2J \\ud800")
    'slow down [2J'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
