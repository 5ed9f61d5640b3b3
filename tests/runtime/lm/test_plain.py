"""The short way of plain calls: the same request to the byte, the same answer; and who watches DSPy
sees every call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagent.runtime.journal import Journal
from dagent.runtime.lm import plain
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.calls import Calls
from dagent.runtime.lm.connect import connect
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.loop import run
from dagent.runtime.meter import Meter

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
ROWS = st.tuples(
    st.none() | TEXT, st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXT), min_size=1)
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.none() | st.sampled_from([0, 0.0, 1, 1.0, 0.7, 1e-7]),
        "max_tokens": st.integers(1, 99),
        "top_p": st.floats(0.1, 1),
        "seed": st.integers(0, 9),
        "stop": st.lists(TEXT, min_size=1, max_size=2),
        "response_format": st.just({"type": "json_object"}),
        "rollout_id": st.integers(1, 9),
    },
)


@contextmanager
def connected(folder: Path, base: str, **options: Any) -> Iterator[tuple[Any, AnswerLog]]:
    journal, answers = Journal(folder / "journal.jsonl"), AnswerLog(folder / "answers.jsonl")
    endpoint = Endpoint("hosted_vllm/small", base, options=options)
    given = {"meter": Meter({}, journal), "answers": answers, "step": "r1", "parts": ()}
    try:
        yield connect(endpoint, **given), answers
    finally:
        answers.close()
        journal.close()


def ask(lm: Any, short: bool, *prompt: Any, **options: Any) -> Any:
    with dspy.context(disable_history=short):
        return run(lm.acall(*prompt, **options))


@pytest.mark.parametrize("official", [True, False])
@settings(max_examples=300)
@given(rows=ROWS, options=OPTIONS)
def test_the_body_is_what_dspy_sends(
    official: bool, rows: tuple[str | None, list[tuple[str, str]]], options: dict[str, Any]
) -> None:
    messages = [{"role": "system", "content": rows[0]}] if rows[0] else []
    messages += [{"role": role, "content": text} for role, text in rows[1]]
    sent: list[bytes] = []

    class Engine:
        def complete(self, request: dspy.lm15.Request) -> dspy.lm15.Response:
            sent.append(plain.dialect(official).build_request(request, stream=False).body)
            return dspy.lm15.response_from_openai_chat(completion())

    endpoint = Endpoint("openai/small", None if official else "http://here/v1", max_tokens=7)
    lm = dspy.LM("small", engine=Engine(), cache=False, max_tokens=7)
    lm(messages=messages, **options)
    body = plain.body(endpoint, messages, {**lm.kwargs, **options})
    assert body is not None
    assert body.content == sent[0]
    assert body.max_tokens == options.get("max_tokens", 7)


def test_one_way_finds_what_the_other_asked(lm_server: ModuleType, tmp_path: Path) -> None:
    said = iter(range(99))
    with lm_server.Server(lambda request: f"answer {next(said)}") as server:
        with connected(tmp_path, server.base) as (lm, _):
            short = [ask(lm, True, "é\n"), ask(lm, True, "é\n", rollout_id=3)]
            long = ask(lm, False, "two")
        with connected(tmp_path, server.base) as (lm, answers):
            assert [ask(lm, False, "é\n"), ask(lm, False, "é\n", rollout_id=3)] == short
            assert ask(lm, True, "two") == long
            assert len(answers) == len(server.requests) == 3


def test_an_agent_takes_the_short_way(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagent.runtime.agents.adapter import Adapter

    async def refuse(*args: object) -> None:
        raise AssertionError("DSPy made a request")

    monkeypatch.setattr(Calls, "complete", refuse)
    with (
        lm_server.Server(lambda request: '{"answer": "4"}') as server,
        connected(tmp_path, server.base, top_p=0.5) as (lm, _),
        dspy.context(lm=lm, adapter=Adapter(), disable_history=True),
    ):
        agent = dspy.Predict("question -> answer")
        assert run(agent.acall(question="2+2", config={"rollout_id": 2})).answer == "4"
        assert asyncio.run(agent.acall(question="2+3")).answer == "4"
    assert server.requests[0]["top_p"] == 0.5


def completion(finish: str = "stop", **message: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "4", **message}
    choice = {"index": 0, "finish_reason": finish, "message": said}
    return {"id": "1", "model": "small", "choices": [choice]}


CALL = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
MORE = [
    completion(reasoning_content="two and two"),
    completion("tool_calls", content=None, tool_calls=[CALL]),
    completion("length"),
    completion(content=[{"type": "text", "text": "4"}]),
    completion(refusal=None, tool_calls=[], reasoning_content=None),
]


@pytest.mark.parametrize("answer", MORE)
def test_an_answer_that_holds_more_than_text_is_what_dspy_makes_of_it(
    lm_server: ModuleType, tmp_path: Path, answer: dict[str, Any]
) -> None:
    with (
        lm_server.Server(lambda request: answer) as server,
        connected(tmp_path, server.base) as (lm, answers),
    ):
        assert ask(lm, True, "2+2") == ask(lm, False, "2+2")
        assert len(answers) == len(server.requests) == 2, "each is asked once"


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "2+2"}]}]},
        {"messages": [{"role": r, "content": "2+2"} for r in ("user", "system")]},
        {"messages": [{"role": "user", "content": "2+2"}], "logprobs": True},
        {"messages": [{"role": "user", "content": "2+2"}], "n": 2},
    ],
)
def test_a_call_that_is_not_plain_takes_the_long_way(
    lm_server: ModuleType, tmp_path: Path, more: dict[str, Any]
) -> None:
    with (
        lm_server.Server(lambda request: "4") as server,
        connected(tmp_path, server.base) as (lm, _),
    ):
        assert len(ask(lm, True, **more)) == more.get("n", 1) == len(server.requests)
        assert ask(lm, True, **more) == ask(lm, False, **more)
        assert json.dumps(server.requests[0]) == json.dumps(server.requests[-1])


def test_text_that_cannot_be_sent_is_refused_as_dspy_does(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    with (
        lm_server.Server() as server,
        connected(tmp_path, server.base) as (lm, _),
        pytest.raises(ValueError, match="lone surrogate U\\+D800"),
    ):
        ask(lm, True, "\ud800")


class Watching(dspy.utils.callback.BaseCallback):
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.seen.append(inputs["prompt"])


def history(lm: Any) -> list[Any]:
    ask(lm, False, "2+2")
    return [entry["prompt"] for entry in lm.history]


def callback(lm: Any) -> list[Any]:
    watching = Watching()
    with dspy.context(callbacks=[watching]):
        ask(lm, True, "2+2")
    return watching.seen


def own_callback(lm: Any) -> list[Any]:
    lm.callbacks = [watching := Watching()]
    ask(lm, True, "2+2")
    return watching.seen


def usage(lm: Any) -> list[Any]:
    with dspy.track_usage() as tracker:
        ask(lm, True, "2+2")
    return ["2+2" for _ in tracker.usage_data]


@pytest.mark.parametrize("watch", [history, callback, own_callback, usage])
def test_who_watches_dspy_sees_the_call(
    lm_server: ModuleType, tmp_path: Path, watch: Callable[[Any], list[Any]]
) -> None:
    with (
        lm_server.Server(lambda request: "4") as server,
        connected(tmp_path, server.base) as (lm, _),
    ):
        assert watch(lm) == ["2+2"]
