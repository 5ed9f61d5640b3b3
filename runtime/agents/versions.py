"""The version of each agent's prompt: a digest of its signatures, pinned in plans and the lock.
And its length, from which the compiler estimates tokens.

``python -m dagent.runtime.agents.versions`` writes ``compiler/prompts.json`` anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagent.compiler.dataset import BRINGS
from dagent.compiler.plan import digest
from dagent.compiler.prompts import BRINGING, TABLE, prompt_of

if TYPE_CHECKING:
    import dspy


def make(role: str) -> dspy.Module:
    """The agent of a role, as it is before any optimisation; ``generator.code`` and
    ``refiner.code`` are those of rows for the grader ``code``."""
    from dagent.runtime.agents.author import ProgramAuthor
    from dagent.runtime.agents.diagnoser import Diagnoser
    from dagent.runtime.agents.generator import GeneratorAgent
    from dagent.runtime.agents.judge import AnswerJudge
    from dagent.runtime.agents.planner import PlannerAgent
    from dagent.runtime.agents.refiner import Refiner
    from dagent.runtime.agents.verifier import VerifierAgent

    agents: dict[str, Callable[..., dspy.Module]] = {
        "author": ProgramAuthor,
        "diagnoser": Diagnoser,
        "generator": GeneratorAgent,
        "judge": AnswerJudge,
        "planner": PlannerAgent,
        "refiner": Refiner,
        "verifier": VerifierAgent,
    }
    name, _, brings = role.partition(".")
    return agents[name](brings) if brings else agents[name]()


def restore(agent: dspy.Module, program: Path | None) -> None:
    """Put an optimised program's instructions and demonstrations into an agent; None leaves it."""
    if program is not None:
        agent.load_state(json.loads(program.read_text(encoding="utf-8"))["state"])


def version(agent: dspy.Module) -> str:
    """12 hex digits over the instructions, schema and demonstrations of every signature."""
    return digest({name: _said(p) for name, p in agent.named_predictors()})[:12]


def _said(predictor: Any) -> dict[str, Any]:
    return {
        "instructions": predictor.signature.instructions,
        "schema": predictor.signature.model_json_schema(),
        "demos": json.loads(json.dumps(predictor.dump_state()["demos"])),
    }


def characters(agent: dspy.Module) -> dict[str, int]:
    """How long the prompt of each signature is, its inputs left empty."""
    import dspy

    def length(predictor: Any) -> int:
        signature = predictor.signature
        empty = dict.fromkeys(signature.input_fields, "")
        messages = dspy.JSONAdapter().format(signature, [], empty)
        return sum(len(message["content"]) for message in messages)

    return {name: length(predictor) for name, predictor in agent.named_predictors()}


def table() -> dict[str, dict[str, Any]]:
    roles = ("author", "diagnoser", "generator", "judge", "planner", "refiner", "verifier")
    bringing = (prompt_of(role, grader) for role in BRINGING for grader in BRINGS)
    agents = {role: make(role) for role in (*roles, *bringing)}
    return {r: {"version": version(a), "characters": characters(a)} for r, a in agents.items()}


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
