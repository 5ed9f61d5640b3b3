"""What each mechanism of the data engineering does, seen in whole runs over HTTP: the list that
docs/language.md gives, from quantity to diversity. The stand-in model is at fault where the
mechanism is to help."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from types import ModuleType
from typing import Any

from dagent.runtime.agents.planner import METHODS

CHECKED = '  verifier { program = "sums.py:verify" }\n'


def cells(rows: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter((row["skill"], str(row["difficulty"])) for row in rows)


# --- quantity ----------------------------------------------------------------------------------


def test_a_model_that_is_half_wrong_still_fills_the_round_and_is_asked_for_more_next_time(
    engineers: ModuleType, play: Any
) -> None:
    """One candidate a row: only topping up can make good what the verifier takes."""
    engineer = engineers.Engineer(wrong=0.5)
    played = play(engineer, "  candidates = 1\n" + CHECKED, rounds=2, rows=60)
    for number in (1, 2):
        assert len(played.rows(f"r{number}.generate/candidates")) > 1.5 * 60
        assert len(played.rows(f"r{number}.verify/verified")) >= 0.9 * 60
    # Nothing of the round was written yet when its first wave went out, but of the round before.
    asked = {n: played.asked("generator", n) for n in (1, 2)}
    made = {n: {r["prompt"] for r in played.rows(f"r{n}.generate/candidates")} for n in (1, 2)}
    waves = {n: [g for g in asked[n] if not {*json.loads(g["avoid"])} & made[n]] for n in (1, 2)}
    first = {n: sum(int(given["count"]) for given in waves[n]) for n in (1, 2)}
    avoided = {prompt for given in waves[2] for prompt in json.loads(given["avoid"])}
    assert avoided
    assert avoided <= {row["prompt"] for row in played.rows("r1.mix/train")}
    assert 60 <= first[1] <= 90, "as many as are wanted, and what falls to cells without a good row"
    assert first[2] > 1.3 * first[1], "the yield of round 1 is known"


# --- what was tried ----------------------------------------------------------------------------


def test_a_planner_that_is_told_of_refused_ideas_need_not_have_them_again(
    engineers: ModuleType, play: Any
) -> None:
    class Learner(engineers.Engineer):  # type: ignore[misc,name-defined]
        def planner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            plan: dict[str, Any] = super().planner(given, rng)
            if "juggling" in given["history"]:
                plan["curriculum"].pop()
            return plan

    played = play(Learner(), rounds=3, rows=30)
    refused = [played.read(f"r{n}.plan/curriculum")["refused"] for n in (1, 2, 3)]
    assert [len(r) for r in refused] == [1, 0, 0]
    told = [json.loads(g["history"]) for g in played.asked("planner")]
    assert [len(t) for t in told] == [0, 1, 2]
    (idea,) = told[1][0]["refused"]
    assert (idea["skill"], idea["method"]) == ("juggling", min(METHODS))
    assert "no cell of the domain" in idea["reason"]
    archive = played.read("r3.gate/archive")
    for entry, remembered in zip(told[2], archive, strict=False):
        assert entry["reason"] == remembered["reason"]
        assert entry["accepted"] == remembered["accepted"]
        assert sum(i["added"] for i in entry["tried"]) == remembered["rows"]


def test_every_second_round_a_model_may_only_use_ways_to_teach_that_were_not_tried(
    engineers: ModuleType, play: Any
) -> None:
    engineer = engineers.Engineer()  # takes the first method that it may
    played = play(engineer, "  explore = 2 rounds\n", rounds=4, rows=12)
    taught = [
        {g["method"].split(":")[0] for g in played.asked("generator", n)} for n in (1, 2, 3, 4)
    ]
    assert taught == [{"compose"}, {"contrast"}, {"compose"}, {"correct"}]
    offered = [set(json.loads(g["methods"])) for g in played.asked("planner")]
    withheld = [set(METHODS) - names for names in offered]
    assert withheld == [set(), {"compose"}, set(), {"compose", "contrast"}]


def test_a_model_that_clings_to_its_method_is_replaced_in_a_forced_round(
    engineers: ModuleType, play: Any
) -> None:
    class Stubborn(engineers.Engineer):  # type: ignore[misc,name-defined]
        def planner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            plan: dict[str, Any] = super().planner(given, rng)
            for item in plan["curriculum"]:
                item["method"] = "practice"
            return plan

    played = play(Stubborn(), "  explore = 2 rounds\n", rounds=2, rows=12)
    free, forced = (played.read(f"r{n}.plan/curriculum") for n in (1, 2))
    assert (free["families"], forced["families"]) == (["practice"], ["error-driven"])
    assert "error-driven, since no item of openai/fake" in forced["planner"]
    assert {i["reason"] for i in forced["refused"]} >= {
        "the method `practice` may not be used in this round"
    }
    asked = played.asked("planner", 2)
    assert "may not be used" in asked[1]["remark"], "asked once more, with the reason"
    assert len(asked) == 2


# --- shares ------------------------------------------------------------------------------------


def test_a_planner_that_chases_one_failure_is_held_to_floor_and_cap(
    engineers: ModuleType, play: Any
) -> None:
    class Obsessed(engineers.Engineer):  # type: ignore[misc,name-defined]
        def planner(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            plan: dict[str, Any] = super().planner(given, rng)
            rows = json.loads(given["budget"])["rows"]
            return {"curriculum": [{**plan["curriculum"][0], "count": rows}]}

    played = play(Obsessed(), "  floor = 5%\n  cap = 40%\n" + CHECKED, rows=60)
    (given,) = played.asked("planner")
    budget = json.loads(given["budget"])
    assert (budget["least_rows_of_a_cell"], budget["most_rows_of_a_cell"]) == (3, 24)
    items = played.read("r1.plan/curriculum")["items"]
    counts = [item["count"] for item in items]
    assert (len(counts), max(counts), sum(counts)) == (6, 24, 60)
    assert min(counts) >= 3
    added = cells(played.rows("r1.mix/added"))
    assert (len(added), added.total()) == (6, 60)
    assert max(added.values()) <= 24
    assert min(added.values()) >= 3


PLANNER = """
def in_turn(task):
    skill = ("add", "double")[task.round - 1]
    return {cell: float(cell[0] == skill) for cell in task.cells}
"""


def test_rows_of_earlier_rounds_are_trained_on_again_lest_they_be_forgotten(
    stub: ModuleType, tmp_path: Any, load: Any
) -> None:
    """Round 1 teaches one skill, round 2 the other; without replay the first is lost, unless the
    student that learned it is trained further."""
    playing = load("agents/playing.py")
    scores = {}
    for accumulate, start in ((True, "base"), (False, "base"), (False, "champion")):
        text = stub.SPEC.replace("policy = error-driven", 'program = "sums.py:in_turn"')
        more = f"{{ floor = 0%  cap = 50%  accumulate = {str(accumulate).lower()} "
        more += f"train_from = {start} "
        text = text.replace("engineer {", f"engineer {more}").replace("rounds <= 3", "rounds <= 2")
        folder = stub.make_project(
            tmp_path / f"{accumulate}-{start}", text.replace("rows <= 60", "rows <= 90")
        )
        (folder / "sums.py").write_text(stub.PROGRAM + PLANNER)
        stub.run_project(folder)
        played = playing.Played(folder, None, None)
        first, second, trained = (
            {r["id"] for r in played.rows(o)}
            for o in ("r1.mix/added", "r2.mix/added", "r2.mix/train")
        )
        assert len(first) == len(second) == 90
        assert trained == (first | second if accumulate else second)
        scores[accumulate, start] = played.read("r2.gate/decision")["per_skill"]
    replayed, forgotten, continued = scores.values()
    assert replayed["double"] == forgotten["double"]
    assert replayed["add"] > forgotten["add"] + 0.3
    assert continued == replayed


# --- diversity ---------------------------------------------------------------------------------


def test_every_pattern_of_a_cell_has_its_part_though_one_is_mostly_rejected(
    engineers: ModuleType, play: Any
) -> None:
    """The judge, who comes after the topping up, refuses most boundary cases: ``mix`` takes the
    others in equal parts, and of the rare what there is."""

    class Partial(engineers.Engineer):  # type: ignore[misc,name-defined]
        """Its boundary cases are the multiples of seven, of which its judge refuses most."""

        def generator(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            off = not given["pattern"].startswith("boundary")
            rows = []
            for _ in range(int(given["count"])):
                a, b = 7 * rng.randrange(1000, 10**5) + off, rng.randrange(10**4)
                rows.append({"question": f"{a}+{b}", "reasoning": "", "result": str(a + b)})
            return {"rows": rows}

        def judge(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            said: dict[str, Any] = super().judge(given, rng)
            a = int(given["question"].split("+")[0])
            unsure = a >= 7000 and a % 7 == 0 and rng.random() < 0.7
            return {**said, "score": 2} if unsure else said

    played = play(Partial(), "  prefer_wrong = 0%\n", rows=120)
    patterns = {g["pattern"].split(":")[0] for g in played.asked("generator")}
    assert len(patterns) == 6
    left, added = played.rows("r1.decontaminate/rows"), played.rows("r1.mix/added")
    for cell in cells(added):
        have, took = (
            Counter(r["pattern"] for r in rows if (r["skill"], str(r["difficulty"])) == cell)
            for rows in (left, added)
        )
        for pattern, there in have.items():
            assert took[pattern] in (there, max(took.values()), max(took.values()) - 1)


def test_a_row_that_repeats_another_is_a_reject_that_names_it_and_is_made_good(
    engineers: ModuleType, play: Any
) -> None:
    class Parrot(engineers.Engineer):  # type: ignore[misc,name-defined]
        """Says half of its rows twice, and an example word for word."""

        def generator(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            rows = super().generator(given, rng)["rows"]
            shown = json.loads(given["examples"])[0]
            again = [{**row, "question": f" {row['question']}"} for row in rows[::2]]
            copied = {"question": shown["prompt"], "reasoning": "", "result": shown["answer"]}
            return {"rows": [*rows, *again, copied][-int(given["count"]) :]}

    played = play(Parrot(wrong=0.0), "  candidates = 1\n" + CHECKED, rows=60)
    made = {r["id"]: r for r in played.rows("r1.generate/candidates")}
    examples = {r["id"] for r in played.rows("split/diagnose")}
    reasons = [r["reason"] for r in played.rows("r1.refine/rejects")]
    named = {re.sub("^near-duplicate of row ", "", reason) for reason in reasons}
    assert named & {*made}
    assert named & examples
    assert named <= {*made} | examples
    kept = {r["id"] for r in played.rows("r1.verify/verified")}
    assert not kept & examples, "what it is shown is no row of its own"
    assert len(kept) >= 0.9 * 60


# --- grounding ---------------------------------------------------------------------------------


def test_rows_draw_on_seeds_and_on_every_passage_before_any_comes_twice(
    engineers: ModuleType, play: Any
) -> None:
    class Reader(engineers.Engineer):  # type: ignore[misc,name-defined]
        """Adds to the number that the passage tells."""

        def generator(self, given: dict[str, str], rng: random.Random) -> dict[str, Any]:
            fact = int(given["passage"].split()[1])
            rows = []
            for _ in range(int(given["count"])):
                b = rng.randrange(10**6)
                rows.append({"question": f"{fact}+{b}", "reasoning": "", "result": str(fact + b)})
            return {"rows": rows}

    facts = [f"Fact {n} {'x' * 1300}" for n in range(70_001, 70_051)]
    grid = [(skill, level) for skill in ("add", "double") for level in (1, 2, 3)]
    seeds = [
        {"prompt": f"{n}+{n}", "answer": str(2 * n), "skill": skill, "difficulty": level}
        for n, (skill, level) in enumerate(3 * grid, 9000)
    ]
    played = play(
        Reader(),
        CHECKED,
        {"facts.md": "\n\n".join(facts), "few.jsonl": "\n".join(map(json.dumps, seeds))},
        rounds=2,
        rows=40,
        domain='sources = ["facts.md"]',
        blocks='data few { role = seed  path = "few.jsonl" }\n',
    )
    dealt = {n: [g["passage"] for g in played.asked("generator", n)] for n in (1, 2)}
    for passages in dealt.values():
        assert 16 <= len(passages) == len(set(passages))
    used = {row["source"] for row in played.rows("r1.mix/added")}
    again = {f"facts.md#{int(p.split()[1]) - 70_000}" for p in dealt[2]}
    assert not used & again, "round 2 reads on where round 1 stopped"
    for row in played.rows("r2.mix/train"):
        fact = int(row["prompt"].split("+")[0])
        assert row["source"] == f"facts.md#{fact - 70_000}"

    known = {s["prompt"]: (s["skill"], str(s["difficulty"])) for s in seeds}
    for given in played.asked("generator"):
        shown = [known[e["prompt"]] for e in json.loads(given["examples"])]
        assert shown[:3] == 3 * [(given["skill"], given["difficulty"])]
        assert shown[3][0] == given["skill"]
