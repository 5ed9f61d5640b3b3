"""Text -> canonical text of either syntax, comments kept. What is canonical stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from dagent.dsl.comments import attach
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.fmt_dsl import DslPrinter
from dagent.dsl.fmt_yaml import YamlPrinter
from dagent.dsl.parse import parse
from dagent.dsl.schema import load
from dagent.dsl.source import DAGENT, Source

Syntax = Literal["dagent", "yaml"]


def syntax_of(name: str) -> Syntax:
    return "dagent" if Path(name).suffix.lower() in DAGENT else "yaml"


def format_source(source: Source, diagnostics: Diagnostics, to: Syntax | None = None) -> str | None:
    """The canonical text, in the syntax of the source or in ``to``.

    ``None`` if the text has errors: what cannot be read in full is not written anew.
    """
    root = parse(source, diagnostics)
    if root is None or diagnostics.has_errors:
        return None
    written = syntax_of(source.name)
    attached = attach(source, root, braces=written == "dagent")
    if (to or written) == "dagent":
        return DslPrinter(attached).document(root, load())
    if written == "yaml":
        from dagent.dsl.parse_yaml import anchors

        return YamlPrinter(attached, anchors(source)).document(root, load())
    return YamlPrinter(attached.in_yaml()).document(root, load())
