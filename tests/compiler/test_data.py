"""Data sets: what `where` means, what each format and source gives, what the lock pins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dagent.compiler.dataset import Row, View, rows_of
from dagent.compiler.formats import Fault, read_file
from dagent.compiler.pipeline import check, compile
from dagent.compiler.settings import Settings
from dagent.compiler.where import NotAllowed, parse_where

COMMIT, OTHER = 40 * "a", 40 * "b"
HUB = {"path": None, "hub": "owner/name", "split": "train"}
ROW = {
    "prompt": "What is 2+2?",
    "answer": "4",
    "difficulty": 3,
    "meta": {"topic": "sums", "tags": ["easy", "new"]},
    "score": "0.75",
    "note": None,
}


def dev(**change: Any) -> dict[str, Any]:
    return {"data": {"dev": change}}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("difficulty == 3 and len(prompt) < 200", True),
        ("difficulty in [1, 2] or startswith(prompt, 'What')", True),
        ("not 1 < difficulty <= 3", False),
        ("meta.topic == 'sums' and 'easy' in meta.tags", True),
        ("meta.nothing is None and note == None", True),
        ("float(score) * 2 - 1 > 0.4", True),
        ("lower(prompt) == prompt", False),
        ("difficulty\n  > -1", True),
    ],
)
def test_where(where: str, kept: bool) -> None:
    found = list(rows_of([(1, ROW)], View({}, parse_where(where))))
    assert bool(found) == kept
    assert all(isinstance(row, Row) for row in found)


@pytest.mark.parametrize(
    ("where", "blamed"),
    [
        ("difficulty = 3", "difficulty = 3"),
        ("len(prompt) <", "<"),
        ("__import__('os').system('x')", "__import__('os').system"),
        ("prompt.lower() == 'x'", "prompt.lower"),
        ("9 ** 9 ** 9 > 1", "9 ** 9 ** 9"),
        ("'é' == [x for x in prompt]", "[x for x in prompt]"),
        ("(lambda: 1) == 1", "lambda: 1"),
        ("prompt[0] == 'W'", "prompt[0]"),
        ("len(prompt, key=1)", "len"),
    ],
)
def test_what_where_does_not_have_is_pointed_at(where: str, blamed: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        parse_where(where)
    assert where[caught.value.start : caught.value.end] == blamed


@pytest.mark.parametrize(
    ("where", "code", "blamed"),
    [
        ("skill == 'a' and dificulty > 1", "E321", "dificulty"),
        ("skill == 'a' nd difficulty > 1", "E320", None),
        ("skill > 3", "E322", None),
        ("skill == 'no'", "E308", None),
    ],
)
def test_a_wrong_where_is_found_when_compiling(
    project: Any, where: str, code: str, blamed: str | None
) -> None:
    (found,) = [d for d in check(project.spec(dev(where=where))) if d.severity == "error"]
    assert found.code == code
    assert found.span is not None
    assert (blamed or found.span.text) == found.span.text
    assert found.span.text in json.dumps(where)


def test_where_comes_before_sample(project: Any) -> None:
    assert project.codes(dev(where="skill == 'a'", sample=20)) == []
    assert project.codes(dev(where="skill == 'a'", sample=21)) == ["E204"]


def test_one_row_reads_the_same_from_every_format(tmp_path: Path) -> None:
    row = {"id": "7", "prompt": "2+2", "answer": "4", "skill": "sum", "difficulty": 1}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "a.csv").write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for format in ("jsonl", "csv", "parquet"):
        raw = read_file(tmp_path / f"a.{format}", format)
        (found,) = rows_of(raw, View({}, text=format == "csv"))
        assert isinstance(found, Row)
        assert dict(found.values) == row, format


def test_parquet(project: Any) -> None:
    rows = [{"q": f"q{i}", "a": {"text": [str(i)]}, "skill": "s"} for i in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), project.folder / "dev.parquet")
    columns = {"prompt": "q", "answer": "a.text.0"}
    compiled = project.compile(dev(path="dev.parquet", columns=columns))
    assert compiled.plan.step("data.dev").params["format"] == "parquet"
    assert project.codes(dev(path="dev.parquet")) == ["E306"]
    (project.folder / "dev.parquet").write_text("PAR?")
    assert project.codes(dev(path="dev.parquet")) == ["E302"]


def chat(*turns: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def test_an_exchange_is_a_row() -> None:
    exchange = (("user", "2+2?"), ("assistant", "4"))
    rows = [chat(*exchange), chat(("system", "Count."), *exchange), chat(*exchange, *exchange)]
    plain, led, two = rows_of(enumerate(rows, 1), View({}))
    assert isinstance(plain, Row)
    assert isinstance(led, Row)
    assert (plain.prompt, plain.answer) == ("2+2?", "4")
    assert (led.prompt, led.answer) == ("Count.\n\n2+2?", "4")
    assert isinstance(two, Fault)
    assert two.row == 3
    columns = {"prompt": "messages.2.content", "answer": "messages.3.content"}
    (second,) = rows_of([(1, rows[2])], View(columns))
    assert isinstance(second, Row)


@pytest.mark.parametrize("column", ["prompt", "answer", "skill", "tests"])
def test_half_a_character_is_no_text(column: str) -> None:
    """JSON can say it, and no file can hold it."""
    cut = json.loads('"half \\ud83d"')
    row = {**ROW, column: [cut] if column == "tests" else cut}
    whole = {**ROW, "answer": json.loads('"whole \\ud83d\\ude00"')}
    fault, kept = rows_of([(1, row), (2, whole)], View({}, extra=("tests",)))
    assert isinstance(fault, Fault)
    assert (fault.column, "half of a character" in fault.message) == (column, True)
    assert isinstance(kept, Row)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({**HUB}, ["E323"]),
        ({**HUB, "revision": "main"}, ["E323"]),
        ({**HUB, "revision": COMMIT}, []),
        ({**HUB, "revision": COMMIT, "split": None}, ["E103"]),
        ({**HUB, "hub": "./nothing"}, ["E301"]),
        ({**HUB, "hub": "../above"}, ["E707"]),
        ({**HUB, "path": "dev.jsonl"}, ["E307"]),
        ({"path": None, "program": "programs.py:rows"}, []),
        ({"path": None, "program": "programs.py:no"}, ["E311"]),
        ({"path": None, "program": "programs.py:verify"}, ["E317"]),
        ({"split": "train"}, ["E325"]),
        ({"mix": True}, ["E325"]),
        ({"path": None, "program": "programs.py:rows", "format": "csv"}, ["E325"]),
    ],
)
def test_sources(project: Any, change: dict[str, Any], codes: list[str]) -> None:
    assert project.codes(dev(**change)) == codes


def test_a_commit_is_pinned_by_the_lock_or_the_cache(project: Any) -> None:
    cache = project.folder / "hf" / "hub" / "datasets--owner--name" / "refs"
    cache.mkdir(parents=True)
    (cache / "main").write_text(OTHER)
    env = {"HF_HOME": str(project.folder / "hf")}
    from_cache = project.compile(dev(**HUB), **env)
    assert from_cache.plan.step("data.dev").params["revision"] == OTHER
    assert from_cache.lock["data"]["dev"] == {
        "hub": "owner/name",
        "revision": None,
        "commit": OTHER,
    }
    (project.folder / "dagent.lock").write_text(json.dumps(from_cache.lock))
    (cache / "main").write_text(COMMIT)  # the branch moved on; the lock still says what was used
    assert project.compile(dev(**HUB), **env).plan.id == from_cache.plan.id
    again = compile(project.spec(dev(**HUB)), Settings(env=env, pins={}))
    assert again.plan.step("data.dev").params["revision"] == COMMIT


def test_rows_not_at_hand_are_compared_when_the_plan_runs(project: Any) -> None:
    hub = {key: value for key, value in HUB.items() if value}
    change = {
        "data": {
            "dev": {"path": None, "program": "programs.py:rows"},
            "more": {"role": "seed", "mix": True, **hub, "revision": COMMIT},
        },
        "domain": {"skills": ["a", "b"]},
    }
    plan = project.compile(change).plan
    assert plan.step("data.dev").inputs == {"against.test": "data.test/rows"}
    assert plan.step("data.dev").params["skills"] == ["a", "b"]
    assert plan.step("data.more").inputs == {
        "against.dev": "data.dev/rows",
        "against.test": "data.test/rows",
    }
    assert plan.step("data.test").inputs == {}


GENERATE = "def generate(skill, difficulty, n, seed, seeds, pool=()): ...\n"
ENGINEERS = {
    "data": {
        "few": {"role": "seed", "path": "few.jsonl"},
        "open": {"role": "pool", "path": "open.jsonl"},
    },
    "engineer": {"generator": {"program": "seeded.py:generate"}},
}


def test_seeds_and_pool_reach_the_generator_and_nobody_else(project: Any) -> None:
    (project.folder / "seeded.py").write_text(GENERATE)
    project.write_rows("few.jsonl", [{"prompt": "few", "answer": "1"}])
    project.write_rows("open.jsonl", [{"prompt": "open"}])
    plan = project.compile(ENGINEERS).plan
    readers = {
        (step.kind, name): ref
        for step in plan.steps
        for name, ref in step.inputs.items()
        if ref.split("/")[0] in ("data.few", "data.open", "seed.few")
    }
    assert readers == {
        ("decontaminate", "rows"): "data.few/rows",
        ("generate", "seed.few"): "seed.few/rows",
        ("generate", "pool.open"): "data.open/rows",
    }
    judges = {"rows", "against.dev", "against.test"}
    assert set(plan.step("seed.few").inputs) == set(plan.step("r1.decontaminate").inputs) == judges
    mixed = project.compile(project.join(ENGINEERS, {"data": {"few": {"mix": True}}})).plan
    assert mixed.step("r0.gate").inputs["seed.few"] == "seed.few/rows"


def test_seeds_and_pool_need_a_reader(project: Any) -> None:
    project.write_rows("few.jsonl", [{"prompt": "few", "answer": "1"}])
    project.write_rows("open.jsonl", [{"prompt": "open"}])
    deaf = project.join(ENGINEERS, {"engineer": {"generator": {"program": "programs.py:generate"}}})
    assert project.codes(deaf) == ["E327", "E327"]
    assert project.codes(project.join(deaf, {"data": {"few": {"mix": True}}})) == ["E327"]


@pytest.mark.parametrize("role", ["seed", "pool"])
def test_what_the_engineer_sees_is_not_what_is_judged_on(project: Any, role: str) -> None:
    (project.folder / "seeded.py").write_text(GENERATE.replace("seeds,", "seeds=(),"))
    for judge in ("dev", "test"):
        leak = f"{judge.upper()}   three"  # `dev 3` in other case, spaces and numerals
        project.write_rows("few.jsonl", [{"prompt": leak, "answer": "1"}])
        change = {
            "data": {"few": {"role": role, "path": "few.jsonl"}},
            "engineer": {"generator": {"program": "seeded.py:generate"}},
        }
        assert project.codes(change) == ["E304"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[{"prompt": "a", "answer": "b"},\n {"prompt": "c", "answer": "d"}]', None),
        ('{"prompt": "a", "answer": "b"}\n{"prompt": "c", "answer": "d"}\n', None),
        ('[{"prompt": "a", "answer": "b"},\n {"prompt": c}]', (2, "line 2, column 13")),
        (
            '[{"prompt": "a", "answer": "b"}\n {"prompt": "c"}]',
            (2, "expected `,` or `]` in line 2"),
        ),
        ('[{"prompt": "a", "answer": "b"}, 3]', (2, "not an object")),
        ('[{"prompt": "a", "answer": "b"}', (2, "expected `,` or `]`")),
        ('[{"prompt": "a", "answer": "b"}] []', (2, "behind the array's end")),
        ('"text"', (0, "neither a JSON array")),
        ('[{"prompt": "a", "answer": "b"}, {"prompt": "\\ud83d"}]', (2, "`\\ud83d` is half of a")),
        (
            '{"prompt": "a", "answer": "b"}\n{"prompt": "c", "answer": "\\uDE00"}',
            (2, "`\\ude00` is half"),
        ),
        (
            '{"prompt": "a", "answer": "b"}\n{"prompt": "\\ud83d\\ude00", "answer": "d"}',
            None,
        ),
    ],
)
def test_json_is_an_array_or_lines(
    tmp_path: Path, text: str, fault: tuple[int, str] | None
) -> None:
    (tmp_path / "rows.json").write_text(text)
    found = list(rows_of(read_file(tmp_path / "rows.json", "json"), View({})))
    faults = [f for f in found if isinstance(f, Fault)]
    if fault is None:
        assert ([r.answer for r in found if isinstance(r, Row)], faults) == (["b", "d"], [])
    else:
        assert [f.row for f in faults] == [fault[0]]
        assert fault[1] in faults[0].message
    (tmp_path / "rows.json").write_text("[ ]")
    assert list(read_file(tmp_path / "rows.json", "json")) == []


def test_a_json_file_is_compiled_like_its_lines(project: Any) -> None:
    rows = [json.loads(line) for line in (project.folder / "dev.jsonl").read_text().splitlines()]
    (project.folder / "dev.json").write_text(json.dumps(rows, indent=2))
    assert [d.code for d in project.found(dev(path="dev.json")) if d.severity == "error"] == []
