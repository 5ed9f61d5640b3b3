"""The kinds of step: what the compiler may put into a plan and the runtime must be able to run.

A kind's version is part of every key: raise it when the same parameters and inputs would give
another output. A new kind is an entry here, a runner in ``runtime/steps/``, a case in
``passes/lower.py`` and a test; the registry test fails when one of them is missing.
"""

from __future__ import annotations

from msgspec import Struct


class Kind(Struct, frozen=True):
    """``inputs`` names those that every step of the kind has; ``outputs`` all that it makes."""

    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    says: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("data", 3, (), ("rows",), "reads a data set into rows"),
        Kind("split", 1, ("rows",), ("diagnose", "select"), "splits dev, stratified and seeded"),
        Kind("student", 1, (), ("model",), "fetches the untouched student"),
        Kind(
            "optimise", 3, ("labelled",), ("program", "report"), "makes an agent better with DSPy"
        ),
        Kind(
            "calibrate",
            1,
            ("labelled",),
            ("calibration",),
            "sets a judge's threshold on known rows",
        ),
        Kind("diagnose", 2, ("rows", "model"), ("answers", "diagnosis"), "finds weaknesses"),
        Kind("plan", 2, (), ("curriculum",), "decides what to teach next"),
        Kind("generate", 2, ("curriculum", "kept"), ("candidates",), "makes candidate rows"),
        Kind(
            "author",
            1,
            ("examples", "model"),
            ("candidates", "rejects", "calls", "curriculum", "log"),
            "has a language model write a program that makes candidate rows",
        ),
        Kind("verify", 1, ("candidates",), ("verified", "rejects"), "rejects wrong rows"),
        Kind(
            "refine", 1, ("verified", "rejects"), ("verified", "rejects"), "repairs rejected rows"
        ),
        Kind("dedupe", 3, ("rows", "kept"), ("rows", "duplicates"), "drops near-duplicates"),
        Kind(
            "decontaminate",
            4,
            ("rows",),
            ("rows", "leaks"),
            "removes what overlaps with dev, test or a guard",
        ),
        Kind(
            "mix",
            3,
            ("rows", "kept", "curriculum", "model"),
            ("train", "added"),
            "chooses this round's rows and adds them to those kept",
        ),
        Kind(
            "submit",
            1,
            ("rows", "kept", "model"),
            ("train", "added"),
            "takes the first rows of a program's submission",
        ),
        Kind("train", 2, ("rows", "model"), ("model", "log", "outcome"), "trains the student"),
        Kind("evaluate", 3, ("rows", "model"), ("answers", "metrics"), "answers and grades a set"),
        Kind(
            "benchmark",
            1,
            ("model",),
            ("answers", "metrics"),
            "runs a task of lm-evaluation-harness",
        ),
        Kind(
            "gate",
            8,
            ("model", "answers"),
            ("champion", "current", "answers", "kept", "aside", "archive", "decision"),
            "accepts the new student or keeps the champion",
        ),
        Kind("compare", 4, (), ("comparison",), "compares the arms over their seeds"),
        Kind(
            "result", 7, ("base", "champion", "select", "archive"), ("result",), "quotes the gain"
        ),
    )
}
