"""What people see of plans: differences, graph, table."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from dagent.compiler.diff import REUSED, diff
from dagent.compiler.diff_view import lines, to_json
from dagent.compiler.graph import mermaid
from dagent.compiler.graph_dot import dot
from dagent.compiler.graph_svg import svg
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
    assert ", 100 to 200 calls, 50 to 100 rows, " in lines(found)[-1]
    gate = next(s for s in to_json(found)["steps"] if s["step"] == "r1.gate")
    assert {"input": "answers", "from": "r1.evaluate"} in gate["reasons"]


def test_what_changes_for_one_reason_stands_together_and_the_reason_once(project: Any) -> None:
    old = {"student": {"template": "Ask: {prompt}\nSay: "}}
    new = {"student": {"template": "Ask: {prompt}\nAnswer: "}}
    found = lines(diff(project.compile(old).plan, project.compile(new).plan))
    reasons = [line for line in found if line.startswith("  ")]
    said = 'template: "Ask: {prompt}\\nSay: " -> "Ask: {prompt}\\nAnswer: "'
    assert reasons == [f"  {said}"]
    at = found.index(reasons[0])
    assert {"changed  r1…r2.train", "changed  test.base"} < set(found[:at])
    assert all(line.startswith("changed  ") for line in found[:at])


def test_a_change_of_one_arm_names_it(project: Any) -> None:
    def arms(control: str) -> dict[str, Any]:
        return {"arms": {"seeds": [1, 2], "arm": {"other": {"control": control}}}}

    found = diff(project.compile(arms("matched")).plan, project.compile(arms("uniform")).plan)
    assert lines(found)[:2] == [
        "changed  other/s1,s2/r1…r2.plan",
        "  planner.policy: matched -> uniform",
    ]


def test_many_inputs_that_come_and_go_are_counted(project: Any) -> None:
    def seeds(*seeds: int) -> dict[str, Any]:
        arm = {"uniform": {"control": "uniform"}, "random": {"control": "random"}}
        return {"arms": {"seeds": list(seeds), "arm": arm}}

    found = lines(diff(project.compile(seeds(1, 2)).plan, project.compile(seeds(1, 3)).plan))
    at = found.index("changed  compare")
    assert found[at + 1 : at + 3] == ["  seeds: [1, 2] -> [1, 3]", "  inputs: 9 new, 9 removed"]


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


@pytest.mark.parametrize("only", [None, 0, 2])
def test_the_picture_shows_every_step_beside_none_other(project: Any, only: int | None) -> None:
    """Well-formed, every step once, inside the picture, none over another, arrows to the right."""
    plan = project.compile(project.GUARD).plan
    root = ElementTree.fromstring(svg(plan, only))
    name = "{http://www.w3.org/2000/svg}"
    width, height = (float(x) for x in root.attrib["viewBox"].split()[2:])
    drawn = {}
    for group in root.iter(f"{name}g"):
        rect, title = group.find(f"{name}rect"), group.find(f"{name}title")
        assert rect is not None
        assert title is not None
        x, y, w, h = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
        assert x >= 0
        assert x + w <= width
        assert y + h <= height
        drawn[(title.text or "").split(":")[0]] = (x, y, x + w, y + h)
    wanted = {s.id for s in plan.steps if only is None or s.round == only}
    assert wanted <= set(drawn) if only is not None else wanted == set(drawn)
    for (a, one), (b, two) in itertools.combinations(drawn.items(), 2):
        apart = one[2] <= two[0] or two[2] <= one[0] or one[3] <= two[1] or two[3] <= one[1]
        assert apart, (a, b)
    for path in root.iter(f"{name}path"):
        if path.attrib.get("class") == "edge":
            x, y, *_, to_x, to_y = map(float, re.findall(r"[\d.]+", path.attrib["d"]))
            assert to_x > x or to_y > y


def test_dot_names_every_step_once_and_joins_what_it_names(project: Any) -> None:
    plan = project.compile(project.GUARD).plan
    text = dot(plan)
    named = re.findall(r'^ *"([^"]+)" \[label=', text, re.MULTILINE)
    assert sorted(named) == sorted(s.id for s in plan.steps)
    ends = re.findall(r'"([^"]+)" -> "([^"]+)"', text)
    assert {end for edge in ends for end in edge} <= set(named)
    assert text.count("{") == text.count("}")


def test_the_table_shows_rounds_alike_once(project: Any) -> None:
    text = "\n".join(table(project.compile(project.GUARD).plan))
    assert text.count(".train ") == 1
    assert "r1…r2.guard.old" in text
    assert "budget: 2 rounds, 100 rows per round" in text
