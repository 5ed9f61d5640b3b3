"""One program of the author's: what it is given, its four tools and its teacher, how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from dagent.runtime.authoring.states import VALID
from dagent.runtime.authoring.submission import Checked
from dagent.runtime.authoring.teacher import Teacher, TimeUp
from dagent.runtime.sandbox import Limits, Outcome, Sandbox
from dagent.runtime.sandbox.isolators import interpreter
from dagent.runtime.sandbox.limits import MIB

GUEST = Path(__file__).with_name("guest.py")
TOLD = 2000  # last characters of what a program printed or died of
SUBMISSION = "submission.json"
# Rows and answers travel whole through one call, and a submission is one file.
ROOM = {"memory": 2048 * MIB, "written": 64 * MIB, "message": 64 * MIB, "calls": 100_000}


class Clock:
    """The program's time, calls included."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def left(self) -> float:
        return self._end - monotonic()


@dataclass(frozen=True, slots=True)
class Ended:
    """``outcome`` is ``valid`` or the class of the error; ``detail`` what the author is told."""

    outcome: str
    detail: str = ""
    submission: Any = None
    checked: Checked | None = None


@dataclass
class Tools:
    """What the program may call; each works in this process.

    ``train`` trains on rows and ``evaluate`` asks the student of the last training, or the
    untouched one; both are absent where the author may not look at the student.
    """

    teacher: Teacher
    check: Callable[[object], Checked]
    wanted: int
    least: int
    trainings: int
    train: Callable[[list[Any]], dict[str, Any]] | None
    evaluate: Callable[[], dict[str, Any]] | None
    left: Callable[[], float]
    trained: int = 0
    used: list[str] = field(default_factory=list)

    def served(self) -> dict[str, Callable[..., Any]]:
        tools: dict[str, Callable[..., Any]] = {
            "api_generate_batch": self.teacher.generate,
            "get_available_api_calls": lambda: self.teacher.available,
            "api_count": lambda: self.teacher.made,
            "check_submission": self._check,
            "train_model": self._train,
            "evaluate_dataset": self._evaluate,
        }
        return {name: self._timed(name, tool) for name, tool in tools.items()}

    def _timed(self, name: str, tool: Callable[..., Any]) -> Callable[..., Any]:
        """The sandbox's clock stands still in a call; this one does not."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.left() <= 0:
                raise TimeUp
            self.used.append(name)
            return tool(*args, **kwargs)

        return call

    def _check(self, rows: object) -> dict[str, Any]:
        return self.check(rows).told(self.wanted, self.least)

    def _train(self, rows: object) -> dict[str, Any]:
        if self.train is None:
            raise ValueError("in one shot the student is trained once, after the program")
        if self.trained >= self.trainings:
            raise ValueError(f"this run may train {self.trainings} times, and has")
        valid = self.check(rows).valid
        if len(valid) < self.least:
            raise ValueError(f"{len(valid)} rows are valid, and {self.least} are the least")
        self.trained += 1
        return self.train(valid[: self.wanted])

    def _evaluate(self) -> dict[str, Any]:
        if self.evaluate is None:
            raise ValueError("in one shot nothing of the student is shown")
        return self.evaluate()


def run_program(
    program: str, files: Mapping[str, str], tools: Tools, seconds: float, seed: int
) -> Ended:
    """The program's end, and what it submitted.

    Raises:
        Refused: E840, E841: nothing isolates it; it is then not run.
    """
    laid = {**files, "program.py": program, "guest.py": GUEST.read_text(encoding="utf-8")}
    # Sets in one order for all: the same answers must give the same rows.
    command = ["env", "PYTHONHASHSEED=0", interpreter(), "-S", "guest.py", str(seed)]
    try:
        with Sandbox(Limits(seconds=max(seconds, 1.0), **ROOM)) as sandbox:
            outcome = sandbox.run(command, laid, serve=tools.served())
    except TimeUp:
        return Ended("timeout", f"still running after {seconds:g} seconds")
    if not outcome.ok:
        return _failed(outcome)
    return _judged(outcome, tools)


def _failed(outcome: Outcome) -> Ended:
    said = _tail(outcome.stderr) or outcome.reason
    return Ended("crashed" if outcome.status == "error" else outcome.status, said)


def _judged(outcome: Outcome, tools: Tools) -> Ended:
    raw = outcome.files.get(SUBMISSION)
    if raw is None:
        return Ended("no submission", f"it left no {SUBMISSION}; it printed: {_said(outcome)}")
    try:
        submitted = json.loads(raw)
        checked = tools.check(submitted)
    except (ValueError, RecursionError) as error:
        return Ended("unreadable submission", f"{SUBMISSION}: {error}")
    told = json.dumps(checked.told(tools.wanted, tools.least), ensure_ascii=False)
    if len(checked.valid) < tools.least:
        detail = f"{told}\nit printed: {_said(outcome)}"
        return Ended("too few rows", detail, submitted, checked)
    return Ended(VALID, told, submitted, checked)


def error_class(ended: Ended) -> str:
    """The exception's name for a crash, so that reports can tell them apart; else the outcome."""
    if ended.outcome != "crashed":
        return ended.outcome
    last = ended.detail.strip().splitlines()[-1:] or [""]
    name = last[0].partition(":")[0].strip()
    return name if name.isidentifier() or name.replace(".", "").isidentifier() else "crashed"


def reasons(checked: Checked | None) -> Mapping[str, int]:
    return checked.reasons if checked else {}


def _said(outcome: Outcome) -> str:
    return _tail(outcome.stdout + outcome.stderr) or "nothing"


def _tail(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()[-TOLD:]


def laid_files(
    examples: Sequence[Mapping[str, Any]],
    seeds: Sequence[Mapping[str, Any]],
    documents: Mapping[str, str],
) -> dict[str, str]:
    """What a program finds in its folder; only rows that the engineer may read are among it."""
    files = {"few_shot.json": json.dumps(list(examples), ensure_ascii=False, indent=1)}
    if seeds:
        files["seeds.json"] = json.dumps(list(seeds), ensure_ascii=False, indent=1)
    for number, (name, text) in enumerate(sorted(documents.items()), 1):
        files[f"documents/{number}_{Path(name).name}"] = text
    return files
