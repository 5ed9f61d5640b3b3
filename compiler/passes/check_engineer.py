"""The engineer: documents to ground on that are there and are no data; a verifier that verifies."""

from __future__ import annotations

from os.path import exists
from pathlib import Path

from dagent.compiler.digests import content_digest
from dagent.compiler.facts import inside
from dagent.compiler.scoring import SCORED, calls_of_a_score, held_out
from dagent.compiler.spec import Spec
from dagent.dsl.diagnostics import Diagnostics, Note
from dagent.dsl.nearest import did_you_mean

LEAST_SCORES = 3  # before, after, and one that is tried
FEW = 5  # held-out examples that are worth asking


def check_engineer(spec: Spec, project: Path, diagnostics: Diagnostics) -> dict[str, str]:
    """The digest of every document of `domain.sources`, by its path."""
    verifier = spec.engineer.verifier
    asked = spec.engineer.judge or spec.engineer.samples
    if verifier and verifier.lm and not (verifier.program or asked):
        diagnostics.error(
            "E655",
            "`judge = false` leaves the verifier nothing to do",
            spec.at("engineer", "verifier", "judge"),
            "add `samples = 5`, or a `program`",
        )
    planner = spec.engineer.planner
    if spec.engineer.explore and not (planner.policy or planner.lm):
        diagnostics.error(
            "E652",
            "`explore` has no say over a planner that is a program",
            spec.key("engineer", "explore"),
            "remove it, or let a policy or a language model plan",
        )
    if spec.engineer.setting == "one_shot" and spec.budget.rounds > 1:
        diagnostics.error(
            "E672",
            f"`one_shot` is one round, and the budget has {spec.budget.rounds}",
            spec.at("budget", "rounds"),
            "write `rounds <= 1`, or `setting = iterative`",
            [Note("the setting is here", spec.at("engineer", "setting"))],
        )
    _check_optimise(spec, diagnostics)
    reads = spec.engineer.generator.lm is not None or spec.engineer.writes_programs
    if spec.domain.sources and not reads:
        diagnostics.error(
            "E654",
            "nothing reads `sources`: the generator is a program",
            spec.key("domain", "sources"),
            "let a language model generate (`generator { lm = … }`), or remove it",
        )
    return dict(
        found
        for index, path in enumerate(spec.domain.sources)
        if (found := _source(spec, index, path, project, diagnostics))
    )


def _check_optimise(spec: Spec, diagnostics: Diagnostics) -> None:
    """Enough calls to try something, and to tell whether it is better."""
    for name, how in spec.engineer.optimise.items():
        each = calls_of_a_score(spec, name)
        scores = int(how.calls // each)
        held = held_out(SCORED, how.holdout, scores)
        cost = f"{each} calls a score" if each > 1 else "a call a score"
        span = spec.at("engineer", "optimise", name, "calls")
        if scores < LEAST_SCORES:
            diagnostics.error(
                "E658",
                f"{how.calls:,} calls cannot optimise `{name}`: scoring it before and after, at "
                f"{cost}, leaves none to try anything",
                span,
                f"allow {each * 6 * FEW} calls or more, or remove this",
            )
        elif held < FEW:
            more = "raise `holdout`" if scores // 6 >= FEW else f"allow {each * 6 * FEW} calls"
            diagnostics.warn(
                "E659",
                f"only {held} of the examples for `{name}` can be held out: {how.calls:,} calls at "
                f"{cost}, a third of them for these",
                span,
                f"{more}; a few examples do not tell which of two agents is better",
            )


def _source(
    spec: Spec, index: int, path: str, project: Path, diagnostics: Diagnostics
) -> tuple[str, str] | None:
    span = spec.at("domain", "sources", index)
    file = inside(path, project, span, diagnostics)
    if file is None:
        return None
    if not file.is_file():
        known = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        remedy = did_you_mean(file.name, known, "correct the path; it is relative to the spec")
        diagnostics.error("E653", f"there is no document `{path}`", span, remedy)
        return None
    for data in spec.data:
        if data.path and exists(project / data.path) and file.samefile(project / data.path):
            diagnostics.error(
                "E653",
                f"`{path}` is the data set `{data.name}`, which the generator must not copy",
                span,
                "name documents here, not data",
                [Note("the data set is here", spec.at("data", data.name, "path"))],
            )
            return None
    try:
        text = file.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        text = ""
    if not text.strip():
        diagnostics.error(
            "E653", f"`{path}` holds no text in UTF-8", span, "convert it to plain text first"
        )
        return None
    return path, content_digest(file)
