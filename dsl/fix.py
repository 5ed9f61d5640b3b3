"""The remedies that no one needs to think about, made: `dagent check --fix`.

Fixes are made until none is left. None may cost anything: after it no more of the text is
unreadable than before, and nothing is wrong with what it wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from dagent.dsl.diagnostics import Diagnostic, Edit
from dagent.dsl.source import Source

Check = Callable[[Source], Sequence[Diagnostic]]
MOST = 50  # rounds; a text that asks for more is not getting better
_Fix = tuple[Edit, ...]


class Mended(Struct, frozen=True):
    """``made`` fixes gave ``source``, of which ``left`` is still to be said."""

    source: Source
    made: int
    left: tuple[Diagnostic, ...]


def mend(source: Source, check: Check) -> Mended:
    """Make every fix of the findings of ``check``, and of those that come to light after it."""
    now = Mended(source, 0, tuple(check(source)))
    seen = {source.text}
    for _ in range(MOST):
        fixes = _apart(now.source, now.left)
        # Together if they agree; one that does harm is left out by trying each.
        tries = [fixes] if len(fixes) == 1 else [fixes, *([fix] for fix in fixes)]
        after = (_made(now, some, check) for some in tries if some)
        better = next((m for m in after if m is not None and m.source.text not in seen), None)
        if better is None:
            break
        now = better
        seen.add(now.source.text)
    return now


def _apart(source: Source, found: Iterable[Diagnostic]) -> list[_Fix]:
    """The fixes within the source of which no two touch."""
    chosen: list[_Fix] = []
    taken: list[Edit] = []
    for d in found:
        inside = bool(d.fix) and all(e.span.source is source for e in d.fix)
        if inside and not any(_touch(a, b) for a in d.fix for b in taken):
            chosen.append(d.fix)
            taken += d.fix
    return chosen


def _touch(a: Edit, b: Edit) -> bool:
    return a.span.start <= b.span.end and b.span.start <= a.span.end


def _made(now: Mended, fixes: Sequence[_Fix], check: Check) -> Mended | None:
    """With the fixes made, or None if one of them only moves the trouble."""
    text, moved = "", 0
    new: list[tuple[int, int]] = []
    for edit in sorted((e for fix in fixes for e in fix), key=lambda e: e.span.start):
        text += now.source.text[moved : edit.span.start] + edit.text
        new.append((len(text) - len(edit.text), len(text)))
        moved = edit.span.end
    source = Source(now.source.name, text + now.source.text[moved:])
    left = tuple(check(source))
    if _unreadable(left) > _unreadable(now.left):
        return None
    for d in left:
        if d.span and d.span.source is source and _of_the_text(d):
            start, end = d.span.start, d.span.end
            if any(start < to and at < end for at, to in new):
                return None
    return Mended(source, now.made + len(fixes), left)


def _unreadable(found: Sequence[Diagnostic]) -> int:
    return sum(d.severity == "error" and d.code < "E1" for d in found)


def _of_the_text(d: Diagnostic) -> bool:
    """Whether it is about how the spec is written, and not about what it says."""
    return d.severity == "error" and d.code < "E3" and d.code != "E190"
