"""Calls over real HTTP to a small server: what goes out, what is kept, what is paid for."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from dagent.compiler.prices import Price
from dagent.runtime.journal import Journal
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.connect import connect
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import Fatal, Unavailable, Unusable
from dagent.runtime.lm.pace import Patience
from dagent.runtime.lm.wire import LiteLLMWire, Trouble
from dagent.runtime.meter import Meter, OutOfBudget

KEY = "sk-planted-0123456789abcdef"
SOON = Patience(first=0.01, most=0.05, silence=0.5, connect=10.0, per_token=0.0, notice=0.1)
HURRIED = replace(SOON, connect=1.5)


@dataclass
class Session:
    """One session of a run: what a step is given, and a model connected with it."""

    folder: Path
    meter: Meter
    answers: AnswerLog

    def model(
        self, base: str, step: str = "r1.generate", patience: Patience = SOON, **kwargs: Any
    ) -> Any:
        return connect(
            Endpoint("hosted_vllm/small", base, **kwargs),
            meter=self.meter,
            answers=self.answers,
            step=step,
            parts=("round:1", "generator"),
            patience=patience,
        )


@contextmanager
def session(folder: Path, caps: dict[str, dict[str, float]] | None = None) -> Iterator[Session]:
    journal = Journal(folder / "journal.jsonl")
    answers = AnswerLog(folder / "answers.jsonl")
    try:
        yield Session(folder, Meter(caps or {}, journal), answers)
    finally:
        answers.close()
        journal.close()


def echo(request: dict[str, Any]) -> str:
    return f"you said {request['messages'][-1]['content']}"


def test_an_answer_comes_back_to_threads_and_to_asyncio(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    with lm_server.Server(echo) as server, session(tmp_path) as run:
        lm = run.model(server.base, temperature=0.5, max_tokens=20, options={"seed": 3})
        assert lm("one") == ["you said one"]
        assert asyncio.run(lm.acall("two")) == ["you said two"]
    assert server.requests[0] == {
        "model": "small",
        "messages": [{"role": "user", "content": "one"}],
        "max_tokens": 20,
        "temperature": 0.5,
        "seed": 3,
    }
    assert len(server.connections) == 1, "the connection is used again"


def test_equal_requests_are_equal_bytes_so_that_prompt_caches_hit(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    with lm_server.Server(echo) as server, session(tmp_path) as run:
        lm = run.model(server.base)
        for _ in range(2):
            lm("again")
    assert json.dumps(server.requests[0]) == json.dumps(server.requests[1])


def test_a_resumed_run_pays_for_no_answer_twice(lm_server: ModuleType, tmp_path: Path) -> None:
    told = iter(range(100))
    with lm_server.Server(lambda request: f"answer {next(told)}") as server:
        with session(tmp_path) as run:
            lm = run.model(server.base)
            before = [lm("same")[0], lm("same")[0], lm("same", rollout_id=7)[0], lm("other")[0]]
            spent = run.meter.spent("tokens")
        with session(tmp_path) as run:
            lm = run.model(server.base)
            after = [lm("same")[0], lm("same", rollout_id=7)[0], lm("same")[0], lm("other")[0]]
            assert run.meter.spent("calls") == 4
            assert run.meter.spent("tokens") == spent
    assert before == ["answer 0", "answer 1", "answer 2", "answer 3"], "each repetition is asked"
    assert after == ["answer 0", "answer 2", "answer 1", "answer 3"]
    assert len(server.requests) == 4


def test_another_step_asks_for_itself(lm_server: ModuleType, tmp_path: Path) -> None:
    with lm_server.Server(echo) as server, session(tmp_path) as run:
        run.model(server.base, "r1.generate")("same")
        run.model(server.base, "r2.generate")("same")
    assert len(server.requests) == 2


def test_an_answer_on_disk_that_was_never_settled_is_settled_by_its_usage(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    with lm_server.Server(echo) as server:
        with session(tmp_path) as run:
            run.model(server.base)("a b c")
            true = run.meter.spent("tokens")
        journal = tmp_path / "journal.jsonl"
        reserved = journal.read_text().splitlines()[0]
        journal.write_text(reserved + "\n")  # killed before it could settle
        with session(tmp_path) as run:
            assert run.meter.spent("tokens") > true
            run.model(server.base)("a b c")
            assert run.meter.spent("tokens") == true
    assert len(server.requests) == 1


def test_usage_and_price_are_metered_by_run_round_and_role(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    price = Price(input=2.0, output=10.0, cached_input=0.5)
    answer = lm_server.completion("x", {"messages": [], "model": "small"})
    answer["usage"] = {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "prompt_tokens_details": {"cached_tokens": 400},
    }
    with lm_server.Server(lambda request: answer) as server, session(tmp_path) as run:
        run.model(server.base, price=msgspec.structs.asdict(price))("hello")
        for scope in ("run", "round:1", "generator"):
            assert run.meter.spent("calls", scope) == 1
            assert run.meter.spent("tokens", scope) == 1200
            dollars = (600 * 2.0 + 400 * 0.5 + 200 * 10.0) / 1e6
            assert run.meter.spent("money", scope) == pytest.approx(dollars)


def test_a_count_that_cannot_be_is_charged_as_the_worst_case_and_said_once(
    lm_server: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Else one lie of a server's would spend a cap on tokens. Twice `max_tokens` is believed: some
    models think beyond it."""

    def lying(request: dict[str, Any]) -> dict[str, Any]:
        answer = lm_server.completion("x", request)
        said = int(request["messages"][0]["content"])
        answer["usage"] = {"prompt_tokens": 5, "completion_tokens": said}
        return answer

    with (
        lm_server.Server(lying) as server,
        session(tmp_path, {"run": {"tokens": 9000.0}}) as run,
    ):
        lm = run.model(server.base, max_tokens=1000)
        lm("2000")
        assert run.meter.spent("tokens") == 2005
        for lie in (10**12, 10**400):
            before = run.meter.spent("tokens")
            lm(str(lie))
            assert 1000 < run.meter.spent("tokens") - before < 2000
    assert len([r for r in caplog.records if "more tokens in a call" in r.message]) == 1


@pytest.mark.parametrize(
    ("caps", "allowed"),
    [
        ({"run": {"calls": 7}}, 7),
        ({"generator": {"calls": 3}}, 3),
        ({"round": {"tokens": 5000}}, None),
        ({"run": {"money": 0.01}}, None),
    ],
)
def test_no_cap_is_exceeded_by_many_threads_at_once(
    lm_server: ModuleType,
    tmp_path: Path,
    caps: dict[str, dict[str, float]],
    allowed: int | None,
) -> None:
    """The server answers with all the tokens that it may, and counts them itself."""
    price = Price(input=1.0, output=10.0, cached_input=1.0)

    def longest(request: dict[str, Any]) -> dict[str, Any]:
        answer = lm_server.completion("x", request)
        answer["usage"] = {
            "prompt_tokens": len(request["messages"][0]["content"]),
            "completion_tokens": request["max_tokens"],
        }
        billed.append(answer["usage"])
        return answer

    billed: list[dict[str, int]] = []

    def ask(number: int) -> bool:
        try:
            lm(f"question {number}")
        except OutOfBudget:
            return False
        return True

    with lm_server.Server(longest, delay=0.02) as server, session(tmp_path, caps) as run:
        lm = run.model(server.base, max_tokens=100, price=msgspec.structs.asdict(price))
        with ThreadPoolExecutor(16) as pool:
            answered = sum(pool.map(ask, range(64)))
    tokens = sum(u["prompt_tokens"] + u["completion_tokens"] for u in billed)
    money = sum(price.cost(u["prompt_tokens"], u["completion_tokens"]) for u in billed)
    assert 0 < answered == len(billed) < 64
    assert allowed in (None, answered)
    for cap in caps.values():
        assert tokens <= cap.get("tokens", tokens)
        assert money <= cap.get("money", money)


def test_a_cap_that_the_worst_case_of_many_calls_exceeds_lets_all_that_fit_through(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    """Sixteen at once would hold 16 × 1,000 tokens and more; in truth each takes a few."""
    caps = {"run": {"tokens": 3000.0}}

    def ask(number: int) -> object:
        return lm(f"question {number}")

    with lm_server.Server(lambda _: "short", delay=0.02) as server, session(tmp_path, caps) as run:
        lm = run.model(server.base, max_tokens=1000)
        with ThreadPoolExecutor(16) as pool:
            assert len(list(pool.map(ask, range(16)))) == 16
        assert run.meter.spent("tokens") <= 3000


FAULTS: dict[str, Callable[[ModuleType], list[Any]]] = {
    "429 that says when": lambda s: [s.error(429, Retry_After="0.05")] * 2,
    "429 that does not": lambda s: [s.error(429)] * 3,
    "500": lambda s: [s.error(500), s.error(503), s.error(529)],
    "hang": lambda s: [s.Fault(hang=30)],
    "reset before the answer": lambda s: [s.Fault(drop="before")],
    "reset in the middle": lambda s: [s.Fault(drop="middle")],
    "truncated JSON": lambda s: [s.Fault(body='{"choices": [{"mess')],
    "JSON of another shape": lambda s: [s.Fault(body='{"choices": []}'), s.Fault(body="[1]")],
    "HTML behind a 200": lambda s: [s.Fault(body="<html>gateway</html>")],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_a_passing_fault_is_survived(
    lm_server: ModuleType, tmp_path: Path, faults: Callable[[ModuleType], list[Any]]
) -> None:
    plan = faults(lm_server)
    with (
        lm_server.Server(echo, lm_server.first(*plan)) as server,
        session(tmp_path) as run,
    ):
        patience = HURRIED if any(fault.hang for fault in plan) else SOON
        assert run.model(server.base, patience=patience)("one") == ["you said one"]
        assert len(server.requests) == len(plan) + 1
        lost = [f for f in plan if f.status == 200]
        assert run.meter.spent("calls") == 1 + len(lost), "what may have been billed is counted"


def test_half_a_character_costs_no_answer(lm_server: ModuleType, tmp_path: Path) -> None:
    with lm_server.Server(lambda request: "cut \ud83d, whole 😀") as server:
        for _ in range(2):
            with session(tmp_path) as run:
                assert run.model(server.base)("one") == ["cut ?, whole 😀"]
    assert len(server.requests) == 1, "it is on disk"


def test_retry_after_holds_the_whole_endpoint_back(lm_server: ModuleType, tmp_path: Path) -> None:
    times: list[float] = []

    def fault(number: int, request: Any) -> Any:
        times.append(time.monotonic())
        return lm_server.error(429, Retry_After="0.5") if number == 0 else None

    with lm_server.Server(echo, fault) as server, session(tmp_path) as run:
        lm = run.model(server.base)
        with ThreadPoolExecutor(4) as pool:
            first = pool.submit(lm, "first")
            while not times:
                time.sleep(0.01)
            time.sleep(0.1)
            rest = [pool.submit(lm, f"later {n}") for n in range(3)]
            for job in (first, *rest):
                job.result()
    assert min(times[1:]) - times[0] >= 0.5


def test_a_pause_that_outlasts_patience_ends_the_run_at_once(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    day = lm_server.error(429, "daily limit", Retry_After="86400")
    with lm_server.Server(echo, lm_server.first(day)) as server, session(tmp_path) as run:
        started = time.monotonic()
        with pytest.raises(Unavailable, match="asks to wait 86400 s: HTTP 429: daily limit"):
            run.model(server.base)("hello")
        assert time.monotonic() - started < 5


def test_an_answer_without_end_is_read_no_further(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagent.runtime.lm.wire.ANSWER", 10_000)
    large = lm_server.Fault(body=" " * 20_000)
    with lm_server.Server(echo, lm_server.first(large)) as server, session(tmp_path) as run:
        assert run.model(server.base)("hello") == ["you said hello"]
    with (
        lm_server.Server(echo, lambda n, r: large) as server,
        session(tmp_path / "b") as run,
        pytest.raises(Unusable, match="more than 10,000 bytes"),
    ):
        run.model(server.base)("hello")


def test_what_a_server_says_is_one_line_without_commands_to_a_terminal(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    rude = lm_server.error(401, "no\x1b[2J\nerror: \ud800 delete everything")
    with (
        lm_server.Server(echo, lambda n, r: rude) as server,
        session(tmp_path) as run,
        pytest.raises(Fatal) as caught,
    ):
        run.model(server.base)("hello")
    (finding,) = caught.value.diagnostics
    assert finding.message.endswith("HTTP 401: no [2J error: delete everything")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (("error", 401, f"Incorrect API key provided: {KEY}"), "E851"),
        (("error", 404, "The model `small` does not exist"), "E853"),
        (("error", 429, "You exceeded your current quota", "insufficient_quota"), "E854"),
    ],
)
def test_what_cannot_get_better_ends_the_run_at_once(
    lm_server: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: tuple[Any, ...],
    code: str,
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    bad = getattr(lm_server, fault[0])(*fault[1:])
    with lm_server.Server(echo, lambda n, r: bad) as server, session(tmp_path) as run:
        lm = run.model(server.base, api_key_env="TEACHER_KEY")
        for _ in range(3):
            with pytest.raises(Fatal) as caught:
                lm("hello")
            (finding,) = caught.value.diagnostics
            assert finding.code == code
            assert finding.suggestion
            assert KEY not in str(caught.value)
        assert len(server.requests) == 1
        assert run.meter.spent("calls") == 0


def test_a_gateway_that_wants_a_key_which_the_spec_does_not_name(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is in the environment, and yet rightly not sent there: the help says how."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    bad = lm_server.error(401, "Missing bearer token")
    with lm_server.Server(echo, lambda n, r: bad) as server, session(tmp_path) as run:
        with pytest.raises(Fatal) as caught:
            run.model(server.base)("hello")
        (finding,) = caught.value.diagnostics
        assert (finding.code, "none was sent" in finding.message) == ("E851", True)
        assert "api_key = $key" in (finding.suggestion or "")


def test_a_missing_key_and_a_missing_address_are_said_before_any_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    given = {"step": "s", "parts": ()}
    with session(tmp_path) as run:
        for endpoint, code in (
            (Endpoint("openai/gpt-4o"), "E850"),
            (Endpoint("hosted_vllm/small"), "E852"),
            (Endpoint("openai/o3", "http://127.0.0.1:1/v1", temperature=0.2), "E856"),
        ):
            with pytest.raises(Fatal) as caught:
                connect(endpoint, meter=run.meter, answers=run.answers, **given)
            assert [d.code for d in caught.value.diagnostics] == [code]


@pytest.mark.parametrize("name", ["gpt-5.2", "openai/gpt-5", "GPT-5-mini", "o3-mini", "gpt-5-chat"])
def test_models_of_openai_behind_a_gateway_need_nothing_said(tmp_path: Path, name: str) -> None:
    """DSPy refuses the reasoning ones with less room for an answer."""
    with session(tmp_path) as run:
        endpoint = Endpoint(f"openai/{name}", "http://127.0.0.1:1/v1")
        connect(endpoint, meter=run.meter, answers=run.answers, step="s", parts=())
        assert endpoint.most == (4096 if "chat" in name else 16000)


def test_money_is_capped_and_no_price_is_known(tmp_path: Path) -> None:
    with session(tmp_path, {"run": {"money": 1.0}}) as run:
        with pytest.raises(Fatal) as caught:
            run.model("http://127.0.0.1:1/v1")
        assert [d.code for d in caught.value.diagnostics] == ["E858"]
        run.model("http://127.0.0.1:1/v1", price={"input": 1.0, "output": 1.0})


def test_a_key_goes_nowhere_but_where_the_spec_sends_it(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with lm_server.Server(echo) as server, session(tmp_path) as run:
        run.model(server.base)("hello")
        other = Endpoint("openai/small", server.base)
        connect(other, meter=run.meter, answers=run.answers, step="s", parts=(), patience=SOON)(
            "hello"
        )
        run.model(server.base, api_key_env="OPENAI_API_KEY")("hello")
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == [None, None, f"Bearer {KEY}"]


UNUSABLE: dict[str, Callable[[dict[str, Any]], None]] = {
    "refused: I will not": lambda m: m.update(message={"content": None, "refusal": "I will not"}),
    "refused: content filter": lambda m: m.update(finish_reason="content_filter"),
    "empty": lambda m: m.update(message={"content": ""}),
    "max_tokens": lambda m: m.update(message={"content": ""}, finish_reason="length"),
}


@pytest.mark.parametrize("reason", UNUSABLE)
def test_one_bad_answer_is_kept_paid_for_once_and_leaves_the_others_alone(
    lm_server: ModuleType, tmp_path: Path, reason: str
) -> None:
    def answer(request: dict[str, Any]) -> Any:
        made = lm_server.completion("fine", request)
        if request["messages"][-1]["content"] == "bad":
            UNUSABLE[reason](made["choices"][0])
        return made

    with lm_server.Server(answer) as server:
        for _ in range(2):
            with session(tmp_path) as run:
                lm = run.model(server.base)
                with pytest.raises(Unusable, match=reason.partition(":")[0]):
                    lm("bad")
                assert lm("good") == ["fine"]
                assert run.meter.spent("calls") == 2
    assert len(server.requests) == 2


def test_a_refused_request_is_unusable_with_the_servers_reason(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    bad = lm_server.error(400, "maximum context length is 10 tokens", "context_length_exceeded")
    with lm_server.Server(echo, lm_server.first(bad)) as server, session(tmp_path) as run:
        lm = run.model(server.base)
        with pytest.raises(Unusable, match="maximum context length"):
            lm("too long")
        assert run.meter.spent("calls") == 0
        assert lm("short") == ["you said short"]


def test_a_request_that_always_fails_is_given_up_while_others_succeed(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    def fault(number: int, request: dict[str, Any]) -> Any:
        poison = request["messages"][-1]["content"] == "poison"
        return lm_server.error(500) if poison else None

    with lm_server.Server(echo, fault) as server, session(tmp_path) as run:
        lm = run.model(server.base)
        with ThreadPoolExecutor(2) as pool:
            doomed = pool.submit(lm, "poison")
            while not doomed.done():
                assert lm("fine") == ["you said fine"]
        assert isinstance(doomed.exception(), Unusable)


def test_a_dead_server_is_waited_for_and_then_given_up_and_the_run_goes_on_later(
    lm_server: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead = True

    def fault(number: int, request: Any) -> Any:
        return lm_server.error(503) if dead and number >= 3 else None

    with lm_server.Server(echo, fault) as server:
        with session(tmp_path) as run:
            lm = run.model(server.base)
            for number in range(3):
                lm(str(number))
            with pytest.raises(Unavailable) as caught:
                lm("3")
            assert [d.code for d in caught.value.diagnostics] == ["E855"]
            tried = len(server.requests)
            with pytest.raises(Unavailable):
                lm("4")
            (told,) = [r.getMessage() for r in caplog.records if "has not answered" in r.message]
            assert "503" in told, "who watches is told once, long before the run ends"
            assert len(server.requests) == tried + 1, "one look is enough once it is known dead"
        dead = False
        with session(tmp_path) as run:
            lm = run.model(server.base)
            assert [lm(str(n))[0] for n in range(6)] == [f"you said {n}" for n in range(6)]
            assert run.meter.spent("calls") == 6
    assert server.answered == 6


def test_a_server_that_is_gone_and_comes_back_in_time_costs_only_time(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    """No listener at all for a while: scaled down from a minute by shorter waits."""
    with lm_server.Server(echo) as server:
        base = server.base
    with session(tmp_path) as run:
        lm = run.model(base)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lm, "are you there")
            time.sleep(0.2)
            assert not waiting.done()
            with lm_server.Server(echo, port=int(base.split(":")[2].split("/")[0])):
                assert waiting.result(10) == ["you said are you there"]


def test_a_server_that_answers_three_times_in_ten_answers_all_in_the_end(
    lm_server: ModuleType, tmp_path: Path
) -> None:
    rng = random.Random(0)

    def fault(number: int, request: Any) -> Any:
        if rng.random() < 0.3:
            return None
        return rng.choice([lm_server.error(500), lm_server.error(429), lm_server.error(502)])

    with lm_server.Server(echo, fault) as server, session(tmp_path) as run:
        lm = run.model(server.base)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: lm(str(n))[0], range(60)))
        assert answers == [f"you said {n}" for n in range(60)]
        assert run.meter.spent("calls") == 60


def test_concurrency_falls_when_the_server_objects(lm_server: ModuleType, tmp_path: Path) -> None:
    """A server that serves eight at once and refuses the rest: soon few are refused."""

    def fault(number: int, request: Any) -> Any:
        return lm_server.error(429) if server._at_once > 8 else None

    with lm_server.Server(echo, fault, delay=0.01) as server, session(tmp_path) as run:
        lm = run.model(server.base)
        with ThreadPoolExecutor(48) as pool:
            list(pool.map(lm, map(str, range(400))))
    refused = len(server.requests) - server.answered
    assert server.answered == 400
    assert refused < 200


def test_a_planted_key_is_in_no_file_no_log_and_no_exception(
    lm_server: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    faults = [
        lm_server.error(500, f"debug: Authorization: Bearer {KEY}"),
        lm_server.Fault(drop="before"),
        None,
        lm_server.error(400, f"bad request with {KEY}"),
        lm_server.error(401, f"bad key {KEY}"),
    ]

    def telling(request: dict[str, Any]) -> str:
        return f"{echo(request)}, and your key is {KEY}"

    with lm_server.Server(telling, lm_server.first(*faults)) as server, session(tmp_path) as run:
        lm = run.model(server.base, api_key_env="TEACHER_KEY")
        assert lm("one") == ["you said one, and your key is …"]
        for failure in (Unusable, Fatal):
            with pytest.raises(failure) as caught:
                lm("two")
            shown += [str(caught.value), repr(caught.value)]
            shown.append(str(caught.getrepr(style="long", showlocals=False)))
        shown += [repr(lm), repr(lm.engine), str(lm.dump_state), str(lm.history)]
    assert any(h["Authorization"] == f"Bearer {KEY}" for h in server.headers), "it was used"
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    for text in (*files, *shown, caplog.text):
        assert KEY not in text


def test_other_providers_fail_in_the_same_words(
    lm_server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    body = b'{"model": "openai/small", "messages": [{"role": "user", "content": "x"}]}'
    faults = {
        "busy": lm_server.error(429),
        "auth": lm_server.error(401, f"bad key {KEY}"),
        "model": lm_server.error(404),
        "down": lm_server.error(500),
        "lost": lm_server.Fault(body="<html>"),
    }
    with lm_server.Server(echo, lm_server.first(*faults.values())) as server:
        wire = LiteLLMWire(Endpoint("openai/small", server.base, "TEACHER_KEY"))
        for kind in faults:
            with pytest.raises(Trouble) as caught:
                asyncio.run(wire.send(body, 20, "call:1"))
            assert caught.value.kind == kind
            assert KEY not in str(caught.value)
        answer = asyncio.run(wire.send(body, 20, "call:1"))
    assert answer["choices"][0]["message"]["content"] == "you said x"
    assert answer["usage"]["completion_tokens"] == 3
