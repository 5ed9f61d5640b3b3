"""What a message says to write is what makes the text right."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.fix import mend
from dagent.dsl.parse import guess_syntax, parse
from dagent.dsl.source import Source
from dagent.dsl.structure import check_structure

FIXTURES = Path(__file__).parent / "fixtures"
LINE = "data dev { role = dev }\n"


@pytest.mark.parametrize(
    ("fixture", "said", "mended"),
    [
        ("comment_slashes.dagent", "a comment starts with `#`", "# a comment"),
        ("text_curly_quotes.dagent", 'a text stands in straight quotes, `"…"`', '"Be good."'),
        ("number_grouped.dagent", "write `1000`", "rows <= 1000 rows"),
        ("money_sign.dagent", "an amount of money is written like `20 USD`", None),
        ("goal_equals.dagent", "write `>=`", "accuracy >= 80%"),
        ("syntax_deeper.yaml", "indent both lines alike", None),
        ("syntax_glued.yaml", "write `key: value`", "batch: 8"),
        ("syntax_equals.yaml", "write `key: value`", "seed: 3"),
    ],
)
def test_advice(fixture: str, said: str, mended: str | None) -> None:
    text = (FIXTURES / fixture).read_text(encoding="utf-8").partition("# error: ")[0]
    diagnostics = Diagnostics()
    source = Source(fixture, text)
    parse(source, diagnostics)
    assert [d.suggestion for d in diagnostics] == [said]

    def check(source: Source) -> tuple:  # type: ignore[type-arg]
        again = Diagnostics()
        parse(source, again)
        return tuple(again)

    fixed = mend(source, check)
    assert (fixed.source.text if mended is None else mended) in fixed.source.text
    assert bool(fixed.made) == (mended is not None)


def test_a_column_mapped_the_wrong_way_round_is_turned() -> None:
    diagnostics = Diagnostics()
    text = "data dev { role = dev  columns { body = prompt  kind = skills } }"
    root = parse(Source("spec.dagent", text), diagnostics)
    assert root is not None
    check_structure(root, diagnostics)
    found = [d.suggestion for d in diagnostics if d.code == "E101"]
    assert found[0] == "the other way round: write `prompt = body`"
    assert "other way" not in (found[1] or "")


@pytest.mark.parametrize(
    ("text", "syntax"),
    [("seed: 3;\n" + LINE * 3, "dagent"), ("seed = 3\ndata:\n  dev: {}\nbudget: {}\n", "yaml")],
)
def test_a_mistake_in_the_first_line_does_not_change_the_syntax(text: str, syntax: str) -> None:
    assert guess_syntax(text) == syntax
