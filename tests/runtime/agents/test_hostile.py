"""A server and a model that mean harm: what they send may cost rows and time, never the run.

Every shape that an answer can take and that something between the wire and the store cannot: each
of them once ended a run in the words of a library, some of them for good, since the answer was
journaled.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
from dagent.runtime.lm import line

HALF = "\ud800"  # of a character, as JSON's escapes may hold it: no file can
Change = Callable[[dict[str, Any]], Any]


def message(**said: Any) -> Change:
    return lambda answer: answer["choices"][0]["message"].update(said)


def usage(**said: Any) -> Change:
    return lambda answer: answer["usage"].update(said)


ENVELOPES: dict[str, Change] = {
    "tokens below zero": usage(prompt_tokens=-(10**9), completion_tokens=-5),
    "tokens that are no numbers": usage(prompt_tokens=True, completion_tokens="many"),
    "a bill in words": lambda answer: answer.update(usage="lots"),
    "a bill without its parts": usage(prompt_tokens_details="none"),
    "a discount below zero": usage(prompt_tokens_details={"cached_tokens": -(10**6)}),
    "several choices": lambda answer: answer.update(choices=answer["choices"] * 3 + [1]),
    "an id that is half a character": lambda answer: answer.update(id=HALF),
    "no id, model, bill": lambda answer: [answer.pop(k) for k in ("id", "model", "usage")],
    "a reason to end that is a list": lambda answer: answer["choices"][0].update(finish_reason=[1]),
    "an error beside the answer": lambda answer: answer.update(error={"message": HALF}),
    "half a character": message(content=HALF),
    "a number": message(content=5),
    "parts that are none": message(content=[1, None]),
    "calls of tools that are none": message(content=None, tool_calls="x"),
    "a refusal that is an object": message(refusal={"a": HALF}),
    "lists without end": message(content="[" * 100_000),
    "objects without end": message(content='{"rows":' * 50_000),
    "what takes hours to mend": message(content='{"a' * 100_000),
}


def test_an_answer_of_any_shape_is_survived_and_found_again_by_a_resumed_run(
    engineers: ModuleType, load: Any, serve: Any, lm_server: ModuleType, stub: ModuleType,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Every second answer is harmless; each of the others takes one of the shapes. In its second
    round the run ends, and goes on from what it has of them on disk."""
    model, broken = engineers.Engineer(), True
    met: Counter[str] = Counter()

    def answer(request: dict[str, Any]) -> Any:
        whole = lm_server.completion(model(request), request)
        rng = engineers.chance(request, "hostile")
        if rng.random() < 0.5:
            name = rng.choice(list(ENVELOPES))
            met[name] += 1
            ENVELOPES[name](whole)
        return whole

    def fault(number: int, request: Any) -> Any:
        return lm_server.error(401) if broken and number > 250 else None

    server, playing = serve(answer, faults=fault), load("agents/playing.py")
    folder = stub.make_project(tmp_path / "p", playing.spec(stub, server.base, rounds=2))
    with pytest.raises(Refused, match="E851"):
        stub.run_project(folder)
    broken = False
    line.line.cache_clear()
    stub.run_project(folder)
    played = playing.Played(folder, server, engineers.asks_for)
    assert set(met) == set(ENVELOPES)
    (end,) = [e for e in played.events if e["event"] == "execution_finished"]
    assert end["state"] == "finished"
    assert end["spent"]["calls"] == server.answered, "none was asked for twice"
    assert end["spent"]["tokens"] > 0
    assert all(eval(row["prompt"]) == int(row["answer"]) for row in played.rows("r2.mix/train"))


ROWS: dict[str, Any] = {
    "question": [HALF, f"1+1{HALF}", "1\x00+1", "1\u2028+1", "x" * 50_000, 5],
    "result": ["\udfff", "10^" + "9" * 5000, "[" * 100_000, [1]],
}
SAID: dict[str, list[dict[str, Any]]] = {
    "planner": [
        {"count": n} for n in (10**400, 10**18, -(10**18))
    ] + [{"method": HALF}, {"rationale": HALF, "weakness": HALF}],
    "diagnoser": [{"name": HALF, "cause": HALF}, {"name": "x" * 200_000}, {"evidence": [HALF]}],
    "generator": [{name: value} for name, values in ROWS.items() for value in values],
    "judge": [{"score": n} for n in (float("nan"), float("inf"), 10**400)]
    + [{"score": 2, "fault": f"{HALF}\x1b[2J"}],
    "refiner": [
        {"can_be_saved": True, "repaired_question": q, "repaired_answer": a}
        for q, a in ((f"{HALF}1+1", "2"), ("1+1", HALF), ("1+1", "10^" + "9" * 5000))
    ],
}  # fmt: skip


@pytest.mark.parametrize("role", SAID)
def test_a_model_may_say_what_it_likes_in_the_form_that_was_asked_for(
    engineers: ModuleType, play: Any, role: str
) -> None:
    """A part of its answers and of their items; numbers are compared, not texts."""
    met: set[int] = set()

    class Hostile(engineers.Engineer):  # type: ignore[misc,name-defined]
        def __call__(self, request: dict[str, Any]) -> str:
            said: str = super().__call__(request)
            if engineers.asks_for(request) != role or said[0] != "{":
                return said
            answer = json.loads(said)
            for items in ([answer], *(v for v in answer.values() if isinstance(v, list))):
                self.spoil(items, engineers.chance(request, f"{self.spoken[role]}"))
            return json.dumps(answer)

        def spoil(self, items: list[Any], rng: random.Random) -> None:
            for item in items:
                number = rng.randrange(len(SAID[role]))
                if (
                    isinstance(item, dict)
                    and rng.random() < 0.4
                    and SAID[role][number].keys() <= item.keys()
                ):
                    met.add(number)
                    item |= SAID[role][number]

    played = play(Hostile(), rounds=3, rows=60, grader="numeric")
    assert met
    (end,) = [e for e in played.events if e["event"] == "execution_finished"]
    assert end["state"] == "finished"
    assert len(played.rows("r3.mix/train")) > 100
