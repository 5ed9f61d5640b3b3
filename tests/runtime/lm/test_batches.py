"""Waves of calls as batches, over real HTTP: what goes out, what comes of it, what is paid."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.runtime.journal import Journal, read_events
from dagent.runtime.lm import batches
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.batch_log import waited_for
from dagent.runtime.lm.connect import connect
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import Fatal, Unavailable, Unusable
from dagent.runtime.lm.pace import Patience
from dagent.runtime.meter import Meter, OutOfBudget

KEY = "sk-planted-0123456789abcdef"
SOON = Patience(first=0.01, most=0.05, silence=5.0, connect=10.0, linger=0.3)
IMPATIENT = replace(SOON, silence=0.3)
PRICE = {"input": 2.0, "output": 8.0, "batch_input": 1.0, "batch_output": 4.0}
PARTS = ("round:1", "generator")


@dataclass
class Session:
    """One session of a run, and a model connected with it."""

    meter: Meter
    answers: AnswerLog

    def wave(self, base: str, prompts: list[str], patience: Patience = SOON, **more: Any) -> Any:
        """What each prompt comes to, asked all at once: a text or an exception."""
        lm = connect(
            Endpoint("hosted_vllm/small", base, max_tokens=20, batch=True, **more),
            meter=self.meter,
            answers=self.answers,
            step="r1.generate",
            parts=PARTS,
            patience=patience,
        )

        async def ask(prompt: str) -> Any:
            try:
                return (await lm.acall(prompt))[0]
            except Exception as error:
                return error

        async def all_of_them() -> list[Any]:
            return await asyncio.gather(*map(ask, prompts))

        return asyncio.run(all_of_them())


@contextmanager
def session(folder: Path, caps: dict[str, dict[str, float]] | None = None) -> Iterator[Session]:
    journal = Journal(folder / "journal.jsonl")
    answers = AnswerLog(folder / "answers.jsonl")
    try:
        yield Session(Meter(caps or {}, journal), answers)
    finally:
        answers.close()
        journal.close()


def echo(request: dict[str, Any]) -> str:
    return f"you said {request['messages'][-1]['content']}"


def said(prompts: list[str]) -> list[str]:
    return [f"you said {prompt}" for prompt in prompts]


def some(number: int) -> list[str]:
    return [f"prompt{n}" for n in range(number)]


def code(error: Any) -> str:
    assert isinstance(error, Fatal | Unavailable), error
    (finding,) = error.diagnostics
    assert finding.suggestion
    return str(finding.code)


def sent(server: Any) -> list[list[str]]:
    """The prompts of each batch that was begun."""
    return [
        [line["body"]["messages"][-1]["content"] for line in server.batches.lines(batch)]
        for batch in server.batches.begun
    ]


def true_tokens(prompts: list[str]) -> int:
    """What the server bills for these: it counts words."""
    return sum(1 + 3 for _ in prompts)


def test_a_wave_is_one_batch_and_each_call_gets_its_own_answer(serve: Any, tmp_path: Path) -> None:
    server, prompts = serve(echo), some(600)
    with session(tmp_path) as run:
        patient = replace(SOON, linger=2.0)  # however busy the machine is
        assert run.wave(server.base, prompts, patient, price=PRICE) == said(prompts)
        assert run.meter.spent("calls") == run.meter.spent("calls", "generator") == 600
        assert run.meter.spent("tokens", "round:1") == true_tokens(prompts)
        assert run.meter.spent("money") == pytest.approx(600 * (1 * 1.0 + 3 * 4.0) / 1e6)
    assert [sorted(wave) for wave in sent(server)] == [sorted(prompts)]
    (batch,) = server.batches.begun
    assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
    line = server.batches.lines(batch)[0]
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    assert line["body"]["max_tokens"] == 20
    assert server.most_at_once == 0, "nothing is asked directly"


def test_more_than_the_provider_takes_goes_in_several_batches(
    serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "REQUESTS", 10)
    server, prompts = serve(echo), some(25)
    with session(tmp_path) as run:
        assert run.wave(server.base, prompts) == said(prompts)
    assert sorted(map(len, sent(server))) == [5, 10, 10]


def test_without_a_price_of_batches_the_full_one_is_charged(serve: Any, tmp_path: Path) -> None:
    with session(tmp_path) as run:
        run.wave(serve(echo).base, some(2), price={"input": 2.0, "output": 8.0})
        assert run.meter.spent("money") == pytest.approx(2 * (1 * 2.0 + 3 * 8.0) / 1e6)


def test_equal_requests_of_a_wave_are_answered_each(serve: Any, tmp_path: Path) -> None:
    told = iter(range(9))
    server = serve(lambda request: f"answer {next(told)}")
    with session(tmp_path) as run:
        found = run.wave(server.base, ["same"] * 3)
    assert sorted(found) == ["answer 0", "answer 1", "answer 2"]
    assert len(server.batches.begun) == 1


def test_a_line_that_fails_costs_its_call_alone(
    serve: Any, lm_server: ModuleType, tmp_path: Path
) -> None:
    """Refused for good, busy once, broken once, no completion once, and no line once."""
    kinds = {
        "prompt0": lm_server.error(400, "too long"),
        "prompt1": lm_server.error(429),
        "prompt2": lm_server.error(500),
        "prompt3": lm_server.Fault(body="{}"),
        "prompt4": lm_server.Fault(drop="before"),
    }
    server = serve(echo)
    server.faults = lambda n, request: kinds.pop(request["messages"][-1]["content"], None)
    prompts = some(8)
    with session(tmp_path) as run:
        found = run.wave(server.base, prompts)
        assert isinstance(found[0], Unusable)
        assert "too long" in str(found[0])
        assert found[1:] == said(prompts)[1:]
        assert run.meter.spent("calls") == 7 + 2, "what may have been billed is charged"
    assert [sorted(wave) for wave in sent(server)] == [prompts, prompts[1:5]]


def test_what_an_expired_batch_answered_is_used_and_the_rest_asked_again(
    serve: Any, tmp_path: Path
) -> None:
    def ending(batches: Any, batch: Any, looks: int) -> None:
        first = batch["id"] == "batch_1"
        batches.end(batch, "expired" if first else "completed", 3 if first else None)

    server, prompts = serve(echo, ending=ending), some(8)
    with session(tmp_path) as run:
        assert run.wave(server.base, prompts) == said(prompts)
        assert run.meter.spent("calls") == 8
        assert run.meter.spent("tokens") == true_tokens(prompts)
    assert [len(wave) for wave in sent(server)] == [8, 5]
    assert server.answered == 8


def failed(*errors: dict[str, Any], times: int = 1) -> Any:
    """The first batches fail for these errors; later ones are completed."""

    def ending(batches: Any, batch: Any, looks: int) -> None:
        if len(batches.begun) > times:
            batches.end(batch, "completed")
        else:
            batch |= {"status": "failed", "errors": {"object": "list", "data": list(errors)}}

    return ending


def test_a_file_with_a_bad_line_costs_that_call_and_the_others_go_again(
    serve: Any, tmp_path: Path
) -> None:
    bad = {"code": "invalid_request", "line": 3, "message": "no such parameter"}
    server = serve(echo, ending=failed(bad))
    with session(tmp_path) as run:
        found = run.wave(server.base, some(5))
        assert run.meter.spent("calls") == 4
    (first, second) = sent(server)
    assert sorted(second) == sorted(first[:2] + first[3:])
    refused = [error for error in found if isinstance(error, Unusable)]
    assert len(refused) == 1
    assert "no such parameter" in str(refused[0])


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([{"code": "empty_file", "line": None, "message": "no good"}], "E859"),
        ([{"code": "billing_hard_limit_reached", "message": "pay first"}], "E854"),
        ([{"code": "model_not_found", "message": "which model?"}], "E853"),
        ([], "E859"),
        (["what is this"], "E859"),
    ],
)
def test_a_batch_that_is_refused_as_a_whole_ends_the_run_and_costs_nothing(
    serve: Any, tmp_path: Path, errors: list[Any], expected: str
) -> None:
    server = serve(echo, ending=failed(*errors))
    with session(tmp_path) as run:
        found = run.wave(server.base, some(4))
        assert {code(error) for error in found} == {expected}
        assert all(e.get("message", "") in str(found[0]) for e in errors if isinstance(e, dict))
        assert run.meter.spent("calls") == 0
    assert len(server.batches.begun) == 1
    with session(tmp_path) as run:  # the same command again, once it is mended
        assert run.wave(server.base, some(4), replace(SOON, tries=9)) == said(some(4))


def test_a_wave_that_finds_no_room_in_the_queue_goes_in_parts(serve: Any, tmp_path: Path) -> None:
    def ending(batches: Any, batch: Any, looks: int) -> None:
        waiting = [b for b in batches.begun if b["status"] == "validating"]
        if sum(len(batches.lines(b)) for b in waiting) > 5:
            error = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
            batch |= {"status": "failed", "errors": {"data": [error]}}
        elif looks > 1:
            batches.end(batch, "completed")

    server, prompts = serve(echo, ending=ending), some(16)
    with session(tmp_path) as run:
        assert run.wave(server.base, prompts) == said(prompts)
        assert run.meter.spent("calls") == 16
    assert server.answered == 16


@pytest.mark.parametrize("name", ["upload", "begin", "look", "content"])
def test_a_server_that_stumbles_costs_only_time(
    serve: Any, lm_server: ModuleType, tmp_path: Path, name: str
) -> None:
    """Each way that a request can go wrong, at each request of a batch."""
    stumbles = [
        lm_server.error(500),
        lm_server.error(429, Retry_After="0.05"),
        lm_server.error(502),
    ]
    if name != "begin":  # of which it is found out below whether it was lost
        stumbles += [
            lm_server.Fault(drop="before"),
            lm_server.Fault(body="<html>gateway</html>", drop="middle"),
        ]
    server = serve(echo)
    server.batch_faults = lambda asked, n: (
        stumbles[n] if asked == name and n < len(stumbles) else None
    )
    with session(tmp_path) as run:
        assert run.wave(server.base, some(5)) == said(some(5))
        assert run.meter.spent("calls") == 5
    assert len(server.batches.begun) == 1
    assert server.batches.asked[name] > len(stumbles)


def test_a_batch_whose_beginning_was_not_heard_of_is_looked_for(
    serve: Any, lm_server: ModuleType, tmp_path: Path
) -> None:
    server = serve(echo)
    server.batch_faults = lambda asked, n: (
        lm_server.Fault(drop="after") if (asked, n) == ("begin", 0) else None
    )
    with session(tmp_path) as run:
        assert run.wave(server.base, some(5)) == said(some(5))
        assert run.meter.spent("calls") == 5
    assert len(server.batches.begun) == 1
    assert server.answered == 5


def test_a_batch_that_nobody_can_tell_of_is_charged_and_sent_again(
    serve: Any, lm_server: ModuleType, tmp_path: Path
) -> None:
    server = serve(echo)
    server.batch_faults = lambda asked, n: {
        ("begin", 0): lm_server.Fault(drop="after"),
        ("listed", n): lm_server.error(404),
    }.get((asked, n))
    with session(tmp_path) as run:
        assert run.wave(server.base, some(5)) == said(some(5))
        assert run.meter.spent("calls") == 10
    assert len(server.batches.begun) == 2


@pytest.mark.parametrize("name", ["upload", "begin"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [((404, "Not Found"), "E859"), ((400, "purpose"), "E859"), ((401, "bad key"), "E851")],
)
def test_a_server_that_takes_no_batches_or_no_key_ends_the_run_at_once(
    serve: Any, lm_server: ModuleType, tmp_path: Path, name: str, fault: Any, expected: str
) -> None:
    server = serve(echo)
    server.batch_faults = lambda asked, n: lm_server.error(*fault) if asked == name else None
    with session(tmp_path) as run:
        found = run.wave(server.base, some(3))
        assert {code(error) for error in found} == {expected}
        assert fault[1] in str(found[0])
        assert run.meter.spent("calls") == 0
    assert server.batches.asked[name] == 1


@pytest.mark.parametrize(
    ("fault", "expected"), [((401, "key expired"), "E851"), ((503, "down"), "E855")]
)
@pytest.mark.parametrize("name", ["look", "content"])
def test_a_run_that_ends_while_its_batch_is_on_its_way_finds_it_again(
    serve: Any, lm_server: ModuleType, tmp_path: Path, name: str, fault: Any, expected: str
) -> None:
    server = serve(echo)
    server.batch_faults = lambda asked, n: lm_server.error(*fault) if asked == name else None
    with session(tmp_path) as run:
        found = run.wave(server.base, some(5), IMPATIENT)
        assert {code(error) for error in found} == {expected}
        assert run.meter.spent("calls") == 5
        assert run.meter.spent("tokens") > true_tokens(some(5)), "it may be billed: the worst case"
    server.batch_faults = lambda asked, n: None
    with session(tmp_path, {"run": {"calls": 5}}) as run:
        assert run.wave(server.base, some(5)) == said(some(5)), "it takes no budget that is left"
        assert run.meter.spent("calls") == 5
        assert run.meter.spent("tokens") == true_tokens(some(5))
    assert len(server.batches.begun) == 1
    assert server.answered == 5


def test_a_batch_that_never_ends_ends_the_run_and_is_kept(serve: Any, tmp_path: Path) -> None:
    server = serve(echo, ending=lambda batches, batch, looks: None)
    with session(tmp_path) as run:
        found = run.wave(server.base, some(2), replace(SOON, window=0.3))
        assert {code(error) for error in found} == {"E855"}
        assert "validating" in str(found[0])
        assert run.meter.spent("calls") == 2


def test_a_batch_that_is_gone_is_charged_and_sent_again(
    serve: Any, lm_server: ModuleType, tmp_path: Path
) -> None:
    server = serve(echo)
    server.batch_faults = lambda asked, n: (
        lm_server.error(404, "no such batch") if (asked, n) == ("look", 0) else None
    )
    with session(tmp_path) as run:
        assert run.wave(server.base, some(3)) == said(some(3))
        assert run.meter.spent("calls") == 6


def test_a_batch_that_somebody_cancelled_ends_the_run_and_only_the_rest_is_asked_again(
    serve: Any, tmp_path: Path
) -> None:
    def ending(batches: Any, batch: Any, looks: int) -> None:
        first = batch["id"] == "batch_1"
        batches.end(batch, "cancelled" if first else "completed", 2 if first else None)

    server, prompts = serve(echo, ending=ending), some(5)
    with session(tmp_path) as run:
        found = run.wave(server.base, prompts)
        assert {code(error) for error in found if not isinstance(error, str)} == {"E860"}
        assert len([text for text in found if isinstance(text, str)]) == 2
        assert run.meter.spent("calls") == 2
    assert len(server.batches.begun) == 1
    with session(tmp_path) as run:
        assert run.wave(server.base, prompts) == said(prompts)
        assert run.meter.spent("calls") == 5
    assert server.answered == 5


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_batches as t
with t.session(Path(sys.argv[2])) as run:
    run.wave(sys.argv[3], t.some(40))
"""


@pytest.mark.parametrize("when", ["uploading", "beginning", "on its way", "answered"])
def test_a_killed_run_pays_for_no_batch_twice(
    serve: Any, lm_server: ModuleType, tmp_path: Path, when: str
) -> None:
    """Killed at each of the moments between which a line is written down."""
    open_ended = when in ("on its way", "uploading", "beginning")
    held = {"uploading": "upload", "beginning": "begin", "answered": "content"}.get(when)

    def ending(batches: Any, batch: Any, looks: int) -> None:
        if not open_ended:
            batches.end(batch, "completed")

    server = serve(echo, ending=ending)
    # A server that has done what it was asked, and takes its time to say so.
    server.batch_faults = lambda asked, n: (
        lm_server.Fault(drop="after", hang=60) if asked == held else None
    )
    run = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path), server.base]
    with subprocess.Popen(run) as process:
        watched = held or "look"
        while not server.batches.asked[watched]:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    reserved = [e for e in read_events(tmp_path / "journal.jsonl") if e["event"] == "reserved"]
    assert len(reserved) == 40

    open_ended, server.batch_faults = False, lambda asked, n: None
    with session(tmp_path, {"run": {"calls": 40}}) as again:
        assert again.meter.spent("calls") == 40
        assert again.wave(server.base, some(40)) == said(some(40))
        assert again.meter.spent("calls") == 40
        assert again.meter.spent("tokens") == true_tokens(some(40))
    assert len(server.batches.begun) == 1
    assert server.answered == 40


def test_caps_hold_and_what_they_do_not_pay_for_is_not_sent(serve: Any, tmp_path: Path) -> None:
    server = serve(echo)
    with session(tmp_path, {"generator": {"calls": 7}}) as run:
        found = run.wave(server.base, some(12))
        assert run.meter.spent("calls") == 7
    assert sum(isinstance(one, OutOfBudget) for one in found) == 5
    assert sum(map(len, sent(server))) == server.answered == 7


def test_what_waits_is_what_no_later_attempt_or_bill_has_settled(
    serve: Any, lm_server: ModuleType, tmp_path: Path
) -> None:
    """Of a first batch one line is lost and asked again; the second batch stays on its way."""

    def ending(batches: Any, batch: Any, looks: int) -> None:
        if batch["id"] == "batch_1":
            batches.end(batch, "completed")

    server = serve(echo, ending=ending, faults=lm_server.first(lm_server.Fault(drop="before")))
    with session(tmp_path) as run:
        found = run.wave(server.base, some(4), replace(SOON, window=0.5))
        assert len([one for one in found if isinstance(one, str)]) == 3
    events = read_events(tmp_path / "journal.jsonl")
    waits = waited_for(tmp_path / "batches.jsonl", events)
    assert waits == [{"batch": "batch_2", "calls": 1, "done": None}]


def test_a_cap_on_tokens_lets_as_many_into_a_batch_as_it_could_pay_for(
    serve: Any, tmp_path: Path
) -> None:
    """Each is billed far less than it reserves, so that the cap pays for all, one batch after the
    other, and at no time for more than it holds."""
    server, prompts = serve(echo), some(9)
    with session(tmp_path, {"run": {"tokens": 700}}) as run:
        assert run.wave(server.base, prompts) == said(prompts)
        assert run.meter.spent("tokens") == true_tokens(prompts)
    events = read_events(tmp_path / "journal.jsonl")
    held: dict[str, float] = {}
    for event in events:
        held[event["key"]] = event["amounts"]["tokens"]
        assert sum(held.values()) <= 700
    assert len(server.batches.begun) > 1


def test_callers_that_leave_stop_asking_and_find_the_batch_later(
    serve: Any, tmp_path: Path
) -> None:
    """As when a run is interrupted: asyncio cancels what it waits for."""
    server = serve(echo, ending=lambda batches, batch, looks: None)
    with session(tmp_path) as run:
        lm = connect(
            Endpoint("hosted_vllm/small", server.base, max_tokens=20, batch=True),
            meter=run.meter,
            answers=run.answers,
            step="r1.generate",
            parts=PARTS,
            patience=SOON,
        )

        async def leave() -> None:
            async with asyncio.timeout(1.0):
                await asyncio.gather(*(lm.acall(prompt) for prompt in some(3)))

        with pytest.raises(TimeoutError):
            asyncio.run(leave())
        time.sleep(0.2)
        looked = server.batches.asked["look"]
        assert looked > 3
        time.sleep(0.3)
        assert server.batches.asked["look"] == looked
    server.ending = lambda batches, batch, looks: batches.end(batch, "completed")
    with session(tmp_path) as run:
        assert run.wave(server.base, some(3)) == said(some(3))
        assert run.meter.spent("calls") == 3
    assert len(server.batches.begun) == 1


def test_the_key_is_sent_and_written_nowhere(
    serve: Any, lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    server = serve(echo)
    server.faults = lm_server.first(lm_server.error(400, f"not with {KEY}"))
    with session(tmp_path) as run:
        found = run.wave(server.base, some(3), api_key_env="TEACHER_KEY")
    assert all(h["Authorization"] == f"Bearer {KEY}" for h in server.headers)
    assert "not with …" in str(found[0])
    files = [path.read_text() for path in tmp_path.iterdir()]
    assert len(files) == 4
    assert all(KEY not in json.dumps(text) for text in files)
