"""Findings for GitHub and as SARIF."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from dagent.dsl.codes import CODES
from dagent.dsl.diagnostics import Diagnostic, Edit, Note
from dagent.dsl.render import render
from dagent.dsl.source import Source

SARIF = Path(__file__).parents[1] / "sarif" / "sarif-schema-2.1.0.json"
SCHEMA = Draft7Validator(json.loads(SARIF.read_text(encoding="utf-8")))


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


@pytest.mark.parametrize("found", [[], [finding()], [finding(), NOWHERE, finding("/abs/x.yaml")]])
def test_sarif_has_what_the_standard_demands(found: list[Diagnostic]) -> None:
    log = json.loads(render(found, "sarif"))
    assert [e.message for e in SCHEMA.iter_errors(log)] == []
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
