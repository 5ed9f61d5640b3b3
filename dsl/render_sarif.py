"""Findings as SARIF 2.1.0, which code hosts and editors read. Columns count code points from 1."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dagent import __version__
from dagent.dsl.codes import CODES

Json = dict[str, Any]
SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(findings: list[Json]) -> Json:
    """The log of one run, with the rules that it needs."""
    codes = sorted({finding["code"] for finding in findings})
    driver = {"name": "dagent", "version": __version__, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, codes.index(finding["code"])) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> Json:
    entry = CODES[code]
    example = f"Example:\n\n```\n{entry.example}\n```"
    return {
        "id": code,
        "shortDescription": {"text": entry.title},
        "fullDescription": {"text": f"{entry.what} {entry.why}"},
        "help": {
            "text": f"{entry.fix}\n\nExample:\n\n{entry.example}",
            "markdown": f"{entry.fix}\n\n{example}",
        },
    }


def _result(finding: Json, rule: int) -> Json:
    said = finding["message"] + (f"; {finding['suggestion']}" if finding["suggestion"] else "")
    result: Json = {
        "ruleId": finding["code"],
        "ruleIndex": rule,
        "level": finding["severity"],
        "message": {"text": said},
        "locations": [_location(finding)] if finding["file"] else [],
    }
    places = [n for n in finding["notes"] if n["file"]]
    if places:
        result["relatedLocations"] = [
            {"id": i, **_location(note), "message": {"text": note["message"]}}
            for i, note in enumerate(places)
        ]
    if finding["fix"]:
        result["fixes"] = [_fix(finding)]
    return result


def _fix(finding: Json) -> Json:
    replacements: dict[str, list[Json]] = {}
    for edit in finding["fix"]:
        change = {"deletedRegion": _region(edit), "insertedContent": {"text": edit["text"]}}
        replacements.setdefault(edit["file"], []).append(change)
    return {
        "description": {"text": finding["suggestion"] or finding["message"]},
        "artifactChanges": [
            {"artifactLocation": {"uri": uri(file)}, "replacements": changes}
            for file, changes in replacements.items()
        ],
    }


def _location(place: Json) -> Json:
    physical: Json = {"artifactLocation": {"uri": uri(place["file"])}}
    if place["line"] is not None:
        physical["region"] = _region(place)
    return {"physicalLocation": physical}


def _region(place: Json) -> Json:
    return {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }


def uri(file: str) -> str:
    """Relative to the current folder, so that it fits another checkout too."""
    path = Path(os.path.relpath(file)) if os.path.isabs(file) else Path(os.path.normpath(file))
    return quote(path.as_posix())
