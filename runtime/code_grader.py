"""Grades code: it runs in the sandbox, then the unit tests of the row's column ``tests`` do.

Both run in one namespace, and not as `__main__`: what a script does when started is not asked. That
the tests came to their end is reported through a function of the parent's with a token drawn anew:
an exit code or a printed "ok" proves nothing, since the answer could have ended the process before
the first test. Code that goes looking for the token can still report it; so an answer that passed
must also fail tests in which one expectation was changed (``altered``).
"""

from __future__ import annotations

import json
import os
import random
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import TypeVar

from dagent.compiler.reading import unfenced
from dagent.runtime.altered import altered
from dagent.runtime.grade import RIGHT, Grade, Grader, wrong
from dagent.runtime.rows import Row
from dagent.runtime.sandbox import Limits, Sandbox

T = TypeVar("T")
U = TypeVar("U")
_SECONDS = 10.0
_LANES = 8  # sandboxes at once
_MOMENT = 0.5  # seconds of an answer that was changed
_TOGETHER = 100  # answers that share a process where they may

# Findings are told by file and line.
_FAULT = """
import sys, traceback, types

def _fault(answer, tests):
    module = types.ModuleType("answer")
    sys.modules["answer"] = module  # where its dataclasses look up the annotations of their fields
    for name, text in (("answer.py", answer), ("tests.py", tests)):
        try:
            exec(compile(text, name, "exec"), vars(module))
        except BaseException as error:
            trace = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in trace if frame.filename == name]
            line = lines[-1] if lines else getattr(error, "lineno", None)
            said = (text.splitlines()[line - 1 : line] or [""])[0].strip() if line else ""
            place = f"{name.removesuffix('.py')}, line {line}: " if line else f"{name}: "
            shown = f": {error}" if str(error) else f" at `{said}`" if said else ""
            return place + type(error).__name__ + shown

def _read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()
"""
# The token is read only once the answer has run.
_ONE = f"""{_FAULT}
_found = _fault(_read("answer.py"), _read("tests.py"))
if _found is not None:
    failed(_found)
    sys.exit(1)
passed(sys.stdin.readline().strip())
"""
_MANY = f"""{_FAULT}
import json
for _texts in json.loads(_read("rows.json")):
    graded(_fault(*_texts))
"""
# An answer that was changed may never end.
_EACH = f"""{_FAULT}
import json, signal

def _late(*_):
    raise TimeoutError("it takes too long")

signal.signal(signal.SIGALRM, _late)
for _texts in json.loads(_read("rows.json")):
    signal.setitimer(signal.ITIMER_REAL, {_MOMENT})
    _found = _fault(*_texts)
    signal.setitimer(signal.ITIMER_REAL, 0)
    graded(_found)
"""


class CodeGrader:
    """1 when all tests pass. Each thread has one sandbox, warm from the first answer on.

    When ``trusting``, answers of one call of ``many`` share a process of the sandbox: they are out
    of reach of all else, but could change how the next ones are graded. It is for a rehearsal,
    whose answers are those of the data sets.
    """

    def __init__(self, seconds: float | None, trusting: bool) -> None:
        self._limits = Limits(seconds=seconds or _SECONDS)
        self._trusting = trusting
        self._own = threading.local()

    def many(self, pairs: Sequence[tuple[str, Row]]) -> list[Grade]:
        """The grades of many answers, several at once."""
        if self._trusting:
            parts = [pairs[i : i + _TOGETHER] for i in range(0, len(pairs), _TOGETHER)]
            return [grade for part in parts for grade in self._together(part)]
        return self.at_once(lambda pair: self(*pair), pairs)

    @staticmethod
    def at_once(work: Callable[[T], U], parts: Iterable[T]) -> list[U]:
        """The work on each part, in as many sandboxes as there are processors."""
        with ThreadPoolExecutor(min(_LANES, os.cpu_count() or 1)) as pool:
            return list(pool.map(work, parts))

    def _together(self, pairs: Sequence[tuple[str, Row]]) -> list[Grade]:
        """In one process; the answer at which it ends before its time is graded alone."""
        found: list[Grade] = []

        def grade(fault: str | None) -> None:
            found.append(wrong(fault) if fault else RIGHT)

        while len(found) < len(pairs):
            tested = takewhile(lambda pair: pair[1].get("tests"), pairs[len(found) :])
            texts = [(unfenced(answer), as_text(row["tests"])) for answer, row in tested]
            self._sandbox().run(_MANY, {"rows.json": json.dumps(texts)}, serve={"graded": grade})
            found += [self(*pair) for pair in pairs[len(found) :][:1]]
        return found

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

    def each(self, answers: Sequence[str], row: Row) -> list[bool]:
        """Whether each of these passes the row's tests; all in one process, since they are changed
        forms of one answer. Those after one at which the process ended are left out."""
        passed: list[bool] = []
        texts = [(answer, as_text(row["tests"])) for answer in answers]
        self._sandbox().run(
            _EACH,
            {"rows.json": json.dumps(texts)},
            serve={"graded": lambda fault: passed.append(fault is None)},
        )
        return passed

    def _grade(self, answer: str, tests: str) -> Grade:
        token = secrets.token_hex(16)
        said: dict[str, str] = {}
        outcome = self._sandbox().run(
            _ONE,
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


def code_grader(seconds: float | None, trusting: bool) -> Grader:
    return CodeGrader(seconds, trusting)


def as_text(tests: str | list[str]) -> str:
    """Tests as one script; a data set may keep them as a list of statements."""
    return tests if isinstance(tests, str) else "\n".join(tests)
