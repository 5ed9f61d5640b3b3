"""Whole runs, from compile to champion, whose model's server misbehaves over real HTTP.

A fault that passes changes nothing but the time: every output is that of an undisturbed run, byte
for byte. One that does not pass ends the run with a finding that says what is missing; once it is
mended, the same command goes on and asks for nothing that it already has.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.dsl.diagnostics import Refused
from dagent.runtime.journal import read_events
from dagent.runtime.lm import line
from dagent.runtime.lm.pace import Patience
from dagent.runtime.status import journal_path, latest

HURRIED = Patience(
    first=0.01, most=0.05, silence=30.0, tries=40, losses=8, connect=1.5, per_token=0.0
)
PROGRAMS = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


def project(stub: ModuleType, folder: Path, base: str) -> Path:
    text = stub.SPEC.replace(PROGRAMS, f'  lm = "openai/fake"\n  api_base = "{base}"\n')
    text = text.replace("rounds <= 3", "rounds <= 1").replace("rows <= 60", "rows <= 30")
    made: Path = stub.make_project(folder, text)
    return made


def finished(folder: Path) -> list[dict[str, Any]]:
    events = read_events(journal_path(folder, latest(folder) or ""))
    return [e for e in events if e["event"] == "step_finished"]


def digests(folder: Path) -> dict[str, str]:
    """The content of every output of every step, but for plans: they name the server's port."""
    return {
        f"{e['step']}/{name}": output["path"]
        for e in finished(folder)
        for name, output in e["outputs"].items()
        if not e["step"].endswith(".plan")
    }


def lines(folder: Path, step: str, output: str) -> list[dict[str, Any]]:
    (event,) = [e for e in finished(folder) if e["step"] == step]
    path = folder / ".dagent/store" / event["outputs"][output]["path"]
    return [json.loads(text) for text in path.read_text().splitlines()]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Patience in hundredths of seconds, and no line that remembers another test's server."""
    monkeypatch.setattr("dagent.runtime.lm.connect.Patience", lambda: HURRIED)
    line.line.cache_clear()
    yield
    line.line.cache_clear()


@pytest.fixture(scope="module")
def undisturbed(
    stub: ModuleType,
    engineers: ModuleType,
    lm_server: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, str], int]:
    """What a run gives whose server never fails, and how many requests it takes."""
    with lm_server.Server(engineers.Engineer()) as server:
        folder = project(stub, tmp_path_factory.mktemp("whole") / "p", server.base)
        stub.run_project(folder)
    return digests(folder), len(server.requests)


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_faults_that_pass_change_no_byte_of_the_result(
    stub: ModuleType, engineers: ModuleType, serve: Any, lm_server: ModuleType,
    tmp_path: Path, undisturbed: tuple[dict[str, str], int],
) -> None:  # fmt: skip
    kinds = {
        "429 that says when": lm_server.error(429, Retry_After="0.05"),
        "429 that does not": lm_server.error(429),
        "500": lm_server.error(500),
        "hang": lm_server.Fault(hang=20),
        "reset before the answer": lm_server.Fault(drop="before"),
        "reset in the middle": lm_server.Fault(drop="middle"),
        "truncated JSON": lm_server.Fault(body='{"choices": [{"mess'),
        "JSON of another shape": lm_server.Fault(body='{"choices": []}'),
        "HTML behind a 200": lm_server.Fault(body="<html>gateway</html>"),
    }
    met: Counter[str] = Counter()

    def fault(number: int, request: Any) -> Any:
        if number % 3:
            return None
        kind = list(kinds)[number // 3 % len(kinds)]
        met[kind] += 1
        return kinds[kind]

    server = serve(engineers.Engineer(), faults=fault)
    folder = project(stub, tmp_path / "p", server.base)
    stub.run_project(folder)
    assert set(met) == set(kinds)
    assert server.answered == undisturbed[1]
    assert digests(folder) == undisturbed[0]


@pytest.mark.usefixtures("hurried")
def test_a_server_that_answers_three_times_in_ten_costs_only_time(
    stub: ModuleType, engineers: ModuleType, serve: Any, lm_server: ModuleType,
    tmp_path: Path, undisturbed: tuple[dict[str, str], int],
) -> None:  # fmt: skip
    rng = random.Random(0)

    def fault(number: int, request: Any) -> Any:
        if rng.random() < 0.3:
            return None
        return lm_server.error(rng.choice([429, 500, 502, 503]))

    server = serve(engineers.Engineer(), faults=fault)
    folder = project(stub, tmp_path / "p", server.base)
    stub.run_project(folder)
    assert len(server.requests) > 2 * server.answered
    assert digests(folder) == undisturbed[0]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("E851", (401, "Incorrect API key provided: it has expired")),
        ("E853", (404, "The model `fake` does not exist")),
        ("E854", (429, "You exceeded your current quota", "insufficient_quota")),
        ("E855", (503, "down")),
    ],
    ids=["expired key", "wrong model name", "no credit", "dead server"],
)
def test_what_ends_a_run_says_so_and_the_run_goes_on_once_it_is_mended(
    stub: ModuleType, engineers: ModuleType, serve: Any, lm_server: ModuleType,
    tmp_path: Path, undisturbed: tuple[dict[str, str], int],
    monkeypatch: pytest.MonkeyPatch,
    code: str, fault: tuple[Any, ...],
) -> None:  # fmt: skip
    """From the middle of the generator's calls on."""
    broken, seen = True, 0
    impatient = replace(HURRIED, silence=0.5)
    monkeypatch.setattr("dagent.runtime.lm.connect.Patience", lambda: impatient)

    def fails(number: int, request: Any) -> Any:
        nonlocal seen
        seen += engineers.asks_for(request) == "generator"
        return lm_server.error(*fault) if broken and seen > 3 else None

    server = serve(engineers.Engineer(), faults=fails)
    folder = project(stub, tmp_path / "p", server.base)
    with pytest.raises(Refused) as caught:
        stub.run_project(folder)
    (finding,) = caught.value.diagnostics
    assert finding.code == code
    assert finding.suggestion
    (log,) = folder.glob(".dagent/runs/*/answers.jsonl")
    assert len(log.read_text().splitlines()) == server.answered, "what came is kept"
    before = server.answered

    broken = False
    line.line.cache_clear()  # another process has no memory of it
    stub.run_project(folder)
    assert 0 < before < server.answered == undisturbed[1], "nothing is asked for twice"
    assert digests(folder) == undisturbed[0]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("empty", "the answer is empty"),
        ("refusal", "the model refused: I cannot help with sums."),
        ("cut off", "could not be read"),
    ],
)
def test_answers_that_say_nothing_are_rejects_with_their_reason(
    stub: ModuleType, engineers: ModuleType, serve: Any, lm_server: ModuleType, tmp_path: Path,
    fault: str, reason: str,
) -> None:  # fmt: skip
    """A third of what is asked, in every role."""
    model = engineers.Engineer()

    def answer(request: dict[str, Any]) -> Any:
        said = model(request)
        if engineers.chance(request, "fault").random() > 1 / 3:
            return said
        whole = lm_server.completion(said, request)
        choice = whole["choices"][0]
        if fault == "empty":
            choice["message"]["content"] = ""
        elif fault == "refusal":
            choice["message"] |= {"content": None, "refusal": "I cannot help with sums."}
        else:
            choice["message"]["content"] = said[: len(said) // 2]
            choice["finish_reason"] = "length"
        return whole

    server = serve(answer)
    folder = project(stub, tmp_path / "p", server.base)
    stub.run_project(folder)
    reasons = [row["reason"] for row in lines(folder, "r1.refine", "rejects")]
    assert any(reason in said for said in reasons)
    verified = lines(folder, "r1.refine", "verified")
    assert verified
    assert all(eval(row["prompt"]) == int(row["answer"]) for row in verified)


@pytest.mark.slow
def test_a_server_that_is_gone_for_a_minute_is_waited_for(
    stub: ModuleType, engineers: ModuleType, lm_server: ModuleType,
    tmp_path: Path, undisturbed: tuple[dict[str, str], int],
) -> None:  # fmt: skip
    """No listener at all for sixty seconds, with the patience that users have."""
    line.line.cache_clear()
    server = lm_server.Server(engineers.Engineer(), delay=0.05).__enter__()
    folder = project(stub, tmp_path / "p", server.base)
    port = int(server.base.split(":")[2].split("/")[0])
    again = lm_server.Server(engineers.Engineer(), port=port)
    started = time.monotonic()
    run = threading.Thread(target=stub.run_project, args=(folder,))
    run.start()
    while not any(engineers.asks_for(r) == "generator" for r in list(server.requests)):
        time.sleep(0.01)
    server.__exit__(None, None, None)
    time.sleep(60)
    with again:
        run.join(120)
    assert not run.is_alive()
    assert time.monotonic() - started >= 60
    assert again.answered
    assert digests(folder) == undisturbed[0]
