"""Completion, hovering, definitions and the outline, over real specs in both syntaxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagent.compiler.quantity import Problem, parse
from dagent.compiler.tables import table
from dagent.dsl.codes import CODES
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.parse import parse as read
from dagent.language_server.completion import complete, units
from dagent.language_server.definition import definition
from dagent.language_server.hover import hover
from dagent.language_server.symbols import symbols

from .conftest import SPEC, TWIN, At

Open = Callable[[str, str], At]


def labels(at: At) -> list[str]:
    return [item.label for item in complete(at.source, at.offset, at.known)]


def with_cursor(text: str, before: str, after: str) -> str:
    """`before` in the text replaced by `after`, which holds the cursor."""
    assert text.count(before) == 1, before
    return text.replace(before, after)


# --- completion --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.dagent", with_cursor(SPEC, "  max_new_tokens = 32 tokens\n", "  |\n")),
        ("a.yaml", with_cursor(TWIN, "  max_new_tokens: 32 tokens\n", "  |\n")),
    ],
)
def test_keys_of_the_block_that_are_not_given(at: Open, name: str, text: str) -> None:
    found = labels(at(name, text))
    assert {"adapter", "max_new_tokens", "lora"} <= set(found)
    assert "model" not in found
    assert "rounds" not in found


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.dagent", "role = dev ", "role = | "),
        ("a.dagent", "role = dev ", "role = d| "),
        ("a.yaml", "role: dev", "role: |"),
    ],
)
def test_words_of_an_enum(at: Open, name: str, before: str, after: str) -> None:
    text = SPEC if name.endswith("dagent") else TWIN
    found = labels(at(name, with_cursor(text, before, after)))
    assert {"dev", "test", "guard", "seed", "pool"} <= set(found)


@pytest.mark.parametrize("typed", ["3", "3 "])
def test_units_after_a_number(at: Open, typed: str) -> None:
    here = at("a.dagent", SPEC.replace("rounds <= 5", f"rounds <= 5\n  wall <= {typed}|"))
    items = [i for i in complete(here.source, here.offset, here.known) if i.sort == "unit"]
    assert [i.label for i in items] == ["3s", "3min", "3h", "3d"]
    text = here.source.text
    for item in items:
        done = text[: item.span.start] + item.text + text[item.span.end :]
        line = next(line for line in done.splitlines() if "wall" in line)
        assert not isinstance(parse(line.partition("<=")[2].strip(), "time"), Problem), line


def test_every_unit_that_is_offered_is_one() -> None:
    for kind in ("rows", "calls", "tokens", "time", "money", "fraction", "points", "memory"):
        assert units(kind)
        for unit in units(kind):
            assert not isinstance(
                parse(f"1{unit}" if unit[0] in "kMG" else f"1 {unit}", kind), Problem
            )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.dagent", "let { size = 3 }\nparam steps { default = 2 }\nbudget { rounds <= $| }"),
        ("a.yaml", "let:\n  size: 3\nparam:\n  steps:\n    default: 2\nbudget:\n  rounds: $|\n"),
    ],
)
def test_constants_and_parameters(at: Open, name: str, text: str) -> None:
    assert {"$size", "$steps"} <= set(labels(at(name, text)))


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("|", {"accuracy"}),
        ("accuracy |", {">=", "<="}),
        ("accuracy >= 60% |", {"on"}),
        ("accuracy >= 60% on |", {"test", "select", "old"}),
        ("accuracy >= 60% on select for |", {"each skill", "skill"}),
        ("accuracy >= 60% on select for skill |", {"arithmetic"}),
    ],
)
def test_goals(at: Open, folder: Path, goal: str, expected: set[str]) -> None:
    rows = '{"prompt": "p%d", "answer": "a", "skill": "arithmetic"}\n'
    (folder / "skilled.jsonl").write_text("".join(rows % n for n in range(3)))
    text = SPEC.replace('path = "dev.jsonl"', 'path = "skilled.jsonl"')
    text = text.replace("data test", 'data old { role = guard  path = "old.jsonl" }\ndata test')
    assert expected <= set(labels(at("a.dagent", text.replace("accuracy >= 60% on test", goal))))
    twin = TWIN.replace("path: dev.jsonl", "path: skilled.jsonl")
    twin = twin.replace("  test:\n", "  old:\n    role: guard\n    path: old.jsonl\n  test:\n", 1)
    assert expected <= set(labels(at("a.yaml", twin.replace("accuracy >= 60% on test", goal))))


def test_guards_are_named_after_data_sets_of_that_role(at: Open) -> None:
    data = 'data old { role = guard  path = "old.jsonl" }\n'
    text = data + SPEC.replace("  require", "  guard |\n  require")
    assert labels(at("a.dagent", text)) == ["old"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('path = "dev.jsonl"', 'path = "|"', "test.jsonl"),
        ('path = "dev.jsonl"', "path = |", "test.jsonl"),
        ('"programs.py:generate"', '"prog|"', "programs.py"),
        ('"programs.py:generate"', '"programs.py:|"', "programs.py:generate"),
        ('"builtin:tiny-python"', '"|"', "builtin:tiny-python"),
    ],
)
def test_files_functions_and_models(at: Open, before: str, after: str, expected: str) -> None:
    here = at("a.dagent", with_cursor(SPEC, before, after))
    item = next(i for i in complete(here.source, here.offset, here.known) if i.label == expected)
    text = here.source.text
    done = text[: item.span.start] + item.text + text[item.span.end :]
    assert f'"{expected}' in done
    assert '""' not in done


def test_arguments_of_the_stage_and_of_the_adapter(at: Open) -> None:
    found = labels(at("a.dagent", with_cursor(SPEC, "  num_train_epochs = 1\n", "  num|\n")))
    assert "num_train_epochs" in found
    assert "learning_rate" not in found, "given already"
    assert "output_dir" not in found, "dagent's own"
    found = labels(at("b.dagent", "train dpo {\n  |\n}"))
    assert "beta" in found
    assert set(found) <= set(table("dpo").arguments)
    assert "r" in labels(at("c.yaml", "student:\n  lora:\n    |\n"))


def test_choices_of_an_argument(at: Open) -> None:
    here = at("a.dagent", with_cursor(SPEC, "= cosine", "= |"))
    assert {"cosine", "linear"} <= set(labels(here))


def test_what_is_completed_is_accepted(at: Open) -> None:
    """Every key that is offered in a block is one that the check of structure knows."""
    here = at("a.dagent", with_cursor(SPEC, "  strategy = curriculum\n", "  |\n"))
    for item in complete(here.source, here.offset, here.known):
        text = here.source.text
        done = text[: item.span.start] + item.label + " = 1" + text[item.span.end :]
        found = Diagnostics()
        read(type(here.source)("a.dagent", done), found)
        assert not [d for d in found if d.code in ("E101", "E102")], item.label


# --- hovering ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.dagent", with_cursor(SPEC, "rounds <=", "rou|nds <="), "Most rounds"),
        ("a.yaml", with_cursor(TWIN, "rounds:", "rou|nds:"), "Most rounds"),
        ("a.dagent", with_cursor(SPEC, "max_new_tokens", "max_new|_tokens"), "5M tokens"),
        ("a.dagent", with_cursor(SPEC, "learning_rate", "learning|_rate"), "`trl.SFTConfig`"),
        ("a.yaml", with_cursor(TWIN, "learning_rate", "learning|_rate"), "`trl.SFTConfig`"),
        ("a.dagent", with_cursor(SPEC, "student {", "stu|dent {"), "model that is trained"),
        ("a.dagent", "let { size = 3 }\nbudget { rounds <= $si|ze }", "`$size` = `3`"),
        (
            "a.yaml",
            "param:\n  n:\n    env: SIZE\n    default: 2\nbudget:\n  rounds: $|n\n",
            "environment variable `SIZE`",
        ),
    ],
)
def test_hover(at: Open, name: str, text: str, expected: str) -> None:
    here = at(name, text)
    said = hover(here.source, here.offset, here.known)
    assert said is not None
    assert expected in said


def test_a_finding_is_explained_where_it_is(at: Open, desk, folder: Path) -> None:
    here = at("a.dagent", SPEC.replace("strategy", "stra|tegi"))
    found = desk.check(folder / "a.dagent")[folder / "a.dagent"]
    said = hover(here.source, here.offset, here.known, found)
    assert said is not None
    assert CODES["E101"].title in said


# --- definitions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "file", "target"),
    [
        ("a.dagent", "let { size = 3 }\nbudget { rounds <= $si|ze }", "a.dagent", "size"),
        ("a.yaml", "let:\n  size: 3\nbudget:\n  rounds: $si|ze\n", "a.yaml", "size"),
        ("a.dagent", with_cursor(SPEC, "require accuracy", "require accu|racy"), "a.dagent", None),
        ("a.yaml", with_cursor(TWIN, "- accuracy", "- accu|racy"), "a.yaml", "accuracy"),
        ("a.dagent", with_cursor(SPEC, "60% on test", "60% on te|st"), "a.dagent", "test"),
        ("a.dagent", with_cursor(SPEC, ":generate", ":gen|erate"), "programs.py", "generate"),
        ("a.yaml", with_cursor(TWIN, ":verify", ":ver|ify"), "programs.py", "verify"),
        ("a.dagent", with_cursor(SPEC, '"dev.jsonl', '"d|ev.jsonl'), "dev.jsonl", ""),
        (
            "a.dagent",
            "data old { role = guard }\ncriteria { guard o|ld { max_drop = 2pp } }",
            "a.dagent",
            "old",
        ),
        (
            "a.yaml",
            "data:\n  old:\n    role: guard\ncriteria:\n  guard:\n    ol|d: {}\n",
            "a.yaml",
            "old",
        ),
    ],
)
def test_definition(at: Open, name: str, text: str, file: str, target: str | None) -> None:
    here = at(name, text)
    span = definition(here.source, here.offset, here.known)
    assert span is not None
    assert Path(span.source.name).name == file
    assert span.text == (target if target is not None else "accuracy")
    assert (span.source.name, span.start) != (here.source.name, here.offset)


def test_a_definition_in_an_import_that_is_open_and_unsaved(at: Open, desk, folder: Path) -> None:
    (folder / "base.dagent").write_text("seed = 1\n")
    desk.texts[folder / "base.dagent"] = "let { size = 3 }\n"
    here = at("a.dagent", 'import "base.dagent"\nbudget { rounds <= $si|ze }')
    span = definition(here.source, here.offset, here.known)
    assert span is not None
    assert (Path(span.source.name).name, span.line, span.text) == ("base.dagent", 1, "size")
    here = at("b.dagent", 'import "ba|se.dagent"\n')
    span = definition(here.source, here.offset, here.known)
    assert span is not None
    assert Path(span.source.name) == folder / "base.dagent"


# --- outline -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "text"), [("a.dagent", SPEC), ("a.yaml", TWIN)])
def test_outline(at: Open, name: str, text: str) -> None:
    root = read(at(name, text + "# |").source, Diagnostics())
    assert root is not None
    found = symbols(root)
    names = [s.name for s in found]
    assert names[:3] == ["domain", "data dev", "data test"]
    assert names[3:] == ["student", "engineer", "budget", "criteria", "train sft"]
    criteria = found[6]
    assert [s.name for s in criteria.inner] == ["metric accuracy", "require"]

    def check(symbol) -> None:
        assert symbol.span.start <= symbol.name_span.start
        assert symbol.name_span.end <= symbol.span.end
        for inner in symbol.inner:
            check(inner)

    for symbol in found:
        check(symbol)
