"""A provider of batches that means harm: what it sends may cost a call and time, never the run, and
is charged once for each time that it was asked."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.runtime.journal import read_events
from dagent.runtime.lm.failures import Unusable

HALF = "\ud800"  # of a character, as JSON's escapes may hold it: no file can
HTML = b"<html><body>502 Bad Gateway</body></html>"
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def t(load: Any) -> ModuleType:
    """What the tests of batches use."""
    found: ModuleType = load("lm/test_batches.py")
    return found


def tampering(tamper: Callable[[Lines], Lines | bytes], times: int = 1) -> Any:
    """The result files of the first batches, changed by ``tamper``."""

    def ending(batches: Any, batch: dict[str, Any], looks: int) -> None:
        batches.end(batch, "completed")
        if len(batches.begun) > times:
            return
        file = batch["output_file_id"]
        lines = sorted(map(json.loads, batches.files[file].splitlines()), key=content)
        found = tamper(lines)
        batches.files[file] = (
            found if isinstance(found, bytes) else b"\n".join(json.dumps(x).encode() for x in found)
        )

    return ending


def content(line: dict[str, Any]) -> str:
    return str(line["response"]["body"]["choices"][0]["message"]["content"])


def first(**changed: Any) -> Callable[[Lines], Lines]:
    return lambda lines: [lines[0] | changed, *lines[1:]]


def response(**changed: Any) -> Callable[[Lines], Lines]:
    return lambda lines: [lines[0] | {"response": lines[0]["response"] | changed}, *lines[1:]]


def torn(lines: Lines) -> bytes:
    return b"\n".join(json.dumps(line).encode() for line in lines)[:-20]


def twice(lines: Lines) -> Lines:
    """Every answer is followed by another one, and by an error, for the same call."""
    again = json.loads(json.dumps(lines).replace("you said", "you never said"))
    errors = [{**line, "response": None, "error": {"code": "batch_expired"}} for line in lines]
    return [*lines, *again, *errors]


def huge(lines: Lines) -> Lines:
    """A line of 10 MB is an answer like others."""
    lines[0]["response"]["body"]["padding"] = "x" * 10**7
    return lines


# How a file is changed, and how many of six calls are asked, and charged, once more.
FILES: dict[str, tuple[Callable[[Lines], Lines | bytes], int]] = {
    "ids that nobody has": (
        lambda lines: [lines[0] | {"custom_id": i} for i in ("x", 5, None, [1], {}, HALF)] + lines,
        0,
    ),
    "lines without an id": (lambda lines: [{"response": 1}, {}, *lines], 0),
    "an id is missing": (lambda lines: lines[1:], 1),
    "ids twice": (twice, 0),
    "a line that is torn": (torn, 1),
    "lines that are no JSON": (lambda lines: b"{{{\n\xff\xfe\n" + torn(lines), 1),
    "lines of another shape": (lambda lines: [1, None, [], "x", *lines], 0),  # type: ignore[list-item]
    "lists without end": (lambda lines: b"[" * 10**5 + b"\n" + torn(lines), 1),
    "a number without end": (lambda lines: b"9" * 10**5 + b"\n" + torn(lines), 1),
    "a line of 10 MB": (huge, 0),
    "an answer of 17 MB": (first(padding="x" * 17 * 2**20), 1),
    "an error of another shape": (first(response=None, error="no"), 1),
    "an error that is half a character": (first(response=None, error={"message": HALF}), 1),
    "a response that is a list": (first(response=[1]), 1),
    "a status that is a word": (response(status_code="fine"), 1),
    "a status that is a list": (response(status_code=[200]), 1),
    "a body that is a page": (response(body="<html>"), 1),
    "an answer without choices": (response(body={"choices": []}), 1),
    "choices that are words": (response(body={"choices": ["x"]}), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_result_file_of_any_shape_costs_the_calls_that_it_spoils(
    t: ModuleType, serve: Any, tmp_path: Path, name: str
) -> None:
    tamper, again = FILES[name]
    server, prompts = serve(t.echo, ending=tampering(tamper)), t.some(6)
    with t.session(tmp_path) as run:
        assert run.wave(server.base, prompts) == t.said(prompts)
        assert run.meter.spent("calls") in (6, 6 + again), "what is down was not billed"
    assert [len(wave) for wave in t.sent(server)] == [6, again][: 1 + bool(again)]
    events = read_events(tmp_path / "journal.jsonl")
    reserved = [e["key"] for e in events if e["event"] == "reserved"]
    assert len(reserved) == len(set(reserved)) == 6 + again
    with t.session(tmp_path, {"run": {"calls": 0}}) as run:  # continued, it pays for nothing
        assert run.wave(server.base, prompts) == t.said(prompts)
    assert server.answered == 6 + again


@pytest.mark.parametrize("page", [HTML, b"", b"\n\n", b"null"], ids=["HTML", "empty", "", "null"])
def test_a_result_file_that_says_nothing_is_fetched_again_and_not_paid_for_again(
    t: ModuleType, serve: Any, lm_server: ModuleType, tmp_path: Path, page: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    server = serve(t.echo)
    server.batch_faults = lambda asked, n: (
        lm_server.Fault(body=page.decode()) if asked == "content" and n < 3 else None
    )
    with t.session(tmp_path) as run:
        assert run.wave(server.base, t.some(5)) == t.said(t.some(5))
        assert run.meter.spent("calls") == 5
    assert len(server.batches.begun) == 1
    assert "no line of the result file" in caplog.text


def test_result_files_that_never_say_anything_end_each_call_with_that_reason(
    t: ModuleType, serve: Any, tmp_path: Path
) -> None:
    server = serve(t.echo, ending=tampering(lambda lines: HTML, times=99))
    with t.session(tmp_path) as run:
        found = run.wave(server.base, t.some(2), replace(t.SOON, silence=0.1))
        assert run.meter.spent("calls") == 2 * len(server.batches.begun) == 2 * 4
    assert all(isinstance(error, Unusable) for error in found)
    assert "no answer in 4 tries" in str(found[0])
    assert "has no line for this call" in str(found[0])


@pytest.mark.parametrize(
    "status", ["on fire\x1b[2J", None, 5, ["completed"], {"completed": 1}, "COMPLETED", HALF]
)
def test_a_status_that_nobody_knows_is_told_waited_for_and_kept(
    t: ModuleType, serve: Any, tmp_path: Path, status: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ends = False

    def ending(batches: Any, batch: dict[str, Any], looks: int) -> None:
        batch["status"] = "validating"
        if ends:
            batches.end(batch, "completed")
        else:
            batch["status"] = status

    server = serve(t.echo, ending=ending)
    server.batches.proceed = lambda batch: ending(server.batches, batch, 0)
    with caplog.at_level(logging.WARNING), t.session(tmp_path) as run:
        found = run.wave(server.base, t.some(3), replace(t.SOON, window=0.3))
        assert {t.code(error) for error in found} == {"E855"}
        assert run.meter.spent("calls") == 3
    assert len([r for r in caplog.records if "no status that is known" in r.message]) == 1
    assert "\x1b" not in caplog.text
    ends = True
    with t.session(tmp_path) as run:
        assert run.wave(server.base, t.some(3)) == t.said(t.some(3))
        assert run.meter.spent("calls") == 3
    assert len(server.batches.begun) == 1


@pytest.mark.parametrize("id", [HALF, "../../x?y#z", " ", "\x1b[2J\r\nX: y", 10**400, {"a": [1]}])
def test_names_that_no_address_can_hold_are_names(
    t: ModuleType, serve: Any, tmp_path: Path, id: Any
) -> None:
    """Of the file that goes up and of those that come down."""

    def ending(batches: Any, batch: dict[str, Any], looks: int) -> None:
        batches.end(batch, "completed")
        if len(batches.begun) == 1:
            batch["output_file_id"] = id

    server = serve(t.echo, ending=ending)
    with t.session(tmp_path) as run:
        assert run.wave(server.base, t.some(3)) == t.said(t.some(3))
        assert run.meter.spent("calls") == 6


@pytest.mark.parametrize("asked", ["upload", "begin", "look"])
@pytest.mark.parametrize("body", ["[" * 10**5, "null", "5", '{"id": null}', "<html>", '"x"'])
def test_what_is_no_answer_about_a_batch_is_asked_again(
    t: ModuleType, serve: Any, lm_server: ModuleType, tmp_path: Path, asked: str, body: str
) -> None:
    server = serve(t.echo)
    server.batch_faults = lambda name, n: (
        lm_server.Fault(body=body) if name == asked and n < 2 else None
    )
    with t.session(tmp_path) as run:
        assert run.wave(server.base, t.some(3)) == t.said(t.some(3))
        # Where nobody knows whether it began, it is charged as if it had.
        assert run.meter.spent("calls") == 3 * server.batches.asked["begin"]
    assert server.answered == 3
