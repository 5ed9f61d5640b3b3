"""Graders: their options, the files that these name, and the columns that rows must bring."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler.dataset import BRINGS
from dagent.compiler.digests import content_digest
from dagent.compiler.facts import DataFacts, GraderFacts, inside
from dagent.compiler.grading import OPTIONS
from dagent.compiler.spec import Options, Spec
from dagent.dsl.diagnostics import Diagnostics, Note

Way = tuple[str, ...]


def check_graders(
    spec: Spec, project: Path, data: Mapping[str, DataFacts], diagnostics: Diagnostics
) -> GraderFacts:
    """What lowering needs to know of the files that graders read; incomplete after a finding."""
    schemas: dict[str, Any] = {}
    for path, grader, options in _uses(spec):
        _check_options(spec, path, grader, options, diagnostics)
        if grader == "json" and "schema" in options:
            _load_schema(spec, (*path, "schema"), options["schema"], project, schemas, diagnostics)
    _check_brought(spec, data, diagnostics)
    _check_columns(spec, data, diagnostics)
    return GraderFacts(schemas, _databases(spec, project, data, diagnostics))


def _uses(spec: Spec) -> Iterator[tuple[Way, str, Options]]:
    for metric in spec.criteria.metrics:
        yield ("criteria", "metric", metric.name), metric.grader, metric.options
    for check in spec.engineer.verify:
        yield ("engineer", "verify", check.name), check.grader, check.options


def _check_brought(spec: Spec, data: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    """A model writes tests or small databases, not both, and no rows about a database in a file; an
    author's program submits questions and answers alone."""
    needed, engineer = spec.needed, spec.engineer
    if not needed or not (engineer.generator.lm or engineer.writes_programs):
        return
    path = next(path for path, grader, _ in _uses(spec) if grader == needed[-1])
    if engineer.writes_programs:
        what = "more than question and answer, and programs of an author submit no more"
    elif len(needed) > 1:
        what = "tests for `code` and tables for `sql`, and a language model writes one of them"
    elif needed == ("sql",) and any(facts.databases for facts in data.values()):
        what = "questions about databases in files, and a language model writes its own tables"
    else:
        return
    brings = " or ".join(f"`{column}`" for grader in needed for column in BRINGS[grader])
    who = ("strategy",) if engineer.writes_programs else ("generator", "lm")
    diagnostics.error(
        "E514",
        f"the rows to generate need {what}",
        spec.at(*path, "grader"),
        f"generate the rows by a `program` that gives them {brings}"
        + (", under `strategy = curriculum`" if engineer.writes_programs else ""),
        [Note("who makes them is named here", spec.at("engineer", *who))],
    )


def _check_options(
    spec: Spec, path: Way, grader: str, options: Options, diagnostics: Diagnostics
) -> None:
    needed, optional = OPTIONS[grader]
    for option in needed:
        if option not in options:
            diagnostics.error(
                "E505",
                f"the grader `{grader}` needs `{option}`",
                spec.at(*path, "grader"),
                f"add `{option} = …`",
            )
    if grader == "json" and not options.keys() & {"schema", "fields"}:
        diagnostics.error(
            "E505",
            "the grader `json` needs `schema` or `fields`",
            spec.at(*path, "grader"),
            'add `schema = "….json"`, or `fields = ["*"]` to compare all fields',
        )
    for option in options:
        if option not in (*needed, *optional):
            diagnostics.error(
                "E505",
                f"the grader `{grader}` does not read `{option}`",
                spec.key(*path, option),
                "remove it, or use another grader",
            )
    pattern = options.get("pattern")
    if grader == "regex" and isinstance(pattern, str):
        try:
            re.compile(pattern)
        except re.error as error:
            diagnostics.error(
                "E505",
                f"`{pattern}` is no regular expression: {error.msg}",
                spec.at(*path, "pattern"),
                "mend the pattern; its syntax is that of Python's `re`",
            )
    for option in ("choices", "fields"):
        if options.get(option) == [] and option in optional + needed:
            diagnostics.error("E505", f"`{option}` is empty", spec.at(*path, option), "list some")


def _load_schema(
    spec: Spec,
    place: Way,
    name: str,
    project: Path,
    schemas: dict[str, Any],
    diagnostics: Diagnostics,
) -> None:
    span = spec.at(*place)
    path = inside(name, project, span, diagnostics)
    if path is None or name in schemas:
        return
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
        validator_for(schema).check_schema(schema)
        fault = _lost(schema)
    except OSError as error:
        fault = error.strerror
    except (ValueError, RecursionError) as error:
        fault = f"not JSON: {error}"
    except SchemaError as error:
        fault = f"{error.json_path}: {error.message}"
    if fault:
        remedy = "name a file with a JSON Schema; the path is relative to the spec"
        diagnostics.error("E511", f"`{name}` is no JSON Schema: {fault}", span, remedy)
        return
    schemas[name] = schema


def _lost(schema: Any) -> str | None:
    """A reference that leads out of the schema, or to nothing in it: nothing is fetched."""
    from referencing import Registry, Resource
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    whole = Resource.from_contents(schema, default_specification=DRAFT202012)
    root = Registry().with_resource("", whole).resolver_with_root(whole)

    def lost(part: Any) -> str | None:
        if not isinstance(part, Mapping | list):
            return None
        to = part.get("$ref") if isinstance(part, Mapping) else None
        if isinstance(to, str) and not to.startswith("#"):
            return f"`$ref` leads to `{to}`, outside the file"
        if isinstance(to, str):
            try:
                root.lookup(to)
            except Unresolvable:
                return f"`$ref` leads to `{to}`, and there is no such place in it"
        inner = part.values() if isinstance(part, Mapping) else part
        return next((found for value in inner if (found := lost(value))), None)

    return lost(schema)


def _check_columns(spec: Spec, data: Mapping[str, DataFacts], diagnostics: Diagnostics) -> None:
    """Of each metric the first row that it cannot judge by, and those of other sets as notes."""
    for metric in spec.criteria.metrics:
        judged = [d for d in spec.data if d.name in data and metric.name in spec.judged_by(d)]
        lacks = [(d, lack) for d in judged if (lack := data[d.name].ungradable.get(metric.name))]
        if not lacks:
            continue
        (first, lack), *others = lacks
        notes = [Note("the data set is here", spec.at("data", first.name, first.source[0]))]
        for item, other in others:
            place = spec.at("data", item.name, item.source[0])
            notes.append(Note(f"row {other.row} of `{item.source[1]}` {other.why}", place))
        diagnostics.error(
            "E512",
            f"row {lack.row} of `{first.source[1]}` {lack.why}",
            spec.at("criteria", "metric", metric.name, lack.key),
            lack.remedy,
            notes,
        )


def _databases(
    spec: Spec, project: Path, data: Mapping[str, DataFacts], diagnostics: Diagnostics
) -> dict[str, str]:
    """The digest of every database that rows name."""
    found: dict[str, str] = {}
    for item in spec.data:
        key, title = item.source
        for name, row in data[item.name].databases.items() if item.name in data else ():
            span = spec.at("data", item.name, key)
            path = inside(name, project, span, diagnostics)
            if path is None or name in found:
                continue
            if not path.is_file():
                diagnostics.error(
                    "E513",
                    f"row {row} of `{title}` names `{name}`, and there is no such database",
                    span,
                    "correct the path; it is relative to the spec",
                )
            else:
                found[name] = content_digest(path)
    return found
