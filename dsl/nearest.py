"""The one name that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``word``, or None if none is close.

    A name counts as close when at most a third of its letters differ: more than that suggests
    anything for everything. Else the one name counts that has the word among its parts, or that is
    abbreviated by it.

    >>> nearest("learning_rat", ["learning_rate", "warmup_steps"])
    'learning_rate'
    >>> names = ["learning_rate", "num_train_epochs"]
    >>> nearest("epochs", names), nearest("lr", names), nearest("xyz", names)
    ('num_train_epochs', 'learning_rate', None)
    """
    known = sorted(known)
    best, least = None, 1 + max(1, len(word) // 3)
    for name in known:
        distance = _distance(word.lower(), name.lower(), least)
        if distance < least:
            best, least = name, distance
    if best is None and len(word) > 1:
        meant = [name for name in known if _stands_for(word.lower(), name.lower().split("_"))]
        best = meant[0] if len(meant) == 1 else None
    return best


def _stands_for(word: str, parts: list[str]) -> bool:
    """Whether a name of several parts has the word as one of them, or as its initials."""
    return len(parts) > 1 and (word in parts or word == "".join(part[:1] for part in parts))


def surely(word: str, known: Iterable[str]) -> str | None:
    """The one name that can be meant: it is close, and no other is as close.

    >>> surely("ronds", ["rounds", "rows"]), surely("max", ["mix", "map"])
    ('rounds', None)
    """
    known = sorted(set(known))
    best = nearest(word, known)
    if best is None:
        return None
    far = len(word) + max(map(len, known))
    least = _distance(word.lower(), best.lower(), far)
    others = (_distance(word.lower(), name.lower(), far) for name in known if name != best)
    return best if all(other > least for other in others) else None


def _distance(a: str, b: str, limit: int) -> int:
    """Edits between two words (insert, delete, replace, swap of neighbours), up to ``limit``."""
    if abs(len(a) - len(b)) >= limit:
        return limit
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row, older = row, [i], before
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if older and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = last
    return row[-1]


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A suggestion in words: the nearest name, else ``otherwise``."""
    name = nearest(word, known)
    return f"did you mean `{name}`?" if name else otherwise
