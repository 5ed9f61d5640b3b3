"""Findings for GitHub and as SARIF."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from dagent.dsl.codes import CODES
from dagent.dsl.diagnostics import Diagnostic, Edit, Note
from dagent.dsl.render import render
from dagent.dsl.source import Source


def finding(name: str = "my specs/a,b.dagent") -> Diagnostic:
    source = Source(name, "domain {\n  日 nmae = x\n}\n")
    at = source.span(13, 17)
    assert at.text == "nmae"
    return Diagnostic(
        "E101",
        "unknown key `nmae`: 100%",
        at,
        suggestion="did you mean `name`?",
        notes=(Note("the\nblock", source.span(0, 6)),),
        fix=(Edit(at, "name"),),
    )


NOWHERE = Diagnostic("E810", "the disk is full", severity="warning", file="plan.json")


def test_github() -> None:
    assert render([finding(), NOWHERE], "github") == (
        "::error file=my specs/a%2Cb.dagent,line=2,col=5,endLine=2,endColumn=9,title=dagent E101"
        "::unknown key `nmae`: 100%25%0Ahelp: did you mean `name`?"
        "%0Anote: the%0Ablock (my specs/a,b.dagent:1:1)\n"
        "::warning file=plan.json,title=dagent E810::the disk is full\n"
    )


def test_github_takes_columns_only_within_one_line() -> None:
    source = Source("s", "a\nb\n")
    shown = render([Diagnostic("E020", "m", source.span(0, 3))], "github")
    assert shown == "::error file=s,line=1,endLine=2,title=dagent E020::m\n"


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


# What SARIF 2.1.0 demands of the objects that we write: section 3 of the standard.
TEXT = _object(("text",), text={"type": "string", "minLength": 1})
ARTIFACT = _object(("uri",), uri={"type": "string", "pattern": r"^(?!/)[\w.~%/-]+$"})
LINE = {"type": "integer", "minimum": 1}
REGION = _object(("startLine",), startLine=LINE, startColumn=LINE, endLine=LINE, endColumn=LINE)
LOCATION = _object(
    ("physicalLocation",),
    id={"type": "integer", "minimum": 0},
    message=TEXT,
    physicalLocation=_object(("artifactLocation",), artifactLocation=ARTIFACT, region=REGION),
)
REPLACEMENT = _object(("deletedRegion",), deletedRegion=REGION, insertedContent=_object(("text",)))
CHANGE = _object(
    ("artifactLocation", "replacements"),
    artifactLocation=ARTIFACT,
    replacements={**_list(REPLACEMENT), "minItems": 1},
)
RESULT = _object(
    ("message",),
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": 0},
    level={"enum": ["none", "note", "warning", "error"]},
    message=TEXT,
    locations=_list(LOCATION),
    relatedLocations=_list(LOCATION),
    fixes=_list(_object(("artifactChanges",), artifactChanges=_list(CHANGE))),
)
RULE = _object(("id",), shortDescription=TEXT, fullDescription=TEXT, help=TEXT)
DRIVER = _object(("name",), name={"type": "string"}, rules={**_list(RULE), "uniqueItems": True})
LOG = _object(
    ("version", "runs"),
    version={"const": "2.1.0"},
    runs=_list(
        _object(
            ("tool",),
            tool=_object(("driver",), driver=DRIVER),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            results=_list(RESULT),
        )
    ),
)


@pytest.mark.parametrize("found", [[], [finding()], [finding(), NOWHERE, finding("/abs/x.yaml")]])
def test_sarif_has_what_the_standard_demands(found: list[Diagnostic]) -> None:
    log = json.loads(render(found, "sarif"))
    assert [e.message for e in Draft7Validator(LOG).iter_errors(log)] == []
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rules[r["ruleIndex"]]["id"] for r in run["results"]] == [d.code for d in found]


def test_sarif_says_where_and_what() -> None:
    log = json.loads(render([finding()], "sarif"))
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    region = {"startLine": 2, "startColumn": 5, "endLine": 2, "endColumn": 9}
    assert place == {"artifactLocation": {"uri": "my%20specs/a%2Cb.dagent"}, "region": region}
    (rule,) = log["runs"][0]["tool"]["driver"]["rules"]
    assert CODES["E101"].fix in rule["help"]["text"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["replacements"] == [
        {"deletedRegion": region, "insertedContent": {"text": "name"}}
    ]
