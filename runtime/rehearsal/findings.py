"""What would break, as far as a rehearsal can tell: each finding has a place and a remedy."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dagent.compiler.context import context, count_tokens
from dagent.compiler.plan import Plan, Step
from dagent.runtime.lm.ready import unready
from dagent.runtime.rehearsal.answers import MARK
from dagent.runtime.rows import Row
from dagent.runtime.steps.verify import screen_many
from dagent.runtime.store import Action

TRIED = 50  # right rows of dev that every check of rows is tried on


@dataclass(frozen=True, slots=True)
class Break:
    """What would break: where, how, and what to do about it."""

    at: str
    what: str
    advice: str = ""


@dataclass
class Rehearsal:
    """What was found. ``reached`` are the steps that were done; ``use`` is, of each unit, what was
    taken, the worst case and the cap."""

    breaks: list[Break] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    use: list[tuple[str, str, str, str]] = field(default_factory=list)
    longest: Mapping[str, int] = field(default_factory=dict)
    faults: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def broke(self, at: str, what: str, advice: str = "") -> None:
        if (found := Break(at, what, advice)) not in self.breaks:
            self.breaks.append(found)


def look_for_models(plan: Plan, found: Rehearsal) -> None:
    """Keys, addresses and options of language models; nothing is sent anywhere."""
    for told in unready(plan.steps):
        found.broke("language models", f"{told.code} {told.message}", told.suggestion or "")


def look_for_room(longest: Mapping[str, int], found: Rehearsal) -> None:
    """Models whose context, where LiteLLM knows it, does not hold the longest call."""
    windows = contexts() if longest else {}
    for name, tokens in longest.items():
        model = name.removeprefix(f"{MARK} for ")
        window = windows.get(model, windows.get(model.partition("/")[2]))
        if window is not None and tokens > window:
            found.broke(
                model,
                f"a call may take {tokens:,} tokens, and its context holds {window:,}",
                "lower `max_tokens`, or name a model with more room",
            )


def contexts() -> Mapping[str, int]:
    """Tokens that a model's context holds, of LiteLLM's table, read as the file that it is: to
    import LiteLLM takes seconds."""
    package = find_spec("litellm")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder, "model_prices_and_context_window_backup.json")
        if file.is_file():
            table: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
            windows = {
                name: table.get(said.get("alias_of", name), said).get("max_input_tokens")
                for name, said in table.items()
            }
            return {name: most for name, most in windows.items() if isinstance(most, int)}
    return {}


def look_for_students_room(
    model: Path, questions: Collection[str], new_tokens: int, found: Rehearsal
) -> None:
    """Whether a student whose files are here holds the longest question and an answer to it."""
    window = context(model) if questions else None
    asked = None if window is None else count_tokens(model, max(questions, key=len))
    if window is not None and asked is not None and asked + new_tokens > window:
        found.broke(
            "student",
            f"its longest question takes {asked:,} tokens, an answer may take {new_tokens:,}, and "
            f"its context holds {window:,}",
            "lower `max_new_tokens` of `student`, leave such rows out, or name a student with more "
            "room",
        )


def try_right_rows(step: Step, rows: Sequence[Row], project: Path, found: Rehearsal) -> None:
    """What refuses every right row of dev will refuse every row that an engineer makes.

    Raises:
        Refused: E815: the user's program fails on one.
    """
    reasons = screen_many({"verifier": None, **step.params}, project)(rows[:TRIED])
    if reasons and all(reasons):
        found.broke(
            step.id,
            f"all {len(reasons)} right rows of dev that were tried are refused: {reasons[0]}",
            "make the grader, the checks of `verify` and the verifier accept dev's own answers",
        )


def nothing_left(step: Step, action: Action) -> str:
    """Why nothing goes on from a step, where that is no fault of the stand-ins' rows."""
    made = action.metrics
    if step.kind == "generate" and not made.get("candidates"):
        return "not one candidate could be read"
    if step.kind == "submit" and not made.get("added"):
        return "too few rows of the submission are left to train on"
    if step.kind == "decontaminate" and step.round and made.get("leaks") and not made["clean"]:
        return "every row overlaps with dev, test or a guard"
    if step.kind == "author" and not made.get("valid"):
        return f"no valid submission in {made['attempts']:g} programs"
    return ""
