"""``data``: the rows of a data set, read from the locked file, fetched from a hub or made by a
program of the user's.

Rows that are not at hand when compiling are checked here, by the same rules and with the same
codes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagent.compiler import rowchecks
from dagent.compiler.dataset import Row, View, rows_of
from dagent.compiler.formats import Fault, Raw, read_file
from dagent.compiler.grading import ungradable
from dagent.compiler.plan import Step
from dagent.compiler.quantity import how_many
from dagent.compiler.where import parse_where
from dagent.dsl.diagnostics import Diagnostic, Note, Refused
from dagent.runtime.locked import loads, unchanged
from dagent.runtime.programs import load_function
from dagent.runtime.rows import read_rows, row_id, write_rows
from dagent.runtime.step import Artifact, Context, Params, StepOutput

kind = "data"
version = 3


def check(step: Step, project: Path) -> Iterable[Diagnostic]:
    params = step.params
    if params.get("program"):
        return loads(lambda: load_function(params["program"], project))
    if not params["sha256"]:
        return ()
    source = params.get("path") or params["hub"]
    return unchanged(f"the data set `{source}`", project / source, params["sha256"])


def run(step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
    params = step.params
    found = list(rows_of(_raw(params, context.project), _view(params)))
    rows = [row for row in found if isinstance(row, Row)]
    problems = list(_problems(params, found, rows, inputs))
    if "path" in params or params.get("sha256"):
        problems += check(step, context.project)  # it must not change while we read it
    if problems:
        raise Refused(problems)
    if (size := params["sample"]) is not None:
        rows = random.Random(params["seed"]).sample(rows, size)
    # An id that stands twice tells no rows apart, so that those have the id of their prompt.
    named = Counter(row.values.get("id") for row in rows)
    made = [
        {**row.values, "id": own if own and named[own] == 1 else row_id(row.prompt)}
        for row in rows
        for own in [row.values.get("id")]
    ]
    return StepOutput(
        {"rows": write_rows(context.scratch / "rows.jsonl", made)},
        {"rows": len(rows)},
        f"{how_many(len(rows), 'rows')} of {params['name']}",
    )


def _view(params: Params) -> View:
    return View(
        columns=params["columns"],
        where=parse_where(params["where"]) if params["where"] else None,
        answers=params["role"] != "pool",
        text=params.get("format") == "csv",
        extra=tuple(params.get("extra", ())),
    )


def _raw(params: Params, project: Path) -> Iterable[Raw]:
    if "path" in params:
        return read_file(project / params["path"], params["format"])
    if "program" in params:
        return _numbered(load_function(params["program"], project)(), params["program"])
    return enumerate(_hub(params, project), 1)


def _numbered(rows: Any, program: str) -> Iterator[Raw]:
    if not isinstance(rows, Iterable) or isinstance(rows, str | Mapping):
        raise Refused(
            Diagnostic("E815", f"`{program}` returned {type(rows).__name__}, not a list of rows")
        )
    for number, row in enumerate(rows, 1):
        yield number, row if isinstance(row, Mapping) else Fault(number, "not a mapping")


def _hub(params: Params, project: Path) -> list[Mapping[str, Any]]:
    """The rows as ``datasets`` reads them; it runs no code that a data set brings.

    Raises:
        Refused: E328 when it cannot be fetched or read.
    """
    from datasets import load_dataset_builder

    name, revision = params["hub"], params["revision"]
    try:
        if revision is None:
            # A folder is read as it stands: the cache would not see every change of it.
            folder = load_dataset_builder(str(project / name), params["config"])
            return list(folder.as_streaming_dataset(split=params["split"]))
        builder = load_dataset_builder(name, params["config"], revision=revision)
        if builder.hash != revision:  # without the hub, `datasets` takes whatever is in its cache
            raise FileNotFoundError(f"commit {revision} is neither on the hub nor in the cache")
        builder.download_and_prepare()
        return list(builder.as_dataset(split=params["split"]))
    except Exception as error:  # whatever the library says is the user's to read
        said = str(error).strip().partition("\n")[0]
        raise Refused(
            Diagnostic(
                "E328",
                f"the data set `{name}` cannot be read: {type(error).__name__}: {said}",
                suggestion="check name, config and split, the network and the access token; "
                "then execute again",
            )
        ) from error


def _problems(
    params: Params, found: list[Row | Fault], rows: list[Row], inputs: Mapping[str, Artifact]
) -> Iterator[Diagnostic]:
    """What the compiler refuses in rows that it can see."""
    title = params.get("path") or params.get("hub") or params["program"]
    faults = [fault for fault in found if isinstance(fault, Fault)]
    if faults:
        notes = [Note(f"row {f.row}: {f.message}") for f in faults[1 : rowchecks.SHOWN]]
        notes.append(Note(f"{len(faults)} of {len(found)} rows in all"))
        first = faults[0]
        message = f"{title}, row {first.row}: {first.message}"
        yield Diagnostic(first.code, message, notes=tuple(notes))
        return
    if few := rowchecks.too_few(title, params["role"], len(rows)):
        yield Diagnostic("E308", few, suggestion="add rows")
        return
    for grader in params.get("graded", ()):
        if lack := ungradable(rows, grader, {}):
            message = f"row {lack.row} of `{title}` {lack.why}"
            yield Diagnostic("E512", message, suggestion=lack.remedy)
    if params["sample"] and params["sample"] > len(rows):
        message = f"`sample` asks for {params['sample']} rows and `{title}` has {len(rows)}"
        yield Diagnostic("E204", message, suggestion=f"write at most {len(rows)}")
    for key, column in (("skills", "skill"), ("difficulties", "difficulty")):
        seen = dict.fromkeys(r.values[column] for r in rows if column in r.values)
        for value in rowchecks.unlisted(seen, params.get(key)):
            message = f"`{title}` has rows of `{value}`, which `domain.{key}` does not list"
            yield Diagnostic("E314", message, suggestion=f"add it to `{key}`")
    yield from _shared(params, rows, inputs)


def _shared(
    params: Params, rows: list[Row], inputs: Mapping[str, Artifact]
) -> Iterator[Diagnostic]:
    ours, _ = rowchecks.first_rows(rows)
    for name, artifact in sorted(inputs.items()):
        other = name.removeprefix("against.")
        theirs, _ = rowchecks.first_rows(
            Row(number, row) for number, row in enumerate(read_rows(artifact.path), 1)
        )
        same = rowchecks.shared(ours, theirs)
        if same:
            pairs = same[: rowchecks.SHOWN]
            yield Diagnostic(
                "E304",
                f"`{params['name']}` and `{other}` share {len(same)} prompts",
                suggestion="remove them from one of the two sets",
                notes=tuple(
                    Note(f"row {a} of `{params['name']}` is row {b} of `{other}`") for a, b in pairs
                ),
            )
