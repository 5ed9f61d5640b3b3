"""What must hold of the rows of a data set: asked when compiling where they are at hand, and when
the plan runs where they are fetched or made then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dagent.compiler.dataset import Row
from dagent.compiler.overlap import prompt_hash

SHOWN = 5  # findings of one kind that are shown; the rest are counted
# Least rows of a role. Dev is split in two, and a paired exact test on fewer than 10 rows cannot
# reach 0.05 unless it wins at least 5 of them without a loss; on test an interval needs some.
LEAST = {"dev": 20, "test": 10, "guard": 5, "seed": 1, "pool": 1}
ENGINEERS = ("seed", "pool")  # roles whose rows the engineer is handed
_ORDER = ("test", "guard", "dev", "seed", "pool")  # the one to protect first


def must_not_share(one: str, other: str) -> bool:
    """Whether sets of two roles may have no prompt in common, the first the one to protect.

    Test, guard, dev: what judges must not be seen by what is judged, nor by another judge. Seeds
    and pool both go to the engineer.
    """
    return _ORDER.index(one) < _ORDER.index(other) and not {one, other} <= set(ENGINEERS)


def first_rows(rows: Iterable[Row]) -> tuple[dict[bytes, int], list[tuple[int, int]]]:
    """First row of each prompt, and the pairs (first, later) of those that are repeated."""
    first: dict[bytes, int] = {}
    again: list[tuple[int, int]] = []
    for row in rows:
        key = prompt_hash(row.prompt)
        if first.setdefault(key, row.number) != row.number:
            again.append((first[key], row.number))
    return first, again


def shared(ours: Mapping[bytes, int], theirs: Mapping[bytes, int]) -> list[tuple[int, int]]:
    """Pairs of row numbers with the same prompt, sorted."""
    return sorted((ours[key], theirs[key]) for key in ours.keys() & theirs.keys())


def too_few(title: str, role: str, rows: int) -> str | None:
    """What is wrong with a number of rows, or None."""
    if rows >= LEAST[role]:
        return None
    return f"`{title}` has {rows} rows; a {role} set needs at least {LEAST[role]}"


def unlisted(values: Iterable[str | int], listed: Sequence[str | int] | None) -> list[str | int]:
    """The values that a list, if there is one, does not have."""
    return [] if listed is None else [v for v in values if v not in listed]
