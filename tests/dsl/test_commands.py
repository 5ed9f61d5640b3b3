"""check, fmt and explain as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagent.cli import main

GOOD = "seed = 3\n"
UGLY = "seed   =   3 # why\n"


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_fmt_rewrites_in_place(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("a.dagent")
    path.write_text(UGLY)
    assert main(["fmt", "--check", "a.dagent"]) == 1
    assert "E830" in capsys.readouterr().err
    assert path.read_text() == UGLY
    assert main(["fmt", "a.dagent"]) == 0
    assert path.read_text() == "seed = 3  # why\n"
    assert main(["fmt", "--check", "a.dagent"]) == 0
    assert [p.name for p in Path().iterdir()] == ["a.dagent"]


def test_fmt_normalises_line_ends_and_byte_order_mark() -> None:
    path = Path("a.dagent")
    path.write_bytes(b"\xef\xbb\xbfseed = 3\r\n")
    assert main(["fmt", "--check", "a.dagent"]) == 1
    assert main(["fmt", "a.dagent"]) == 0
    assert path.read_bytes() == b"seed = 3\n"


def test_fmt_converts(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dagent").write_text(UGLY)
    assert main(["fmt", "a.dagent", "--to", "yaml"]) == 0
    assert capsys.readouterr().out == "seed: 3  # why\n"
    assert main(["fmt", "a.dagent", "--to", "yaml", "-o", "b.yaml"]) == 0
    assert Path("b.yaml").read_text() == "seed: 3  # why\n"
    assert main(["fmt", "b.yaml", "--to", "dagent", "-o", "c.dagent"]) == 0
    assert Path("c.dagent").read_text() == "seed = 3  # why\n"


def test_fmt_leaves_faulty_files_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dagent").write_text("seed = \n")
    Path("b.dagent").write_text(UGLY)
    assert main(["fmt", "a.dagent", "b.dagent", "none.dagent"]) == 1
    assert Path("a.dagent").read_text() == "seed = \n"
    assert Path("b.dagent").read_text() != UGLY
    said = capsys.readouterr().err
    assert "E021" in said
    assert "E001" in said


@pytest.mark.parametrize(
    "flags",
    [
        ["a.dagent", "-o", "b.dagent"],
        ["a.dagent", "--to", "yaml", "--check"],
        ["a.dagent", "a.dagent", "--to", "yaml"],
        ["a.dagent", "--to", "yaml", "-o", "b.dagent"],
    ],
)
def test_fmt_refuses_contradictions(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dagent").write_text(GOOD)
    assert main(["fmt", *flags]) == 1
    assert "E831" in capsys.readouterr().err


def test_fmt_cannot_write(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dagent").write_text(GOOD)
    assert main(["fmt", "a.dagent", "--to", "yaml", "-o", "no/b.yaml"]) == 1
    assert "E007" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "name", "code"),
    [
        (None, "none.dagent", "E001"),
        (None, "none/spec.dagent", "E001"),
        ("folder", "a.dagent", "E002"),
        (b"", "a.dagent", "E003"),
        (b"\n# only this\n", "a.yaml", "E003"),
        (b"\xff\xfe\x00", "a.dagent", "E004"),
        (b"\x00\x01\x02", "a.yaml", "E004"),
        (b"{}", "a.json", "E006"),
        (b"seed = 3", "spec", "E006"),
    ],
)
def test_check_of_odd_files(
    make: object, name: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if make == "folder":
        Path(name).mkdir()
    elif isinstance(make, bytes):
        Path(name).write_bytes(make)
    assert main(["check", name]) == 1
    assert f"error[{code}]" in capsys.readouterr().err
    assert main(["check", name, "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [d["code"] for d in found] == [code]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that nobody can read")
def test_a_file_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dagent").symlink_to("/proc/self/mem")
    assert main(["check", "a.dagent"]) == 1
    assert "error[E005]" in capsys.readouterr().err


def test_check_without_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["code"] == "E801"
    Path("a.dagent").write_text(GOOD)
    Path("b.dagent").write_text(GOOD)
    assert main(["check"]) == 1
    assert "E802" in capsys.readouterr().err


def test_check_several(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.dagent").write_text("sede = 3\n")
    Path("b.yaml").write_text("sede: 3\n")
    assert main(["check", "a.dagent", "b.yaml", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    unknown = [d for d in found if d["code"] == "E102"]
    assert [(d["file"], d["line"], d["suggestion"]) for d in unknown] == [
        ("a.dagent", 1, "did you mean `seed`?"),
        ("b.yaml", 1, "did you mean `seed`?"),
    ]


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "e101"]) == 0
    assert capsys.readouterr().out.startswith("E101: unknown key\n")
    assert main(["explain"]) == 0
    assert "E900  unexpected error" in capsys.readouterr().out
    assert main(["explain", "E10x"]) == 1
    assert "E832" in capsys.readouterr().err
    assert main(["explain", "E101", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["code"] == "E101"
