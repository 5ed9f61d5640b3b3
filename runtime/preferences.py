"""Runs in the worker: what the student gets wrong now, as pairs and verdicts to learn from.

Nobody is asked for preferences. The student, as the stages before left it, answers the rows, and
the spec's first metric grades it; the rows' own answers were verified before they were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dagent.runtime import together
from dagent.runtime.answering import answer
from dagent.runtime.grade import Grader
from dagent.runtime.graders import grader
from dagent.runtime.prompting import prompt_texts
from dagent.runtime.rows import Row


@dataclass(frozen=True, slots=True)
class Judged:
    """A row, what the student says to it, and whether that is right."""

    row: Row
    output: str
    right: bool


@dataclass(frozen=True, slots=True)
class Pair:
    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class Verdict:
    prompt: str
    answer: str
    right: bool


def graded(metric: Mapping[str, Any], project: str) -> Grader:
    """The grader of a metric, to be called in the worker.

    Raises:
        Refused: E815 when the user's program cannot be loaded.
    """
    return grader(metric, Path(project))


def judge(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Row],
    request: Mapping[str, Any],
    progress: Callable[..., None],
) -> list[Judged]:
    """The student's answers to ``rows``, by ``request["answering"]`` and ``request["metric"]``."""
    if torch.cuda.is_available():
        model.to(together.device())
    answering = request["answering"]
    prompts = prompt_texts(
        tokenizer, [r["prompt"] for r in rows], answering["template"], answering["system"]
    )
    asked = {name: answering[name] for name in ("max_new_tokens", "batch", "generation", "seed")}
    outputs = together.shared(
        lambda texts: answer(model, tokenizer, texts, progress=progress, **asked), prompts
    )
    grade = graded(request["metric"], request["project"])
    return [
        Judged(row, output, grade(output, row).score >= 1)
        for row, output in zip(rows, outputs, strict=True)
    ]


def pairs(judged: Sequence[Judged]) -> list[Pair]:
    """A row's verified answer against the student's wrong one."""
    return [
        Pair(j.row["prompt"], j.row["answer"], j.output)
        for j in judged
        if not j.right and j.output != j.row["answer"]
    ]


def verdicts(judged: Sequence[Judged]) -> list[Verdict]:
    """The rows' answers are right; the student's are what they were graded, and new where they
    differ. In turn, since KTO compares neighbours."""
    found = []
    for j in judged:
        found.append(Verdict(j.row["prompt"], j.row["answer"], True))
        if j.output != j.row["answer"]:
            found.append(Verdict(j.row["prompt"], j.output, j.right))
    return found
