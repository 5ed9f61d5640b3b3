"""How an agent is scored when it is optimised: on how many examples, at how many calls each."""

from __future__ import annotations

from dagent.compiler.spec import Spec

SCORED, SCORED_ROWS = 60, 3  # examples that score an agent; rows that a generator writes for one


def calls_of_a_score(spec: Spec, name: str) -> int:
    """Calls that it takes to score one answer of a role: a judge is asked of every row, and of
    named weaknesses once what they lead to."""
    verifier = spec.engineer.verifier
    judged = verifier is not None and verifier.lm is not None and verifier.program is None
    return 1 + SCORED_ROWS * (name == "generator" and judged) + (name == "diagnoser")


def held_out(examples: int, share: float, scores: int) -> int:
    """How many of the examples judge an optimisation. Scoring them twice takes at most a third of
    the ``scores`` that can be paid.

    >>> held_out(60, 0.3, 200), held_out(60, 0.3, 20), held_out(60, 0.3, 2)
    (18, 3, 1)
    """
    return max(1, min(round(share * examples), scores // 6, examples - 1))
