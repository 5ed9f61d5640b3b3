"""What people see of plans: differences, graph, table."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dagent.compiler.diff import REUSED, diff
from dagent.compiler.diff_view import lines, to_json
from dagent.compiler.graph import mermaid
from dagent.compiler.table import lines as table


def difference(project: Any, change: dict[str, Any]) -> Any:
    return diff(project.compile().plan, project.compile(change).plan)


def test_the_same(project: Any) -> None:
    found = difference(project, {})
    assert found.same
    assert {c.what for c in found.steps} == {REUSED}
    assert lines(found) == ["same plan"]


def test_a_parameter_is_named_once_for_all_rounds(project: Any) -> None:
    found = difference(project, {"train": [{"stage": "sft", "learning_rate": 0.002}]})
    assert lines(found) == [
        "changed  r1…r2.train",
        "  stages[0].args.learning_rate: 0.001 -> 0.002",
        "changed  13 steps that take what changes as input",
        "0 new, 0 removed, 15 changed, 14 reused",
        lines(found)[-1],
    ]
    assert lines(found)[-1].startswith("cost: 15 of 29 steps run; ")
    assert lines(found)[-1].endswith(", 100 to 200 calls, 50 to 100 rows")
    gate = next(s for s in to_json(found)["steps"] if s["step"] == "r1.gate")
    assert {"input": "answers", "from": "r1.evaluate"} in gate["reasons"]


def test_rounds_that_come_and_go(project: Any) -> None:
    found = difference(project, {"budget": {"rounds": 3}})
    assert found.count("new") == 10
    assert str(found.plan[0]) == "budget.run.rounds: 2 -> 3"
    back = difference(project, {"budget": {"rounds": 1}})
    assert back.count("removed") == 10


def test_a_cap_changes_no_step(project: Any) -> None:
    found = difference(project, {"budget": {"wall": "3h"}})
    assert lines(found)[0] == "plan: budget.run.wall: nothing -> 10800"
    assert not found.same
    assert found.count(REUSED) == len(found.steps)


def test_another_seed_is_said_without_its_numbers(project: Any) -> None:
    found = diff(project.compile().plan, project.compile(None, "seed=1").plan)
    assert "  seed: another" in lines(found)
    assert not re.search(r"seed: \d", "\n".join(lines(found)))


@pytest.mark.parametrize("only", [None, 0, 1])
def test_the_graph_joins_what_it_draws(project: Any, only: int | None) -> None:
    plan = project.compile(project.GUARD).plan
    text = mermaid(plan, only)
    assert text.startswith("flowchart TD\n")
    assert text.count("subgraph") == text.count("  end\n") == (3 if only is None else 1)
    for step in plan.steps:
        drawn = f"s_{re.sub('[^a-z0-9]', '_', step.id)}" in text
        assert drawn or (only is not None and step.round != only)
    edges = re.findall(r"^  (\w+) --> (\w+)$", text, re.MULTILINE)
    assert len(edges) == len(set(edges))
    if only is None:
        assert ("R1", "R2") in edges
        assert ("s_split", "R2") not in edges  # follows from the way through round 1


def test_the_table_shows_rounds_alike_once(project: Any) -> None:
    text = "\n".join(table(project.compile(project.GUARD).plan))
    assert text.count(".train ") == 1
    assert "r1…r2.guard.old" in text
    assert "budget: 2 rounds, 100 rows per round" in text
