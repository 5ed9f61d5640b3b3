"""The formatter is idempotent, keeps the tree and every comment, and converts without loss."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagent.dsl.comments import dsl_comments, yaml_comments
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Entry, Mapping, Node, Scalar, Sequence, plain
from dagent.dsl.fmt import Syntax, format_source
from dagent.dsl.fmt_dsl import DslPrinter
from dagent.dsl.parse import parse
from dagent.dsl.schema import load
from dagent.dsl.source import Source

HERE = Path(__file__).parent
SYNTAXES: tuple[Syntax, ...] = ("dagent", "yaml")
QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def fmt(text: str, syntax: Syntax, to: Syntax | None = None) -> str:
    diagnostics = Diagnostics()
    out = format_source(Source(f"spec.{syntax}", text), diagnostics, to)
    assert out is not None, [(d.code, d.message, d.span and d.span.line) for d in diagnostics]
    return out


def read(text: str, syntax: Syntax) -> Any:
    diagnostics = Diagnostics()
    root = parse(Source(f"spec.{syntax}", text), diagnostics)
    assert root is not None, text
    assert not diagnostics.has_errors, (list(diagnostics), text)
    return plain(root)


def comments(text: str, syntax: Syntax) -> list[str]:
    source = Source(f"spec.{syntax}", text)
    if syntax == "dagent":
        return sorted(c.text for c in dsl_comments(source))
    root = parse(source, Diagnostics())
    assert root is not None
    return sorted(c.text for c in yaml_comments(source, root))


def same(a: Any, b: Any) -> bool:
    """Equal, and of equal types: 1, 1.0 and True are three values."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def check_all(text: str, syntax: Syntax) -> None:
    tree, notes = read(text, syntax), comments(text, syntax)
    for to in SYNTAXES:
        once = fmt(text, syntax, to)
        assert same(read(once, to), tree), once
        assert comments(once, to) == notes, once
        assert fmt(once, to) == once
        back = fmt(once, to, syntax)
        assert same(read(back, syntax), tree), back
        assert comments(back, syntax) == notes, back


@pytest.mark.parametrize("path", sorted((HERE / "formatted").iterdir()), ids=lambda p: p.name)
def test_golden(path: Path) -> None:
    """Each file is canonical, and survives the way to the other syntax and back."""
    text = path.read_text(encoding="utf-8")
    syntax: Syntax = "dagent" if path.suffix == ".dagent" else "yaml"
    assert fmt(text, syntax) == text
    check_all(text, syntax)


# Trees of any shape, with the names of the language in all the wrong places.

SCHEMA = load()
NAMES = sorted(
    {*SCHEMA["properties"], "rounds", "per", "metric", "stage", "role", "a", "b-c", "x.y"}
)
KEYS = st.one_of(
    st.sampled_from(NAMES), st.text(max_size=6), st.sampled_from(["a b", "", "3", "on"])
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet='ab \n\t"\\#:{}[]=<>-,$%\'', max_size=20),
    st.sampled_from(
        ["yes", "no", "null", "true", "~", "4", "1e-5", "4k rows", "10 min", "2 %", "$n", "${n} x",
         "require", "import x", "data", "0x10", "1_000", "10:30", "2001-01-01", "a\nb", "a\n\n b\n",
         '"""', "a\n\"\"\"\nb", "a\\\nb", "a >= 0.6 on b", "loss <= 1 %", "- a", "a: b", "a #b",
         "&a", "*a", "3 data", "é\u2028", "\ud800", "a\r\nb", "=", "<<", "\ufeff", "\x85", "日本",
         "😀", "x" * 120]
    ),
)  # fmt: skip
SCALARS = st.one_of(
    TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
TREES = st.dictionaries(KEYS, VALUES, min_size=1, max_size=5)


def build(value: Any, source: Source) -> Node:
    span = source.span(0, 0)
    if isinstance(value, dict):
        return Mapping(tuple(Entry(k, span, build(v, source)) for k, v in value.items()), span)
    if isinstance(value, list):
        return Sequence(tuple(build(v, source) for v in value), span)
    return Scalar(value, span, quoted=True)


def clean(value: Any) -> Any:
    """Half a character pair is no text; both syntaxes read it as the replacement character."""
    if isinstance(value, str):
        return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [clean(v) for v in value]
    if isinstance(value, dict):
        return {clean(k): clean(v) for k, v in value.items()}
    return value


@QUICK
@given(TREES)
def test_any_tree(tree: dict[str, Any]) -> None:
    from dagent.dsl.comments import Attached

    tree = clean(tree)
    root = build(tree, Source("made", ""))
    assert isinstance(root, Mapping)
    text = DslPrinter(Attached()).document(root, load())
    assert same(read(text, "dagent"), tree), text
    check_all(text, "dagent")


@QUICK
@given(st.sampled_from(sorted((HERE / "formatted").iterdir())), st.integers(0, 10**6))
def test_comments_and_blank_lines_anywhere(path: Path, seed: int) -> None:
    syntax: Syntax = "dagent" if path.suffix == ".dagent" else "yaml"
    check_all(sprinkle(path.read_text(encoding="utf-8"), syntax, seed), syntax)


def sprinkle(text: str, syntax: Syntax, seed: int) -> str:
    """Comments on lines of their own and at line ends, and blank lines, where they fit."""
    rng = random.Random(seed)
    tree, notes = read(text, syntax), comments(text, syntax)
    for n in range(rng.randint(1, 8)):
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        match rng.randrange(3):
            case 0:
                lines.insert(at, " " * rng.randrange(8) + f"# own {n}")
            case 1:
                lines[at] += f" # tail {n}"
            case _:
                lines.insert(at, "")
        changed = "\n".join(lines)
        diagnostics = Diagnostics()
        root = parse(Source(f"s.{syntax}", changed), diagnostics)
        more = len(comments(changed, syntax)) - len(notes) if root else 0
        unharmed = root and not diagnostics.has_errors and same(plain(root), tree)
        if unharmed and changed.count("#") - text.count("#") == more:
            text, notes = changed, comments(changed, syntax)
    return text


@pytest.mark.parametrize("odd", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028"])
def test_what_ends_a_line_elsewhere_ends_none_in_a_comment(odd: str) -> None:
    text = f"domain {{\n  # a{odd}b\n  name = x  # c{odd}d\n  goal = y\n}}\n"
    once = format_source(Source("s.dagent", text), Diagnostics(), "dagent")
    assert once == text


@pytest.mark.parametrize("sign", ["\r", "\x85", "\u2028", "\u2029", "\x07", "\x00"])
def test_a_comment_stays_one_in_yaml_whatever_it_holds(sign: str) -> None:
    """In `.dagent` a line feed alone ends a line; YAML knows more ends, and refuses some signs."""
    text = f"# lead{sign}seed: 8\nseed = 7  # tail{sign}language: 2\n# last{sign}seed: 9\n"
    assert read(text, "dagent") == {"seed": 7}
    made = fmt(text, "dagent", "yaml")
    assert read(made, "yaml") == {"seed": 7}
    assert made == "# lead seed: 8\nseed: 7  # tail language: 2\n\n# last seed: 9\n"
    assert sign in fmt(text, "dagent")
