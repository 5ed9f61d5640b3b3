"""What is told of arms beside the first metric: guards, further metrics, goals, what each used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.compiler.pipeline import compile
from dagent.runtime.arms_mirror import _comparison_metrics
from dagent.runtime.cards import model_card
from dagent.runtime.history import events_of, keep_plan
from dagent.runtime.outcome import outcome
from dagent.runtime.report.page import render
from dagent.runtime.statistics import difference_over_seeds, holm
from dagent.runtime.steps.compare import _points
from dagent.runtime.view import summary

CRITERIA = """criteria {
  metric accuracy { grader = exact }
  metric loose { grader = normalised }
  guard old { max_drop = 20pp }
  require accuracy >= 99.9% on old
"""
BEFORE = "criteria { metric accuracy { grader = exact }"


def compared(stub: ModuleType, folder: Path, seeds: str) -> Path:
    spec = stub.SPEC.replace(BEFORE, CRITERIA) + (
        'data old { role = guard  path = "old.jsonl" }\n'
        f"arms {{ seeds = {seeds}  arm uniform {{ control = uniform }} }}\n"
    )
    made: Path = stub.make_project(folder, spec)
    rows = [{"prompt": f"{a}+1", "answer": str(a + 1)} for a in range(700, 760)]
    (made / "old.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    stub.run_project(made)
    keep_plan(compile(made / "sums.dagent").plan, made)
    return made


@pytest.fixture(scope="module")
def two(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compared(stub, tmp_path_factory.mktemp("two"), "[1, 2]")


@pytest.fixture(scope="module")
def one(stub: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compared(stub, tmp_path_factory.mktemp("one"), "[1]")


def ends(folder: Path, arm: str) -> list[Any]:
    own = events_of(folder)[-1]["by_variant"]
    return [own[id] for id in sorted(own) if id.startswith(f"{arm}/")]


def test_over_seeds_every_guard_and_metric_is_quoted_for_each_arm(two: Path) -> None:
    beside = events_of(two)[-1]["comparison"]["beside"]
    assert [(one["name"], one["metric"], one["max_drop_pp"]) for one in beside] == [
        ("loose", "loose", None),
        ("old", "accuracy", pytest.approx(20)),
    ]
    for place, told in (("metrics", beside[0]), ("watched", beside[1])):
        for arm in told["arms"]:
            found = [end[place][-1] for end in ends(two, arm["arm"])]
            base, champion = ([f[k] for f in found] for k in ("base", "champion"))
            expected = difference_over_seeds(base, champion)
            assert arm["champion"] == pytest.approx(sum(champion) / 2)
            assert arm["pp"] == pytest.approx(100 * expected.mean)
            assert arm["p"] == pytest.approx(expected.p)
    each = [arm for told in beside for arm in told["arms"]]
    assert [arm["p_holm"] for arm in each] == pytest.approx(holm([arm["p"] for arm in each]))


def test_with_one_seed_they_are_quoted_over_their_rows(one: Path) -> None:
    for told in events_of(one)[-1]["comparison"]["beside"]:
        for arm in told["arms"]:
            (end,) = ends(one, arm["arm"])
            (found,) = (
                f for f in (*end["metrics"][1:], *end["watched"]) if f["name"] == told["name"]
            )
            assert (arm["pp"], arm["ci"], arm["p"]) == (found["gain_pp"], found["ci"], found["p"])


def test_goals_are_counted_over_the_seeds(two: Path) -> None:
    goals = events_of(two)[-1]["comparison"]["goals"]
    assert [goal["says"] for goal in goals] == [
        "accuracy >= 0.999 on old",
        "accuracy >= 0.5 on test",
    ]
    for i, goal in enumerate(goals):
        for arm, met in goal["met"].items():
            assert met == sum(end["requirements"][i]["met"] for end in ends(two, arm))


def test_the_last_screen_says_guards_metrics_and_goals(two: Path, one: Path) -> None:
    for folder in (two, one):
        end = events_of(folder)[-1]
        lines = summary(end, compile(folder / "sums.dagent").plan).splitlines()
        at = lines.index("  guard old, may lose 20.0; p two-sided (Holm)")
        assert [line.split()[0] for line in lines[at + 1 : at + 3]] == ["loop", "uniform"]
        arm = end["comparison"]["beside"][1]["arms"][0]
        assert f"{arm['pp']:+.1f} points" in lines[at + 1]
        assert "  also loose; p two-sided (Holm)" in lines
        told = [line.split("  ", 1)[1] for line in lines if re.match(r"  (met|NOT MET) ", line)]
        assert [line.split(None, 1)[0] for line in told]
        for requirement in end["requirements"]:
            assert any(requirement["says"] in line for line in told)


def test_seeds_without_spread_are_told_as_no_evidence(two: Path) -> None:
    """Two seeds that differ by the same: no interval, no test, and no word of agreement."""
    end = json.loads(json.dumps(events_of(two)[-1]))
    found = difference_over_seeds([0.5, 0.6], [0.6, 0.7])
    end["comparison"]["loop_minus"] = [{"arm": "uniform", "p_holm": found.p, **_points(found)}]
    why = "no interval: 2 seeds whose differences are equal tell nothing about the spread"
    screen = summary(end, compile(two / "sums.dagent").plan).splitlines()
    line = next(line for line in screen if line.startswith("  uniform"))
    assert line.endswith("+10.0 points (no interval), no test")
    assert f"  {why}" in screen
    page = " ".join(re.sub(r"<[^>]+>", " ", render([*events_of(two)[:-1], end], two)).split())
    assert f"{why[0].upper()}{why[1:]}." in page
    assert "Of uniform nothing can be told." in page
    assert "No difference from uniform" not in page


def test_the_report_says_them_too_and_what_each_used(two: Path) -> None:
    end = events_of(two)[-1]
    text = " ".join(re.sub(r"<[^>]+>", " ", render(events_of(two), two)).split())
    assert "on 120 test rows" in text
    assert "Guards, tasks and further metrics" in text
    assert "old (accuracy)" in text
    assert "Goals: in how many seeds" in text
    for goal in end["comparison"]["goals"]:
        assert f"{goal['says'].replace('>', '&gt;')} {goal['met']['loop']} of 2" in text
    arm, seed = end["best"].split("/s")
    assert f"The model handed over is the {arm}'s of seed {seed}" in text
    assert "loop, seed 1 3 180 360" in text, "trainings, rows and calls of a variant"
    assert "seeds 1, 2" in text


def test_mlflow_has_them(two: Path) -> None:
    found = events_of(two)[-1]["comparison"]
    told = _comparison_metrics(found)
    for one in found["beside"]:
        assert told[f"end/{one['name']}/uniform"] == one["arms"][1]["champion"]


def test_a_comparison_from_before_is_still_reported(two: Path) -> None:
    """Journals of earlier versions do not say it."""
    events = events_of(two)
    old = {k: v for k, v in events[-1]["comparison"].items() if k not in ("beside", "goals")}
    assert "The arms compared" in render([*events[:-1], {**events[-1], "comparison": old}], two)
    assert "test/loop" in _comparison_metrics(old)


def test_the_card_names_the_arm_and_quotes_further_metrics(two: Path) -> None:
    events = events_of(two)
    found = outcome(events, two)
    card = model_card(found, "sums", adapter=False)
    arm, seed = events[-1]["best"].split("/s")
    assert f"- arm: `{arm}`\n- seed: `{seed}`\n" in card
    assert found.end
    loose = found.end["metrics"][1]
    assert f"- loose on test: {100 * loose['base']:.1f} %" in card
