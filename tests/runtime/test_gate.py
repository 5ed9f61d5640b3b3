"""The gate on made answers: whose rows stay, whose are set aside, and when they come back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagent.compiler.plan import Step
from dagent.runtime.rows import read_json, read_rows, write_json, write_rows
from dagent.runtime.step import Artifact
from dagent.runtime.steps import gate

METRIC = {"name": "accuracy", "grader": "exact", "average": "micro"}
STEP_PARAMS = {
    "metrics": [METRIC],
    "rule": "paired",
    "alpha": 0.05,
    "floors": [{"metric": "accuracy", "op": ">=", "value": 0.2, "set": "select", "skill": "each"}],
    "guards": [],
    "stop": {"patience": None, "when": None},
}


class Rounds:
    """Gates one round after the other, each student given by how many of 40 rows it answers, or by
    its score on each row."""

    def __init__(self, folder: Path, base: int | Sequence[float], floors: bool = True) -> None:
        self.params = STEP_PARAMS if floors else {**STEP_PARAMS, "floors": []}
        self.folder = folder
        self.state: dict[str, Artifact] = {}
        self.number = 0
        self._gate({"model": self._put("base", [])}, base)

    def next(self, right: int | Sequence[float], failed: str | None = None) -> dict[str, Any]:
        self.number += 1
        row = {
            "id": f"r{self.number}",
            "round": self.number,
            "item": "i",
            "prompt": "",
            "answer": "",
        }
        given = {
            "model": self._put(f"model{self.number}", []),
            "outcome": Artifact("o", self._json({"failed": failed})),
            "added": self._put(f"added{self.number}", [row]),
            "candidates": self._put("candidates", [row]),
            "verified": self._put("verified", [row]),
            "curriculum": Artifact("c", self._json({"items": [], "families": [], "refused": []})),
            **{k: self.state[k] for k in ("champion", "kept", "aside", "archive")},
            "champion_answers": self.state["answers"],
        }
        return self._gate(given, right)

    def champion_scores(self) -> list[float]:
        return [row["scores"]["accuracy"] for row in read_rows(self.state["answers"].path)]

    def rounds_in(self, name: str) -> list[int]:
        return [row["round"] for row in read_rows(self.state[name].path)]

    def _gate(self, given: dict[str, Artifact], right: int | Sequence[float]) -> dict[str, Any]:
        scores = [float(i < right) for i in range(40)] if isinstance(right, int) else right
        answers = [
            {"id": str(i), "skill": "ab"[i % 2], "scores": {"accuracy": score}}
            for i, score in enumerate(scores)
        ]
        given["answers"] = self._put(f"answers{self.number}", answers)
        out = self.folder / f"gate{self.number}"
        out.mkdir()
        step = Step("gate", "gate", gate.version, {**self.params, "round": self.number})
        made = gate.run(step, given, SimpleNamespace(scratch=out)).artifacts  # type: ignore[arg-type]
        self.state = {
            k: a if isinstance(a, Artifact) else Artifact(f"{k}{self.number}", a)
            for k, a in made.items()
        }
        found: dict[str, Any] = read_json(self.state["decision"].path)
        return found

    def _put(self, name: str, rows: list[dict[str, Any]]) -> Artifact:
        return Artifact(name, write_rows(self.folder / f"{name}-{self.number}.jsonl", rows))

    def _json(self, body: Any) -> Path:
        return write_json(self.folder / f"{'-'.join(body)}{self.number}.json", body)


@pytest.fixture
def rounds(tmp_path: Path) -> Rounds:
    return Rounds(tmp_path, base=20)


def test_rows_of_a_round_within_noise_stay(rounds: Rounds) -> None:
    decision = rounds.next(18)
    assert (decision["accepted"], decision["harm"]) == (False, None)
    assert f"not beyond noise (one-sided p = {decision['p']:.2g} > 0.05)" in decision["reason"]
    assert (rounds.rounds_in("kept"), rounds.rounds_in("aside")) == ([1], [])


def test_rows_of_a_significantly_worse_round_are_set_aside(rounds: Rounds) -> None:
    worse = rounds.next(10)
    assert worse["harm"] == "worse"
    assert "significantly worse (one-sided p = 0.00098)" in worse["reason"], "ten of ten broken"
    assert (rounds.rounds_in("kept"), rounds.rounds_in("aside")) == ([], [1])
    assert rounds.state["current"].digest == "base"


def test_they_come_back_when_a_student_is_accepted(rounds: Rounds) -> None:
    rounds.next(10)
    better = rounds.next(35)
    assert better["accepted"]
    assert better["reason"].endswith(f"one-sided p = {better['p']:.2g}")
    assert (sorted(rounds.rounds_in("kept")), rounds.rounds_in("aside")) == ([1, 2], [])


def test_they_come_back_when_a_round_without_them_is_as_bad(rounds: Rounds) -> None:
    """Too few rows made both worse; kept apart, no round would ever have enough of them."""
    rounds.next(10)
    decision = rounds.next(9)
    assert (decision["accepted"], decision["harm"]) == (False, "worse")
    assert "they are not the cause and come back" in decision["reason"]
    assert (sorted(rounds.rounds_in("kept")), rounds.rounds_in("aside")) == ([1, 2], [])


def test_rows_of_a_round_that_broke_a_floor_stay_aside_till_one_is_accepted(
    rounds: Rounds,
) -> None:
    assert rounds.next(3)["harm"] == "breaks"
    assert rounds.next(10)["harm"] == "worse"
    assert rounds.rounds_in("aside") == [1, 2]
    assert rounds.next(10)["harm"] == "worse"
    assert (sorted(rounds.rounds_in("kept")), rounds.rounds_in("aside")) == ([2, 3], [1])
    rounds.next(36)
    assert (sorted(rounds.rounds_in("kept")), rounds.rounds_in("aside")) == ([1, 2, 3, 4], [])


def test_a_round_whose_training_failed_keeps_champion_and_rows(rounds: Rounds) -> None:
    rounds.next(36)
    champion = rounds.state["champion"]
    decision = rounds.next(0, failed="the loss is nan at step 4; lower `learning_rate`")
    assert (decision["accepted"], decision["harm"], decision["champion_round"]) == (False, None, 1)
    assert "the loss is nan at step 4; lower `learning_rate`" in decision["reason"]
    assert decision["select"] == 0.9  # the champion's: there is no other student
    assert rounds.state["current"] == rounds.state["champion"] == champion
    assert (sorted(rounds.rounds_in("kept")), rounds.rounds_in("aside")) == ([1, 2], [])
    assert decision["stop"] is None
    assert "failed in two rounds" in rounds.next(0, failed="the loss is nan")["stop"]


@pytest.mark.parametrize(
    ("champion", "said"),
    [
        (40, "has every row of select right, so no round can be called better"),
        (36, "has only 4 rows of select not right, too few to be called better on"),
        (35, None),  # five fixed and none broken are significant
    ],
)
def test_where_no_round_can_be_called_better_it_is_said(
    tmp_path: Path, champion: int, said: str | None
) -> None:
    reason = Rounds(tmp_path, champion, floors=False).next(champion)["reason"]
    assert said in reason if said else "called better" not in reason
