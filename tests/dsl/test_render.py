"""Findings as text and JSON: carets where they belong, whatever the line holds."""

from __future__ import annotations

import errno
import json
import shutil

import pytest

from dagent.dsl.diagnostics import Diagnostic, Note
from dagent.dsl.render import render, to_json
from dagent.dsl.source import Source
from dagent.dsl.unexpected import diagnose


def at(text: str, part: str, name: str = "spec.dagent") -> Diagnostic:
    start = text.index(part)
    span = Source(name, text).span(start, start + len(part))
    return Diagnostic("E101", "message", span, suggestion="do this")


def marked(text: str, part: str) -> str:
    """What the carets stand under, in columns of the screen."""
    lines = render([at(text, part)]).splitlines()
    row = next(i for i, line in enumerate(lines) if "^" in line)
    return f"{lines[row - 1]}\n{lines[row]}"


def test_full() -> None:
    text = "domain {\n  nmae = x\n}\n"
    source = Source("spec.dagent", text)
    note = Note("the block", source.span(0, 6))
    found = Diagnostic(
        "E101", "unknown key `nmae`", source.span(11, 15), suggestion="say `name`", notes=(note,)
    )
    assert render([found]) == (
        "error[E101]: unknown key `nmae`\n"
        " --> spec.dagent:2:3\n"
        "  |\n"
        "2 |   nmae = x\n"
        "  |   ^^^^\n"
        "  |\n"
        "  = help: say `name`\n"
        "  = note: the block\n"
        " --> spec.dagent:1:1\n"
        "  |\n"
        "1 | domain {\n"
        "  | ^^^^^^\n"
    )
    assert render([found], "concise") == (
        "spec.dagent:2:3: error[E101] unknown key `nmae`; say `name`\n"
    )


@pytest.mark.parametrize(
    ("text", "part", "shown"),
    [
        ("\tx = bad", "bad", "1 |     x = bad\n  |         ^^^"),
        ("a\tbad", "bad", "1 | a   bad\n  |     ^^^"),
        ("日本 bad", "bad", "1 | 日本 bad\n  |      ^^^"),
        ("x 日本 y", "日本", "1 | x 日本 y\n  |   ^^^^"),
        ("e\u0301 bad", "bad", "1 | e\u0301 bad\n  |   ^^^"),
        ("a \x07 bad", "bad", "1 | a \ufffd bad\n  |     ^^^"),
        ("x = bad\r\ny", "bad", "1 | x = bad\n  |     ^^^"),
    ],
)
def test_caret_columns(text: str, part: str, shown: str) -> None:
    assert marked(text, part) == shown


def test_several_lines() -> None:
    text = "a\nb {\n  c\n  d\n}\n"
    lines = render([at(text, text[2:-1])]).splitlines()
    assert lines[3:8] == ["2 | b {", "  | ^^^", "...", "5 | }", "  | ^"]


def test_a_long_line_is_cut_around_the_place() -> None:
    text = "x" * 500 + " bad " + "y" * 500
    line, carets = marked(text, "bad").split("\n")
    assert len(line) < 180
    assert line[carets.index("^") :].startswith("bad")


def test_end_of_file_and_no_place() -> None:
    source = Source("s", "a = [\n")
    assert " --> s:2:1" in render([Diagnostic("E022", "m", source.span(6, 6))])
    nowhere = Diagnostic("E810", "the disk is full", file="plan.json")
    assert render([nowhere], "concise") == "plan.json: error[E810] the disk is full\n"
    assert render([]) == ""


def test_json() -> None:
    found = at("a\n bad\n", "bad")
    nowhere = Diagnostic("E810", "m")
    keys = [
        "code",
        "severity",
        "message",
        "file",
        "line",
        "column",
        "end_line",
        "end_column",
        "suggestion",
        "notes",
        "fix",
    ]
    assert [list(item) for item in to_json([found, nowhere])] == [keys, keys]
    first, second = json.loads(render([found, nowhere], "json"))
    assert [first[k] for k in keys] == [
        "E101", "error", "message", "spec.dagent", 2, 2, 2, 5, "do this", [], None
    ]  # fmt: skip
    assert [second[k] for k in keys[3:9]] == [None] * 6
    assert json.loads(render([], "json")) == []


def test_colour_only_when_asked() -> None:
    found = at("bad", "bad")
    assert "\x1b" not in render([found])
    assert "\x1b[1;31m^^^\x1b[0m" in render([found], colour=True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), "E810"),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'a' -> 'b'")]), "E810"),
        (PermissionError(errno.EACCES, "denied", "x"), "E812"),
        (OSError(errno.EROFS, "read-only", "x"), "E812"),
        (OSError(errno.EADDRINUSE, "in use"), "E811"),
        (MemoryError(), "E813"),
        (RecursionError(), "E027"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "E004"),
        (FileNotFoundError(errno.ENOENT, "none", "x"), "E001"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "E818"),
        (ValueError("odd\nsecond line"), "E900"),
    ],
)
def test_unexpected(error: Exception, code: str) -> None:
    found = diagnose(error)
    assert found.code == code
    assert "\n" not in found.message
