"""HTML and SVG as text that is escaped unless it was made here."""

from __future__ import annotations

from html import escape

# No page may hold control characters: each becomes the sign for it.
SIGNS = {c: 0x2400 + c for c in range(32) if chr(c) not in "\t\n\r"}
VOID = frozenset({"meta", "br", "line", "circle", "rect", "polyline", "polygon", "path"})
Part = object  # a Markup, a text to escape, an iterable of parts, or None for nothing


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def el(name: str, /, *parts: Part, **attributes: object) -> Markup:
    """One element. ``class_`` gives ``class``, other underscores hyphens; ``None`` leaves out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not parts:
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{join(parts)}</{name}>")


def join(parts: Part, between: str = "") -> Markup:
    """Parts one after the other, texts among them escaped."""
    if parts is None:
        return Markup("")
    if isinstance(parts, Markup):
        return parts
    if isinstance(parts, str | int | float):
        return Markup(_escaped(str(parts), quote=False))
    assert hasattr(parts, "__iter__"), parts
    return Markup(between.join(join(part) for part in parts))


def _escaped(text: str, quote: bool = True) -> str:
    return escape(text.translate(SIGNS), quote)


def _plain(value: object) -> str:
    """Numbers of a drawing to a tenth: finer than any screen shows, and short."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
