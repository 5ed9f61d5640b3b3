"""The comparison of three domains: its rows are complete and fair, its report is what they say, its
domains are exact, and its teachers are wrong where only a verifier can tell."""

from __future__ import annotations

import importlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from dagent.cli import main

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "benchmarks" / "evidence"
EXAMPLES = {"programs": "quickstart", "ledger": "ledger", "units": "units"}
KEYS = {
    "domain",
    "arm",
    "seed",
    "base_test",
    "select",
    "test",
    "rows",
    "teacher_calls",
    "trainings",
    "hours",
    "commit",
}
RESULTS = [json.loads(line) for line in (EVIDENCE / "results.jsonl").read_text().splitlines()]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a module by its bare name from a folder, and forget it afterwards."""
    loaded: list[str] = []

    def one(name: str, *folders: Path) -> ModuleType:
        for folder in folders:
            monkeypatch.syspath_prepend(str(folder))
        for other in ("programs", "teachers", "run", "report"):
            monkeypatch.delitem(sys.modules, other, raising=False)
        loaded.append(name)
        return importlib.import_module(name)

    yield one
    for name in (*loaded, "programs", "run"):
        sys.modules.pop(name, None)


def test_a_row_is_a_run_and_there_is_one_of_each() -> None:
    assert all(set(row) == KEYS for row in RESULTS)
    runs = [(row["domain"], row["arm"], row["seed"]) for row in RESULTS]
    assert len(set(runs)) == len(runs)
    assert all(0 <= row[key] <= 1 for row in RESULTS for key in ("base_test", "select", "test"))
    assert not [row["commit"] for row in RESULTS if row["commit"].endswith("-dirty")]


def test_the_arms_of_a_seed_had_the_same_base_rows_trainings_and_nearly_the_same_calls() -> None:
    seeds = defaultdict(list)
    for row in RESULTS:
        seeds[row["domain"], row["seed"]].append(row)
    for rows in seeds.values():
        for key in ("base_test", "rows", "trainings"):
            assert len({row[key] for row in rows}) == 1
        calls = [row["teacher_calls"] for row in rows]
        assert max(calls) <= 1.02 * min(calls)


def test_the_report_is_what_the_results_say(load: Any) -> None:
    report = load("report", EVIDENCE)
    found = report.read(EVIDENCE / "results.jsonl")
    assert (EVIDENCE / "REPORT.md").read_text() == report.text(found, RESULTS)


def test_the_figures_of_the_report_are_those_of_scipy_and_statsmodels() -> None:
    """Worked out anew by what the report says of how, without its code."""
    test = {(row["domain"], row["arm"], row["seed"]): row["test"] for row in RESULTS}
    arms = list(dict.fromkeys(row["arm"] for row in RESULTS if row["arm"] != "loop"))
    shown = (EVIDENCE / "REPORT.md").read_text().split("\n## ")[1:]
    assert len(shown) == 4
    for section in shown:
        name = section.splitlines()[0]
        domains = [name] if name in EXAMPLES else list(EXAMPLES)
        cells = {c[1].strip(): [x.strip() for x in c] for c in map(_cells, section.splitlines())}
        leads = {arm: _leads(test, domains, arm) for arm in arms}
        found = {arm: stats.ttest_1samp(lead, 0) for arm, lead in leads.items()}
        looks = [p * (2 if len(leads[arm]) > 8 else 1) for arm, (_, p) in found.items()]
        holm = dict(
            zip(arms, multipletests([min(1, p) for p in looks], method="holm")[1], strict=True)
        )
        for arm in arms:
            low, high = found[arm].confidence_interval(0.95)
            lead = f"{np.mean(leads[arm]):+.1f} ({low:+.1f} to {high:+.1f})"
            assert cells[arm][4:7] == [lead, f"{found[arm].pvalue:.2g}", f"{holm[arm]:.2g}"]


def _cells(line: str) -> list[str]:
    return line.split("|") if line.startswith("|") else ["", ""]


def _leads(test: dict[tuple[str, str, int], float], domains: list[str], arm: str) -> list[float]:
    """In points, over the seeds that the arm has in all of the domains."""
    seeds = sorted(s for d, a, s in test if (d, a) == (domains[0], arm))
    return [
        100 * float(np.mean([test[d, "loop", s] - test[d, arm, s] for d in domains])) for s in seeds
    ]


@pytest.mark.parametrize("domain", EXAMPLES)
def test_a_domain_is_exact_and_its_parts_are_disjoint(load: Any, domain: str) -> None:
    folder = ROOT / "examples" / EXAMPLES[domain]
    programs = load("programs", folder)
    rows = {
        part: [json.loads(line) for line in (folder / f"{part}.jsonl").read_text().splitlines()]
        for part in ("dev", "test")
    }
    for part, own in rows.items():
        assert {row["skill"] for row in own} == set(programs.SKILLS)
        assert all(programs.verify(row) is None for row in own)
        assert all(programs.partition(row["prompt"]) == part for row in own)
    made = [row for skill in programs.SKILLS for row in programs.generate(skill, 3, 30, 1)]
    assert all(programs.verify(row) is None for row in made)
    prompts = {row["prompt"] for own in rows.values() for row in own}
    assert not prompts & {row["prompt"] for row in made}
    other = {row["skill"]: row["answer"] for row in made}
    swapped = [{**row, "answer": other[s]} for row in made for s in other if s != row["skill"]]
    refused = sum(programs.verify(row) is not None for row in swapped)
    assert refused > 0.95 * len(swapped)  # another skill's answer is right by chance at most


@pytest.mark.parametrize("domain", EXAMPLES)
def test_a_teacher_is_wrong_by_rule_and_only_the_verifier_can_tell(load: Any, domain: str) -> None:
    teachers = load("teachers", EVIDENCE, ROOT / "examples" / EXAMPLES[domain])
    programs = teachers.domain
    taught = getattr(teachers, domain)
    cells = [(skill, level) for skill in programs.SKILLS for level in programs.DIFFICULTIES]
    right = [row for cell in cells for row in programs.generate(*cell, 40, 2)]
    given = [row for cell in cells for row in taught(*cell, 40, 2)]
    assert [row["prompt"] for row in given] == [row["prompt"] for row in right]
    changed = [new for old, new in zip(right, given, strict=True) if new != old]
    wrong = [row for row in changed if programs.verify(row) is not None]
    assert 0.05 < len(wrong) / len(given) < 0.25
    assert len(wrong) > 0.9 * len(changed)  # a rule may give the right answer by chance
    # Never all of a cell: what is verified can still teach every skill.
    by_cell = defaultdict(list)
    for row in given:
        by_cell[row["skill"], row["difficulty"]].append(programs.verify(row) is None)
    assert all(any(fine) for fine in by_cell.values())


def test_units_takes_an_answer_in_another_form_and_no_wrong_or_unfinished_one(load: Any) -> None:
    units = load("programs", ROOT / "examples" / "units")
    fine = [
        ("c*y/c", "y"),
        ("z=q*d*k, d=?", "z/(k*q)"),
        ("p=t*x+e, x=?", "p/t-e/t"),
        ("d/dz 6z^2+6z", "6+12z"),
        ("12 kg*m^2/s^2 in short", "12 J"),
        ("y=z*x^2, x times 3, y times?", "9"),
    ]
    wrong = [
        ("c*y/c", "c*y/c"),
        ("3(2x+5)=?", "3(2x+5)"),
        ("p=t*x+e, x=?", "p-e/t"),
        ("d/dz 6z^2+6z", "12z"),
        ("12 kg*m^2/s^2 in short", "12 W"),
        ("c*y/c", "__import__('os')"),
    ]
    assert [units.verify({"prompt": p, "answer": a}) for p, a in fine] == [None] * len(fine)
    assert all(units.verify({"prompt": p, "answer": a}) for p, a in wrong)


@pytest.mark.parametrize("domain", EXAMPLES)
def test_the_whole_comparison_compiles_to_one_plan_at_equal_cost(
    load: Any, domain: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = load("run", EVIDENCE)
    one = run.Run(domain, "matched", 3)
    folder = run.laid_out(one, tmp_path)
    monkeypatch.chdir(folder)
    assert main(["compile", one.spec]) == 0
    assert "equal for all arms: rows, calls and trainings" in capsys.readouterr().out
    assert main(["compile", one.spec, "--variant", one.variant]) == 0


@pytest.mark.slow
def test_a_run_writes_its_row(load: Any, tmp_path: Path) -> None:
    run = load("run", EVIDENCE)
    row = run.finish(run.Run("units", "loop", 1), tmp_path, "here")
    assert row is not None
    assert set(row) == KEYS
    recorded = next(
        r for r in RESULTS if (r["domain"], r["arm"], r["seed"]) == ("units", "loop", 1)
    )
    assert row["rows"] == recorded["rows"]
    assert row["base_test"] == pytest.approx(recorded["base_test"], abs=0.005)
    # Another machine rounds otherwise, and a run is as far from its like as seeds are.
    assert row["test"] > row["base_test"] + 0.1
