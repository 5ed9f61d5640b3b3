"""Diagnostics for people and for programs. Text is a view of the JSON, so the two cannot drift."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from dagent.dsl.diagnostics import Diagnostic
from dagent.dsl.source import Source, Span

FORMATS = ("full", "concise", "json", "github", "sarif")
DOCUMENTS = ("json", "sarif")  # of these stdout holds one document, and nothing else
_COLOURS = {"error": "1;31", "warning": "1;33", "note": "1;36", "frame": "1;34", "bold": "1"}
_TAB = 4
_LONGEST = 160
Finding = dict[str, Any]


def to_json(diagnostics: Iterable[Diagnostic]) -> list[Finding]:
    """What `--format json` prints. Lines and columns count from 1; null where there is no place."""
    return [
        {
            "code": d.code,
            "severity": d.severity,
            "message": d.message,
            **_place(d.span, d.file),
            "suggestion": d.suggestion,
            "notes": [{"message": n.message, **_place(n.span, None)} for n in d.notes],
            "fix": [{**_place(e.span, None), "text": e.text} for e in d.fix] or None,
        }
        for d in diagnostics
    ]


def _place(span: Span | None, file: str | None) -> Finding:
    if span is None:
        nowhere = dict.fromkeys(("line", "column", "end_line", "end_column"))
        return {"file": file, **nowhere}
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def render(diagnostics: Iterable[Diagnostic], format: str = "full", *, colour: bool = False) -> str:
    """The findings as text of the format, ending in a line break unless there are none."""
    diagnostics = list(diagnostics)
    findings = to_json(diagnostics)
    if format == "json":
        return json.dumps(findings, indent=2, ensure_ascii=False) + "\n"
    if format == "sarif":
        from dagent.dsl.render_sarif import sarif

        return json.dumps(sarif(findings), indent=2, ensure_ascii=False) + "\n"
    if format == "github":
        from dagent.dsl.render_github import command

        return "".join(command(finding) + "\n" for finding in findings)
    if format == "concise":
        return "".join(_concise(finding) + "\n" for finding in findings)
    paint = _paint if colour else _plain
    return "\n".join(_full(f, d, paint) for f, d in zip(findings, diagnostics, strict=True))


def report(diagnostics: Iterable[Diagnostic], format: str = "full") -> None:
    """Print: what programs read to stdout, text to stderr, with a line that counts."""
    diagnostics = list(diagnostics)
    if format not in ("full", "concise"):
        _write(sys.stdout, render(diagnostics, format))
        return
    text = render(diagnostics, format, colour=coloured(sys.stderr))
    if text:
        between = "\n" if format == "full" else ""
        _write(sys.stderr, f"{text}{between}{summary(diagnostics)}\n")


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    counts = [
        f"{n} {severity}{'s' if n > 1 else ''}"
        for severity in ("error", "warning")
        if (n := sum(d.severity == severity for d in diagnostics))
    ]
    codes = sorted({d.code for d in diagnostics})
    code = codes[0] if len(codes) == 1 else "CODE"
    mendable = sum(bool(d.fix) for d in diagnostics)
    mend = f"; `dagent check --fix` mends {mendable}" if mendable else ""
    return f"{', '.join(counts)}{mend}; `dagent explain {code}` says more"


def coloured(stream: TextIO) -> bool:
    """Colour only for people: on a terminal, unless the environment says otherwise.

    Where both are set, NO_COLOR wins, as in Python itself and in rich.
    """
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _write(stream: TextIO, text: str) -> None:
    """Write even where the terminal's encoding lacks a character."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))


def _concise(finding: Finding) -> str:
    said = f"{finding['severity']}[{finding['code']}] {finding['message']}"
    if finding["suggestion"]:
        said += f"; {finding['suggestion']}"
    return f"{_at(finding)}: {said}" if finding["file"] else said


def _at(finding: Finding) -> str:
    if finding["line"] is None:
        return str(finding["file"])
    return f"{finding['file']}:{finding['line']}:{finding['column']}"


def _plain(text: str, kind: str) -> str:
    return text


def _paint(text: str, kind: str) -> str:
    return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m"


def _full(finding: Finding, diagnostic: Diagnostic, paint: Any) -> str:
    severity = finding["severity"]
    # Line numbers of one finding, notes included, share a margin.
    last = max([finding["end_line"] or 0, *(n["end_line"] or 0 for n in finding["notes"])])
    margin = len(str(last))
    bar = paint(" " * margin + " |", "frame")
    head = paint(f"{severity}[{finding['code']}]", severity)
    lines = [f"{head}: {paint(finding['message'], 'bold')}"]
    lines += _snippet(finding, diagnostic.span, margin, severity, paint)
    hint = paint(" " * margin + " =", "frame")
    if finding["suggestion"]:
        lines += [bar] if diagnostic.span else []
        lines.append(f"{hint} help: {finding['suggestion']}")
    for note, source in zip(finding["notes"], diagnostic.notes, strict=True):
        lines.append(f"{hint} note: {note['message']}")
        lines += _snippet(note, source.span, margin, "note", paint)
    return "\n".join(lines) + "\n"


def _snippet(finding: Finding, span: Span | None, margin: int, kind: str, paint: Any) -> list[str]:
    """The place, its line, and carets under it; of several lines the first and the last."""
    if finding["file"] is None:
        return []
    arrow = paint(" " * margin + "-->", "frame")
    lines = [f"{arrow} {_at(finding)}"]
    if span is None:
        return lines
    bar = paint(" " * margin + " |", "frame")
    lines.append(bar)
    first, last = finding["line"], finding["end_line"]
    if last > first and finding["end_column"] == 1:
        last -= 1
    for number in sorted({first, last}):
        if number > first + 1:
            lines.append(paint("." * max(3, margin), "frame"))
        start = finding["column"] if number == first else 1
        full = len(span.source.line(number)) + 1
        end = finding["end_column"] if number == finding["end_line"] else full
        shown, offset, width = _marked(span.source, number, start, end)
        label = paint(f"{number:>{margin}} |", "frame")
        lines.append(f"{label} {shown}".rstrip())
        lines.append(f"{bar} {' ' * offset}{paint('^' * width, kind)}")
    return lines


def _marked(source: Source, number: int, start: int, end: int) -> tuple[str, int, int]:
    """A line as shown, and the offset and width of its marked part in columns of the screen."""
    text = source.line(number)
    if start == 1 and end > start:
        start += len(text[: end - 1]) - len(text[: end - 1].lstrip())
    cut = 0
    if len(text) > _LONGEST:
        cut = max(0, min(start - 1 - _LONGEST // 3, len(text) - _LONGEST))
        text = text[cut : cut + _LONGEST]
    before, marked = text[: start - 1 - cut], text[start - 1 - cut : end - 1 - cut]
    lead = "…" if cut else ""
    offset = _width(lead) + _width(before)
    shown = lead + _visible(before, 0)
    shown += _visible(marked, _width(before))
    shown += _visible(text[max(0, end - 1 - cut) :], _width(before + marked))
    return shown, offset, max(1, _width(before + marked) - _width(before))


def _visible(text: str, column: int) -> str:
    """Tabs as blanks up to the next stop; control characters as a visible sign."""
    out = ""
    for char in text:
        if char == "\t":
            wide = _TAB - (column % _TAB)
            out += " " * wide
            column += wide
        else:
            out += char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"
            column += _cells(char)
    return out


def _width(text: str) -> int:
    column = 0
    for char in text:
        column += _TAB - (column % _TAB) if char == "\t" else _cells(char)
    return column


def _cells(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
