"""The specs of the paper's domains compile, on rows that stand in for data that is not shipped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dagent.compiler.pipeline import check, compile
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.fmt import format_source
from dagent.dsl.parse import read

PAPER = Path(__file__).parents[2] / "specs" / "paper"
DOMAINS = ("science", "code", "finance")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(PAPER, tmp_path / "paper")
    for domain in DOMAINS:
        made = tmp_path / "paper" / "data" / domain
        made.mkdir(parents=True)
        for name, size in (("dev", 40), ("test", 120), ("seeds", 20)):
            rows = [
                {"prompt": f"stand-in of {name} {i}", "skill": "ab"[i % 2]} for i in range(size)
            ]
            if name != "seeds":
                rows = [{**row, "answer": str(i)} for i, row in enumerate(rows)]
            (made / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path / "paper"


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_of_the_paper_compiles(folder: Path, domain: str) -> None:
    plan = compile(folder / f"{domain}.dagent").plan
    assert plan.rounds == 30
    assert plan.budget["attempt"] == {"calls": 5000, "wall": 3 * 3600}
    assert (plan.budget["run"]["wall"], plan.budget["teacher"]["calls"]) == (12 * 3600, 50_000)
    steps = {step.id: step for step in plan.steps}
    author = steps["r30.author"].params
    assert (author["rows"], author["least"]) == (2000, 1000)
    assert author["teacher"]["lm"]["model"].endswith("Qwen3-30B-A3B")
    assert steps["r1.author"].inputs["pool.seeds"] == "data.seeds/rows"
    assert steps["r1.train"].params["lora"]["r"] == 8


@pytest.mark.parametrize("domain", DOMAINS)
def test_without_its_data_it_says_which_file_is_missing(domain: str) -> None:
    found = [d for d in check(PAPER / f"{domain}.dagent") if d.severity == "error"]
    assert len(found) == 3
    assert all(f"data/{domain}/" in d.message for d in found)


@pytest.mark.parametrize("name", ["protocol", *DOMAINS])
def test_they_are_canonical(name: str) -> None:
    source = read(PAPER / f"{name}.dagent")
    assert format_source(source, Diagnostics()) == source.text
