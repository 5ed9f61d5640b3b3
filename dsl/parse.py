"""A file -> its document: reads it, and picks the front end by the file's ending."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.document import Mapping
from dagent.dsl.nearest import nearest
from dagent.dsl.source import DAGENT, ENDINGS, YAML, Source

_YAML_LINE = re.compile(r"""^(?:["']?[^\W\d][\w.-]*["']?[ ]*:(?:\s|$)|---|%YAML|-[ ]|\{)""", re.M)
_DAGENT_LINE = re.compile(
    r"""^(?:[^\W\d][\w-]*(?:[ ]+[\w"-]+)?[ ]*(?:\{|<?=)|\}|import[ ])""", re.M
)


def read(path: Path, name: str | None = None) -> Source:
    """The text of a file; ``name`` is what messages call it.

    Raises:
        Refused: if it is missing, a folder, unreadable or not text. An empty one is for `parse`.
    """
    shown = name or str(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        others = _beside(path)
        close = nearest(path.name, others)
        raise _refused(
            "E001",
            f"there is no file `{shown}`",
            shown,
            f"did you mean `{path.with_name(close)}`?" if close else None,
        ) from None
    except IsADirectoryError:
        advice = "name the spec inside it" if _beside(path / "spec") else None
        raise _refused("E002", f"`{shown}` is a folder", shown, advice) from None
    except (NotADirectoryError, ValueError):
        raise _refused("E001", f"there is no file `{shown}`", shown) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _refused("E005", f"`{shown}` cannot be read: {reason}", shown) from None
    return decode(raw, shown)


def decode(raw: bytes, shown: str) -> Source:
    """The text of bytes that messages call ``shown``.

    Raises:
        Refused: if they are not UTF-8 text.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"`{shown}` is not UTF-8 text: byte 0x{raw[error.start]:02x} in line {line}"
        raise _refused("E004", message, shown, "save it as UTF-8") from None
    if "\0" in text:
        raise _refused("E004", f"`{shown}` is a binary file, not text", shown)
    return Source(shown, text)


def guess_syntax(text: str) -> Literal["dagent", "yaml"]:
    """Which of the two a text without a file's name is, by most of the lines at its left margin.

    >>> guess_syntax("# why\nseed: 3"), guess_syntax("seed = 3"), guess_syntax("data dev { }")
    ('yaml', 'dagent', 'dagent')
    >>> guess_syntax("seed: 3\ndata dev {\n  role = dev\n}")
    'dagent'
    """
    yaml, dagent = (len(line.findall(text)) for line in (_YAML_LINE, _DAGENT_LINE))
    return "yaml" if yaml > dagent else "dagent"


def parse(source: Source, diagnostics: Diagnostics, ending: str | None = None) -> Mapping | None:
    """The document of a text, by the ending of its name; ``None`` if nothing can be read.

    ``ending`` stands in for that of the name, where a text has none.

    A document may come with errors: what could be read of a faulty text, for further checks to
    look at, so that more is found in one go. Nothing may be compiled from it.
    """
    ending = (Path(source.name).suffix if ending is None else ending).lower()
    if ending in DAGENT:
        from dagent.dsl.parse_dsl import parse_dsl

        return parse_dsl(source, diagnostics)
    if ending in YAML:
        from dagent.dsl.parse_yaml import parse_yaml

        return parse_yaml(source, diagnostics)
    diagnostics.add(_unknown_ending(source.name, ending))
    return None


def parse_file(path: Path, diagnostics: Diagnostics) -> Mapping | None:
    """Read and parse; what `read` refuses becomes a diagnostic too."""
    if path.suffix.lower() not in ENDINGS and path.is_file():
        diagnostics.add(_unknown_ending(str(path), path.suffix))
        return None
    try:
        source = read(path)
    except Refused as refused:
        for diagnostic in refused.diagnostics:
            diagnostics.add(diagnostic)
        return None
    return parse(source, diagnostics)


def _unknown_ending(name: str, ending: str) -> Diagnostic:
    message = f"the ending `{ending}` is that of no syntax" if ending else "the file has no ending"
    advice = "name the file `.dagent` or `.yaml`"
    return Diagnostic("E006", f"`{name}`: {message}", suggestion=advice, file=name)


def _beside(path: Path) -> list[str]:
    try:
        return [p.name for p in path.parent.iterdir() if p.suffix.lower() in ENDINGS]
    except OSError:
        return []


def _refused(code: str, message: str, file: str, suggestion: str | None = None) -> Refused:
    return Refused(Diagnostic(code, message, suggestion=suggestion, file=file))
