"""Grades code: it runs in the sandbox, then the unit tests of the row's column ``tests`` do.

Both run in one namespace, and not as `__main__`: what a script does when started is not asked. That
the tests came to their end is reported through a function of the parent's with a token drawn anew:
an exit code or a printed "ok" proves nothing, since the answer could have ended the process before
the first test. Code that goes looking for the token can still report it; so an answer that passed
must also fail tests in which one expectation was changed (``altered``).
"""

from __future__ import annotations

import random
import secrets
import threading

from dagent.runtime.altered import altered
from dagent.runtime.grade import RIGHT, Grade, Grader, unfenced, wrong
from dagent.runtime.rows import Row
from dagent.runtime.sandbox import Limits, Sandbox

_SECONDS = 10.0

# Findings are told by file and line. The token is read only once the answer has run.
_PROGRAM = """
import sys, traceback

def _run(name, space):
    with open(name, encoding="utf-8") as file:
        text = file.read()
    try:
        exec(compile(text, name, "exec"), space)
    except BaseException as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        said = (text.splitlines()[line - 1 : line] or [""])[0].strip() if line else ""
        place = f"{name.removesuffix('.py')}, line {line}: " if line else f"{name}: "
        shown = f": {error}" if str(error) else f" at `{said}`" if said else ""
        failed(place + type(error).__name__ + shown)
        sys.exit(1)

_space = {"__name__": "answer"}
_run("answer.py", _space)
_run("tests.py", _space)
passed(sys.stdin.readline().strip())
"""


class CodeGrader:
    """1 when all tests pass. Each thread has one sandbox, warm from the first answer on."""

    def __init__(self, seconds: float | None) -> None:
        self._limits = Limits(seconds=seconds or _SECONDS)
        self._own = threading.local()

    def __call__(self, answer: str, row: Row) -> Grade:
        tests = row.get("tests")
        if not tests:
            return wrong("the row has no `tests`")
        text = as_text(tests)
        grade = self._grade(answer, text)
        changed = altered(text, random.SystemRandom()) if grade.score == 1 else None
        if changed is not None and self._grade(answer, changed).score == 1:
            return wrong("it passes tests that no right answer passes")
        return grade

    def _grade(self, answer: str, tests: str) -> Grade:
        token = secrets.token_hex(16)
        said: dict[str, str] = {}
        outcome = self._sandbox().run(
            _PROGRAM,
            {"answer.py": unfenced(answer), "tests.py": tests},
            token,
            {
                "passed": lambda given: said.setdefault("token", str(given)),
                "failed": lambda reason: said.setdefault("failed", str(reason)),
            },
        )
        if "failed" in said:
            return wrong(said["failed"])
        if outcome.ok and said.get("token") == token:
            return RIGHT
        return wrong(outcome.reason or "it ended before its tests did")

    def _sandbox(self) -> Sandbox:
        if not hasattr(self._own, "sandbox"):
            self._own.sandbox = Sandbox(self._limits)
        sandbox: Sandbox = self._own.sandbox
        return sandbox


def code_grader(seconds: float | None) -> Grader:
    return CodeGrader(seconds)


def as_text(tests: str | list[str]) -> str:
    """Tests as one script; a data set may keep them as a list of statements."""
    return tests if isinstance(tests, str) else "\n".join(tests)
