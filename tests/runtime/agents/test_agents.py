"""The parts of the agents: what bounds them, checks them and remembers."""

from __future__ import annotations

import asyncio
import json
import random
from string import ascii_lowercase
from typing import Any

import pytest

from dagent.compiler.engineering import ROWS_PER_CALL
from dagent.compiler.prompts import TABLE
from dagent.runtime.agents.asking import Asked, together
from dagent.runtime.agents.coverage import PATTERNS, NearDuplicates
from dagent.runtime.agents.grounding import PASSAGE, Grounds, passages
from dagent.runtime.agents.writing import yields
from dagent.runtime.exploring import Draft, families_of, untried
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.policies import POLICIES
from dagent.runtime.roles import CellCount, Task


def test_the_pinned_prompt_versions_are_those_of_the_agents() -> None:
    from dagent.runtime.agents.versions import table

    assert json.loads(TABLE.read_text()) == table(), "python -m dagent.runtime.agents.versions"


def test_near_duplicates_are_those_of_a_plain_comparison() -> None:
    """The prefix filter is exact: it finds what comparing every pair finds."""
    rng = random.Random(0)
    words = ["".join(rng.choices(ascii_lowercase, k=6)) for _ in range(40)]
    texts = [" ".join(rng.choices(words, k=60)) for _ in range(30)]
    texts += [t.replace(t.split()[7], "other", 1) for t in texts[:15]]

    def shingles(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(len(text) - 4)}

    seen = NearDuplicates()
    kept: list[str] = []
    for number, text in enumerate(texts):
        plain = any(
            len(shingles(text) & shingles(k)) >= 0.9 * len(shingles(text) | shingles(k))
            for k in kept
        )
        assert (seen.add(str(number), text, "yes") is not None) == plain
        if not plain:
            kept.append(text)
    assert 30 <= len(kept) < 45


def test_what_makes_another_question_is_no_duplicate() -> None:
    schema = "create table teams (name text, place text, points integer); " * 30
    seen = NearDuplicates()
    for id, prompt, answer, known in (
        ("a", 'print("dfgm"[::-1])', "mgfd", None),
        ("b", 'print("xkqa"[::-1])', "aqkx", None),  # other values
        ("c", 'PRINT("dfgm"[::-1]) ', "mgfd", "a"),
        ("d", ' print("dfgm"[::-1])', "wrong", "a"),  # the same, whatever its answer
        ("e", f"{schema} How many teams?", "select count(*) from teams", None),
        ("f", f"{schema} How many places?", "select count(distinct place) from teams", None),
        ("g", f"{schema} How many places??", "select count(distinct place) from teams", "f"),
        ("h", "Is a whale, which lives in water, a fish?", "no", None),
        ("i", "Is a shark, which lives in water, a fish?", "yes", None),  # a contrast
    ):
        assert seen.add(id, prompt, answer) == known, id


def test_every_passage_is_dealt_before_any_is_dealt_again() -> None:
    text = "\n\n".join(f"Paragraph {n}. " + "x" * 700 for n in range(20)) + "\n\n" + "y" * 4000
    found = passages({"notes.md": text, "b.md": "short"})
    assert all(len(p.text) <= PASSAGE for p in found)
    assert sum(p.text.count("x") for p in found) == 20 * 700
    assert sum(p.text.count("y") for p in found) == 4000
    grounds = Grounds([], found, [], seed=1)
    dealt = [grounds.passage() for _ in range(2 * len(found))]
    places = [p.place for p in dealt if p]
    assert len(set(places[: len(found)])) == len(found) == len(set(places[len(found) :]))


def test_examples_come_from_the_cell_first() -> None:
    rows = [
        {"prompt": f"{skill}{level}{n}", "answer": "a", "skill": skill, "difficulty": level}
        for skill in "ab"
        for level in (1, 2)
        for n in range(3)
    ]
    shown = Grounds(rows, [], [], 0).examples("b", "2", 7)
    assert [row["prompt"][:2] for row in shown] == ["b2", "b2", "b2", "b1"]


def write_with(
    rate: float, yields_: dict[Any, tuple[int, int]], most: int = 1000, unreadable: bool = False
) -> tuple[Any, list[int]]:
    """Ten items of 20 rows, from an agent whose rows are sound at ``rate``."""
    from dagent.runtime.agents import generator
    from dagent.runtime.agents.verifier import Brief

    waves: list[int] = []
    rng = random.Random(0)

    class Write:
        async def acall(self, **inputs: Any) -> Any:
            waves[-1] += 1
            rows = [
                generator.DraftedRow(question=f"{rng.random()} {rng.random()}", result="1")
                for _ in range(inputs["count"])
            ]
            return type("Answer", (), {"rows": rows})()

    class Agent:
        brings = ""
        write = Write()

    def progress(done: int, total: int) -> None:
        waves.append(0)

    waves.append(0)
    items = [{"id": f"r1.{n}", "skill": f"s{n}", "difficulty": 1, "count": 20} for n in range(10)]
    sound = random.Random(1)
    written = asyncio.run(
        generator.write(
            Agent(),  # type: ignore[arg-type]
            Brief("goal", ""),
            items,
            [20] * 10,
            grounds=Grounds([], [], [], 0),
            yields=yields_,
            kept=[],
            screen=lambda rows: [None if sound.random() < rate else "wrong" for _ in rows],
            lineage={"round": 1},
            most_calls=most,
            seed=0,
            progress=progress,
        )
    )
    return written, [n for n in waves if n]


def test_what_is_missing_is_asked_for_again_by_the_measured_yield() -> None:
    perfect, waves = write_with(1.0, {})
    assert (perfect.calls, waves, perfect.short) == (200 / ROWS_PER_CALL, [40], {})
    poor, waves = write_with(0.5, {})
    assert not poor.short or sum(poor.short.values()) < 10
    assert len(waves) > 1
    assert 2 * 40 <= poor.calls < 3 * 40, "about twice as many, not more"


def test_a_cell_that_yielded_little_is_asked_for_more_at_once() -> None:
    _, plain = write_with(1.0, {})
    _, warned = write_with(1.0, {(f"s{n}", "1"): (20, 60) for n in range(10)})
    assert warned[0] > 2 * plain[0]


def test_the_first_wave_leaves_a_reserve_and_no_wave_exceeds_the_calls() -> None:
    written, waves = write_with(0.5, {}, most=40)
    assert waves[0] == 32
    assert written.calls == 40
    assert set(written.short) == {f"r1.{n}" for n in range(10)}, "items take turns"


def test_patterns_are_covered_evenly() -> None:
    written, _ = write_with(1.0, {})
    for number in range(10):
        patterns = [r["pattern"] for r in written.rows if r["item"] == f"r1.{number}"]
        assert len(set(patterns)) == 4, "four calls, four patterns"
    assert {r["pattern"] for r in written.rows} <= set(PATTERNS)


def test_yields_add_up_over_the_rounds() -> None:
    tried = {"skill": "a", "difficulty": 1, "made": 10, "verified": 4}
    assert yields([{"tried": [tried, tried]}, {"tried": [tried]}]) == {("a", "1"): (12, 30)}


def test_results_stand_in_the_order_of_the_jobs_and_survive_an_empty_budget() -> None:
    async def job(n: int) -> int:
        await asyncio.sleep(0.01 * (5 - n))
        if n == 3:
            raise OutOfBudget("run calls")
        return n

    found, out = asyncio.run(together(job(n) for n in range(5)))
    assert found == [0, 1, 2, None, 4]
    assert out


# --- exploring ---------------------------------------------------------------------------------


def test_a_forced_round_takes_a_family_that_was_not_tried() -> None:
    archive = [{"families": ["error-driven"]}, {"families": ["matched"]}]
    assert untried(POLICIES, families_of(archive)) == ["uniform", "random"]
    archive += [{"families": ["uniform", "random"]}, {"families": ["error-driven"]}]
    assert untried(POLICIES, families_of(archive)) == ["matched"], "the longest ago"


def test_parts_of_a_cell_share_its_rows() -> None:
    cell = ("a", "1")
    draft = Draft("m", (), {cell: 3.0}, {cell: [(2.0, {"method": "x"}), (1.0, {"method": "y"})]})
    assert list(draft.split(cell, 10)) == [(7, {"method": "x"}), (3, {"method": "y"})]
    assert list(Draft("m", (), {cell: 1.0}).split(cell, 4)) == [(4, {})]


def test_a_plan_without_a_good_item_falls_to_the_built_in_policy_and_says_so() -> None:
    from dagent.runtime.agents.planner import Proposal
    from dagent.runtime.agents.planning import drafted

    task = Task("g", "", (("a", "1"), ("b", "1")), {("a", "1"): CellCount(4, 4)}, [], 10, 1, 0)
    draft = drafted(Proposal([], [{"reason": "no"}]), task, "openai/some")
    assert "openai/some" in draft.by
    assert draft.families == ("error-driven",)
    assert draft.refused
    assert draft.weights["a", "1"] > draft.weights["b", "1"]


# --- checking ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"skill": "chess"}, "no cell"),
        ({"method": "bribe"}, "may not be used"),
        ({"method": "contrast"}, "may not be used"),
        ({"count": 0}, "no rows"),
    ],
)
def test_an_item_is_mended_or_refused(change: dict[str, Any], reason: str) -> None:
    from dagent.runtime.agents.planner import PlannedItem, checked

    body = {"skill": " ADD", "difficulty": "1", "count": 5, "method": "Practice", "rationale": "r"}
    good = checked([PlannedItem(**body)], [("add", "1")], ["practice"], {})
    assert (good.items[0]["cell"], good.items[0]["method"]) == (("add", "1"), "practice")
    bad = checked([PlannedItem(**{**body, **change})], [("add", "1")], ["practice"], {})
    assert not bad.items
    assert reason in bad.refused[0]["reason"]


def test_labelled_rows_are_wrong_where_they_say_so() -> None:
    from dagent.runtime.agents.verifier import labelled
    from dagent.runtime.grade import Grade

    rows = [
        {"prompt": f"p{n}", "answer": str(n % 4), "skill": "a", "difficulty": n % 2}
        for n in range(40)
    ]

    def grade(answer: str, row: dict[str, Any]) -> Grade:
        return Grade(float(answer == row["answer"]))

    truth = {row["prompt"]: row["answer"] for row in rows}
    found = labelled(rows, grade, 0)
    assert len(found) == 48
    for row, right in found:
        assert (row["answer"] == truth[row["prompt"]]) == right


def test_a_faulty_answer_counts_against_the_yield() -> None:
    from dagent.runtime.agents.generator import Order, _receive, _Shelf

    item = {"id": "r1.1", "skill": "a", "difficulty": 1, "count": 5}
    shelf = _Shelf(item, 5, (0, 0))
    order = Order(item, "typical", 5, 0, {}, None)
    unread = Asked(None, "could not be read")
    (row,) = _receive(order, unread, shelf, NearDuplicates(), {}, lambda draft: {})
    assert row["fault"] == "could not be read"
    assert shelf.rate < 1
    assert shelf.missing == 5
