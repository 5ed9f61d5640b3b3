"""Imports, constants, parameters and secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.compose import compose
from dagent.compiler.pipeline import check, compile, find_spec
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.document import locate, plain
from dagent.dsl.fmt import format_source
from dagent.dsl.source import Source

ROOT = Path(__file__).parents[2]
PARTS = sorted((ROOT / "specs" / "library").glob("*.dagent"))
LANGUAGE = ROOT / "docs" / "language.md"


def composed(project: Any, text: str, *sets: str, **env: str) -> dict[str, Any]:
    path = project.text(text, "spec.dagent")
    return plain(compose(path, Settings(sets, env), Diagnostics()).root)


def refused(project: Any, text: str, *sets: str, **env: str) -> list[Diagnostic]:
    """What is wrong with a text, other than that it is no whole spec."""
    with pytest.raises(Refused) as caught:
        composed(project, text, *sets, **env)
    missing = ("E103", "E104")
    return [d for d in caught.value.diagnostics if d.severity == "error" and d.code not in missing]


# --- imports -----------------------------------------------------------------------------------


def test_the_importing_file_wins_and_blocks_join(project: Any) -> None:
    project.text("domain { name = base  goal = old }\ntrain sft { max_steps = 1 }", "base.dagent")
    root = composed(
        project, 'import "base.dagent"\ndomain { goal = new }\ntrain sft { bf16 = true }'
    )
    assert root["domain"] == {"goal": "new", "name": "base"}
    assert root["train"] == [{"stage": "sft", "bf16": True}]  # lists are replaced


def test_imports_cross_syntaxes_and_folders(project: Any) -> None:
    (project.folder / "parts").mkdir()
    project.text("import: [more.dagent]\nseed: 4\n", "parts/base.yaml")
    project.text("student { model = m }", "parts/more.dagent")
    path = project.text('import "parts/base.yaml"', "spec.dagent")
    made = compose(path, Settings(), Diagnostics())
    assert plain(made.root)["seed"] == 4
    assert plain(made.root)["student"] == {"model": "m"}
    assert list(made.sources) == ["parts/base.yaml", "parts/more.dagent", "spec.dagent"]


def test_a_cycle_shows_the_whole_way(project: Any) -> None:
    project.text('import "b.dagent"', "a.dagent")
    project.text('import "c.dagent"', "b.dagent")
    project.text('import "a.dagent"', "c.dagent")
    (found,) = refused(project, 'import "a.dagent"')
    assert found.code == "E702"
    assert "a.dagent -> b.dagent -> c.dagent -> a.dagent" in found.message
    assert {note.span.source.name.rpartition("/")[2] for note in found.notes if note.span} == {
        "a.dagent",
        "b.dagent",
    }


def test_a_clash_of_two_imports_shows_both(project: Any) -> None:
    project.text("seed = 1", "a.dagent")
    project.text("seed = 2", "b.dagent")
    (found,) = refused(project, 'import "a.dagent"\nimport "b.dagent"')
    assert found.code == "E710"
    assert found.span is not None
    assert found.notes[0].span is not None
    assert found.span.source.name.endswith("b.dagent")
    assert found.notes[0].span.source.name.endswith("a.dagent")


def test_the_same_file_by_two_ways_is_no_clash(project: Any) -> None:
    project.text("seed = 1", "c.dagent")
    for name in "ab":
        project.text('import "c.dagent"', f"{name}.dagent")
    assert composed(project, 'import "a.dagent"\nimport "b.dagent"')["seed"] == 1


@pytest.mark.parametrize("ending", ["dagent", "yaml"])
def test_the_importer_settles_a_clash(project: Any, ending: str) -> None:
    if ending == "dagent":
        project.text("criteria { gate { alpha = 0.1 } }", "a.dagent")
        project.text("criteria { gate { alpha = 0.2  select = 0.4 } }", "b.dagent")
        text = 'import "a.dagent"\nimport "b.dagent"\n'
        own = "criteria { gate { alpha = 0.3 } }"
    else:
        project.text("criteria: {gate: {alpha: 0.1}}", "a.yaml")
        project.text("criteria: {gate: {alpha: 0.2, select: 0.4}}", "b.yaml")
        text, own = "import: [a.yaml, b.yaml]\n", "criteria: {gate: {alpha: 0.3}}"
    for written, settled in ((text, False), (text + own, True)):
        path = project.text(written, f"spec.{ending}")
        diagnostics = Diagnostics()
        try:
            root = plain(compose(path, Settings(), diagnostics).root)
        except Refused as refused:
            (found,) = refused.diagnostics
            assert (found.code, settled) == ("E710", False)
            assert "`criteria.gate.alpha`" in found.message
        else:
            assert settled
            assert root["criteria"]["gate"] == {"alpha": 0.3, "select": 0.4}


def test_imports_that_agree_are_no_clash(project: Any) -> None:
    project.text("seed = 1\ntrain sft { max_steps = 1 }", "a.dagent")
    project.text("seed: 1\ntrain: [{stage: sft, max_steps: 1}]", "b.yaml")
    assert composed(project, 'import "a.dagent"\nimport "b.yaml"')["seed"] == 1


@pytest.mark.parametrize("ending", ["dagent", "yaml"])
@pytest.mark.parametrize("part", PARTS, ids=lambda p: p.stem)
def test_a_part_of_the_library_compiles(project: Any, part: Path, ending: str) -> None:
    block = next(e.key for e in compose(part, Settings(), Diagnostics()).root)
    name = f"dagent:{part.stem}"
    rest = {k: v for k, v in project.SPEC.items() if k != block}
    kept = {"student": {"model": "./model"}, "criteria": project.SPEC["criteria"]}.get(block)
    if block == "criteria":
        rest["budget"] = {**rest["budget"], "rounds": 3}  # a stop after two rounds needs a third
    change = {**rest, "import": [name], **({block: kept} if kept else {})}
    text = json.dumps(change)
    if ending == "dagent":
        source = Source("spec.yaml", text)
        text = format_source(source, Diagnostics(), "dagent") or ""
    made = compile(project.text(text, f"spec.{ending}"))
    assert made.lock["sources"].keys() == {name, f"spec.{ending}"}
    assert not [w for w in made.warnings if w.severity == "error"]


@pytest.mark.parametrize("part", PARTS, ids=lambda p: p.stem)
def test_a_part_of_the_library_is_canonical_and_documented(part: Path) -> None:
    text = part.read_text(encoding="utf-8")
    assert format_source(Source(part.name, text), Diagnostics()) == text
    assert f"`dagent:{part.stem}`" in LANGUAGE.read_text(encoding="utf-8")


def test_a_part_that_the_library_has_not(project: Any) -> None:
    (found,) = refused(project, 'import "dagent:lora-smal"')
    assert found.code == "E701"
    assert found.suggestion == "did you mean `dagent:lora-small`?"


@pytest.mark.parametrize(
    ("name", "code"),
    [("no.dagent", "E701"), ("/etc/x.dagent", "E707"), ("a" * 300 + ".dagent", "E707")],
)
def test_imports_that_cannot_be(project: Any, name: str, code: str) -> None:
    (found,) = refused(project, f'import "{name}"')
    assert found.code == code
    assert found.span is not None
    assert found.span.text == f'"{name}"'


def test_a_base_beside_its_spec_is_no_second_spec(project: Any) -> None:
    project.text("seed = 1", "base.dagent")
    path = project.text('import "base.dagent"', "main.dagent")
    assert find_spec(project.folder) == path


# --- names -------------------------------------------------------------------------------------


def test_references_keep_their_type_and_place(project: Any) -> None:
    text = (
        'let { n = 3  s = "a${n}" }\nseed = $n\ndomain { name = $s  goal = "$$n and $${n} ${n}" }'
    )
    path = project.text(text, "spec.dagent")
    root = compose(path, Settings(), Diagnostics()).root
    assert plain(root)["seed"] == 3
    assert plain(root)["domain"] == {"name": "a3", "goal": "$$n and ${n} 3"}
    assert locate(root, ("seed",)).span.text == "$n"  # the use, not the definition


@pytest.mark.parametrize(
    ("sets", "env", "value"),
    [((), {}, 1), ((), {"K": "2"}, 2), (("k=3",), {"K": "2"}, 3), (("k=3", "k=4"), {}, 4)],
)
def test_set_wins_over_the_environment_over_the_default(
    project: Any, sets: tuple[str, ...], env: dict[str, str], value: int
) -> None:
    text = "param k { default = 1  env = K }\nseed = $k"
    assert composed(project, text, *sets, **env)["seed"] == value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [("integer", "3", 3), ("number", "1e-3", 0.001), ("number", "2", 2), ("boolean", "true", True)],
)
def test_values_from_outside_are_typed(project: Any, kind: str, text: str, value: object) -> None:
    spec = f"param k {{ type = {kind} }}\ntrain sft {{ x = $k }}"
    assert composed(project, spec, f"k={text}")["train"][0]["x"] == value


def test_seed_can_be_set_without_a_parameter(project: Any) -> None:
    assert composed(project, "seed = 1", "seed=7")["seed"] == 7
    assert composed(project, "domain { name = d }", "seed=7")["seed"] == 7


@pytest.mark.parametrize(
    ("text", "sets", "code"),
    [
        ("seed = $no", (), "E703"),
        ("let { a = $b  b = $a }\nseed = $a", (), "E709"),
        ("let { a = 1 }\nparam a { default = 2 }\nseed = $a", (), "E704"),
        ("param k { type = integer }\nseed = $k", (), "E708"),
        ("param k { type = integer }\nseed = $k", ("k=x",), "E705"),
        ("param k { default = 1 }\nseed = $k", ("kk=2",), "E705"),
        ("seed = 1", ("seed",), "E705"),
        ("seed = 1", ("seed=x",), "E705"),
        ("param k { type = integer  default = x }\nseed = $k", (), "E712"),
        ("param k { secret = true }\nengineer { api_key = $k }", (), "E712"),
        ("param k { secret = true  env = K  default = x }\nengineer { api_key = $k }", (), "E706"),
        ("param k { secret = true  env = K }\ndomain { goal = $k }", (), "E706"),
        ('param k { secret = true  env = K }\ndomain { goal = "a ${k}" }', (), "E706"),
        ("param k { secret = true  env = K }\nengineer { api_key = $k }", ("k=x",), "E706"),
        ('domain { goal = "sk-0123456789abcdef0123" }', (), "E706"),
        ("param k { default = a }\ndomain { goal = $k }", ("k=hf_0123456789abcdefghij",), "E706"),
    ],
)
def test_what_names_cannot_do(project: Any, text: str, sets: tuple[str, ...], code: str) -> None:
    assert [d.code for d in refused(project, text, *sets)] == [code]


def test_the_nearest_name_is_suggested(project: Any) -> None:
    (found,) = refused(project, "let { rounds = 1 }\nseed = $round")
    assert found.suggestion == "did you mean `rounds`?"


def test_a_secret_never_enters_the_document(project: Any) -> None:
    text = "param k { secret = true  env = K }\nengineer { api_key = $k }"
    root = composed(project, text, K="sk-0123456789abcdef0123")
    assert root["engineer"]["api_key"] == "{env K}"
    assert "0123456789" not in str(root)


def test_no_message_shows_a_secret(project: Any) -> None:
    secret = "sk-0123456789abcdef0123"
    text = "param k { default = 1  env = K }\nseed = $k"
    for found in (*refused(project, text, f"seed={secret}"), *refused(project, text, K=secret)):
        assert found.code == "E706"
        span = "" if found.span is None else found.span.source.text
        assert secret not in f"{found.message}{found.suggestion}{span}"


def test_unused_names_are_warned_of(project: Any) -> None:
    change = {"let": {"a": 1}, "param": {"b": {"default": 1}}}
    found = check(project.spec(change))
    assert [d.severity for d in found if d.code == "E711"] == ["warning", "warning"]


def test_spelling_and_structure_are_found_in_one_go(project: Any) -> None:
    text = "seed = $n\ndomain { nam = d }\nbudget { rounds <= }\nlet { n = 1 }\n"
    codes = {d.code for d in check(project.text(text, "spec.dagent"), Settings())}
    assert {"E021", "E101"} <= codes
    assert "E105" not in codes  # `$n` stands for a number


def test_what_an_import_would_bring_is_not_called_missing(project: Any) -> None:
    assert [d.code for d in refused(project, 'import "no.dagent"\nseed = 1')] == ["E701"]


def test_an_import_whose_path_no_file_can_have_is_refused(project: Any) -> None:
    path = project.text('import: ["a\\0b.yaml"]\n')
    assert "E707" in {d.code for d in check(path, Settings())}
