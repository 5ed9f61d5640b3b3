"""What a screen says without a terminal."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType

import pytest

from dagent.compiler.pipeline import compile
from dagent.runtime import view
from dagent.runtime.journal import Journal
from dagent.runtime.lanes import lanes


def test_a_long_step_says_that_it_goes_on_and_what_it_spent(
    stub: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Twice as late each time: a night's training is no flood."""
    monkeypatch.setattr(view, "FIRST_WORD", 0.1)
    plan = compile(stub.make_project(tmp_path / "p") / "sums.dagent").plan
    run = lanes(plan, Journal(tmp_path / "journal.jsonl"))
    (meter,) = [lane.meter for lane in run.by_id.values()]
    with view.Screen(plan, run) as screen:
        screen.step(plan.steps[0], False)
        meter.reserve("x", calls=7)
        time.sleep(1.0)
    said = capsys.readouterr().err.splitlines()
    assert 2 <= len(said) <= 4
    assert all(line.startswith(f"{plan.steps[0].id}: at work for") for line in said)
    assert "7 calls" in said[0]
