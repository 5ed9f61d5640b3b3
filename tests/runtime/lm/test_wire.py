"""What goes out beside the body, and what a call leaves to other threads: nothing but the disk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

from dagent.runtime.journal import Journal
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.connect import connect
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.loop import run
from dagent.runtime.meter import Meter


def ask(folder: Path, base: str, **endpoint: Any) -> list[str]:
    journal, answers = Journal(folder / "journal.jsonl"), AnswerLog(folder / "answers.jsonl")
    lm = connect(
        Endpoint("hosted_vllm/small", base, **endpoint),
        meter=Meter({}, journal),
        answers=answers,
        step="r1.generate",
        parts=(),
    )

    async def both() -> list[str]:
        return [
            text for said in await asyncio.gather(lm.acall("one"), lm.acall("two")) for text in said
        ]

    try:
        return run(both())
    finally:
        answers.close()
        journal.close()


def test_a_call_is_made_on_one_thread(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, executor: object, func: object, *args: object) -> NoReturn:
        raise AssertionError(f"{func} went to a thread")

    with lm_server.Server() as server:
        monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", refuse)
        assert ask(tmp_path, server.base) == ["fine", "fine"]


def test_a_password_for_other_programs_is_not_sent(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login me password for-another-program\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("KEY", "sk-1")
    with lm_server.Server() as server:
        ask(tmp_path, server.base)
        ask(tmp_path, server.base, api_key_env="KEY", temperature=0.5)
    sent = [headers.get("Authorization") for headers in server.headers]
    assert sent == [None, None, "Bearer sk-1", "Bearer sk-1"]


def test_the_environments_proxy_is_asked(
    lm_server: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lm_server.Server() as server:
        monkeypatch.setenv("http_proxy", server.base.removesuffix("/v1"))
        assert ask(tmp_path, "http://model.invalid/v1") == ["fine", "fine"]
    assert {headers["Host"] for headers in server.headers} == {"model.invalid"}
