"""Findings as workflow commands of GitHub Actions, which shows them beside the lines of a diff."""

from __future__ import annotations

from typing import Any

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def command(finding: dict[str, Any]) -> str:
    """One line: ``::error file=…,line=…,col=…,endLine=…,endColumn=…,title=…::MESSAGE``.

    GitHub takes columns only of a place within one line.
    """
    place = {"file": finding["file"], "line": finding["line"]}
    if finding["line"] is not None and finding["line"] == finding["end_line"]:
        place |= {"col": finding["column"]}
    place |= {"endLine": finding["end_line"]}
    if "col" in place:
        place |= {"endColumn": finding["end_column"]}
    place |= {"title": f"dagent {finding['code']}"}
    given = ",".join(f"{k}={_property(str(v))}" for k, v in place.items() if v is not None)
    return f"::{_LEVELS[finding['severity']]} {given}::{_data(_message(finding))}"


def _message(finding: dict[str, Any]) -> str:
    lines = [finding["message"]]
    if finding["suggestion"]:
        lines.append(f"help: {finding['suggestion']}")
    for note in finding["notes"]:
        at = f" ({note['file']}:{note['line']}:{note['column']})" if note["file"] else ""
        lines.append(f"note: {note['message']}{at}")
    return "\n".join(lines)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
