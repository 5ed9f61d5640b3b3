"""The passes in order: a spec's path -> a plan and its lock.

    parse > compose > document > read > check > GATE > lower > prune > share > order > plan

Errors of a stage are collected and reported together, and a stage never runs on what an earlier one
refused. After the gate nothing can fail but dagent itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from dagent.compiler.arms import Arm
from dagent.compiler.arms import arms as arms_of
from dagent.compiler.arms import seeds as seeds_of
from dagent.compiler.blocks import read_spec
from dagent.compiler.compose import Composed, composed_as_far, imports
from dagent.compiler.cost import Cost
from dagent.compiler.engineering import attempt_caps
from dagent.compiler.facts import Facts
from dagent.compiler.lock import make_lock
from dagent.compiler.passes.check_accelerate import check_accelerate
from dagent.compiler.passes.check_arguments import check_arguments
from dagent.compiler.passes.check_arms import check_arms
from dagent.compiler.passes.check_budget import check_budget
from dagent.compiler.passes.check_criteria import check_criteria, check_tasks, select_rows
from dagent.compiler.passes.check_data import check_data
from dagent.compiler.passes.check_device import check_device
from dagent.compiler.passes.check_document import check_document
from dagent.compiler.passes.check_engineer import check_engineer
from dagent.compiler.passes.check_graders import check_graders
from dagent.compiler.passes.check_lora import check_lora
from dagent.compiler.passes.check_prices import check_prices
from dagent.compiler.passes.check_programs import check_programs
from dagent.compiler.passes.check_student import check_student
from dagent.compiler.passes.check_tokens import check_tokens
from dagent.compiler.passes.check_train import check_train
from dagent.compiler.passes.order import order
from dagent.compiler.passes.prune import prune
from dagent.compiler.passes.share import share
from dagent.compiler.plan import Plan, PlannedArm, Step
from dagent.compiler.prices import Price
from dagent.compiler.settings import Settings, remembered
from dagent.compiler.sound import OF_ITSELF, sound
from dagent.compiler.spec import Engineer, Spec
from dagent.compiler.variants import CheckedArm, alone, lower_all, planned, variants
from dagent.dsl import document
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.parse import parse, read
from dagent.dsl.source import ENDINGS

_KEY = re.compile(r"^ ?[\"']?(\w+)[\"']?\s*:", re.MULTILINE)  # at the start of a line, or in JSON

Rewrite = Callable[[tuple[Step, ...]], tuple[Step, ...]]
PASSES: tuple[Rewrite, ...] = (
    prune,  # first: what nothing needs is not worth comparing
    share,  # keys chain from inputs, so this one gives them
    order,  # last: merging may have moved what a step waits for
)


MOST_MISTAKES_IN_A_ROW = 4  # a key left out is what the block around it then lacks, and so on


class Compiled(Struct, frozen=True):
    """``lock`` is the content of ``dagent.lock``; ``root`` the composed document, with places;
    ``effective`` as how many rows those of ``select`` count for the gate, where that is known."""

    plan: Plan
    lock: Mapping[str, Any]
    warnings: tuple[Diagnostic, ...]
    root: document.Mapping
    effective: float | None = None


def compile(path: Path, settings: Settings | None = None) -> Compiled:
    """The plan of the spec at ``path``: the same files and settings give the same bytes.

    Raises:
        Refused: with everything that is wrong with the spec.
    """
    settings = settings or Settings()
    diagnostics = Diagnostics()
    composed = composed_as_far(path, settings, diagnostics)
    arms = _checked(path, composed, settings, diagnostics)
    seeds = seeds_of(composed.root) or (arms[0].spec.seed,)
    compared = len(arms) > 1 or composed.root.entry("arms") is not None
    if settings.variant is not None:
        arms, compared = (alone(arms, seeds, settings.variant),), False
    spec, facts = arms[0].spec, arms[0].facts
    lowered = lower_all(arms, seeds) if compared else arms[0].steps(spec.seed)
    steps = lowered
    for rewrite in PASSES:
        steps = rewrite(steps)
    plan = Plan(
        name=spec.domain.name,
        goal=spec.domain.goal,
        rounds=spec.budget.rounds,
        metric=spec.criteria.metrics[0].name,
        budget=_budget(spec),
        settings=_settings(spec),
        steps=steps,
        variants=tuple(variants(arms, seeds, steps)) if compared else (),
        arms=_planned(arms) if compared else (),
        merged=len(prune(lowered)) - len(steps),
        prices={k: _price(p) for arm in arms for k, p in sorted(arm.facts.prices.items())},
    )
    lock = make_lock(path, plan, composed, spec, facts, settings.variant)
    known = select_rows(spec, facts.data)
    effective = known[1] if known else None
    return Compiled(plan, lock, tuple(diagnostics), composed.root, effective)


def _price(price: Price) -> dict[str, float]:
    return {name: amount for name, amount in asdict(price).items() if amount is not None}


def _planned(arms: tuple[CheckedArm, ...]) -> tuple[PlannedArm, ...]:
    loop = _settings(arms[0].spec)
    found = []
    for arm in arms:
        own = _settings(arm.spec)
        differ = {k: own.get(k) for k in sorted({*own, *loop}) if own.get(k) != loop.get(k)}
        found.append(replace(planned(arm), settings=differ))
    return tuple(found)


def check(path: Path, settings: Settings | None = None) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with the spec at ``path``; nothing is written."""
    settings = settings or Settings()
    diagnostics = Diagnostics()
    try:
        composed = composed_as_far(path, settings, diagnostics)
        _checked(path, composed, settings, diagnostics)
    except Refused as refused:
        return refused.diagnostics
    return tuple(diagnostics)


def _checked(
    path: Path, composed: Composed, settings: Settings, diagnostics: Diagnostics
) -> tuple[CheckedArm, ...]:
    """The spec, then its other arms, with what their files say, once nothing is wrong.

    Raises:
        Refused: with what was found, stage by stage.
    """
    check_document(composed.root, diagnostics, composed.unknown, complete=composed.complete)
    if diagnostics.has_errors:
        _check_beside(composed, path.parent, settings, diagnostics)
    diagnostics.gate()
    loop, *others = arms_of(composed.root, diagnostics)
    settings = replace(settings, recall=remembered(settings.recall))  # the arms read the same files
    checked = [_checked_arm(loop, path.parent, settings, diagnostics)]
    diagnostics.gate()
    for arm in others:
        found = Diagnostics(origins=diagnostics.origins)
        with suppress(Refused):
            check_document(arm.root, found)
            found.gate()
            checked.append(_checked_arm(arm, path.parent, settings, found))
        told = {(d.code, d.span or d.message) for d in diagnostics.found}
        for finding in found:  # another arm's figures are no further finding
            if (finding.code, finding.span or finding.message) not in told:
                diagnostics.add(finding)
    diagnostics.gate()
    check_arms(checked, composed.root, diagnostics)
    diagnostics.gate()
    return tuple(checked)


def _check_beside(
    composed: Composed, project: Path, settings: Settings, diagnostics: Diagnostics
) -> None:
    """Beside mistakes of an earlier stage, those that files, programs and libraries tell of what
    these leave of the document."""
    root, wrong = composed.root, tuple(diagnostics)
    settings = replace(settings, recall=remembered(settings.recall))
    told = {(d.code, d.span) for d in diagnostics}
    for _ in range(MOST_MISTAKES_IN_A_ROW):
        root = sound(root, wrong, composed.unknown)
        found = Diagnostics(origins=diagnostics.origins)
        with suppress(Refused):
            check_document(root, found)
            found.gate()
            _checked_arm(arms_of(root, found)[0], project, settings, found)
        wrong = tuple(found)
        for finding in wrong:
            if finding.code in OF_ITSELF and (finding.code, finding.span) not in told:
                told.add((finding.code, finding.span))
                diagnostics.add(finding)
        if not found.has_errors:
            break


def _checked_arm(
    arm: Arm, project: Path, settings: Settings, diagnostics: Diagnostics
) -> CheckedArm:
    spec = read_spec(arm.root, diagnostics)
    diagnostics.gate()
    data = check_data(spec, project, settings, diagnostics)
    student = check_student(spec, project, settings, diagnostics)
    check_lora(spec, student, diagnostics)
    programs, whole = check_programs(spec, project, diagnostics)
    documents = check_engineer(spec, project, diagnostics)
    prices, price_lists = check_prices(spec, project, diagnostics)
    teachers = check_train(spec, project, settings, diagnostics)
    check_tokens(spec, data, student, teachers, settings, diagnostics)
    graders = check_graders(spec, project, data, diagnostics)
    facts = Facts(data, student, programs, documents, prices, price_lists, teachers, graders)
    accelerate, processes = check_accelerate(spec, project, diagnostics)
    facts = replace(facts, accelerate=accelerate, processes=processes, whole=whole)
    facts = replace(facts, tasks=check_tasks(spec, project, diagnostics))
    check_criteria(spec, data, diagnostics)
    check_arguments(spec, diagnostics)
    check_budget(spec, facts, diagnostics)
    check_device(spec, None if diagnostics.has_errors else Cost(spec, facts), diagnostics)
    diagnostics.gate()
    return CheckedArm(arm.name, arm.control, spec, facts)


def find_spec(folder: Path) -> Path:
    """The one spec of a folder.

    Raises:
        Refused: E801 when there is none, E802 when there are several.
    """
    found = sorted(
        p
        for p in folder.iterdir()
        if p.is_file() and p.suffix in ENDINGS and (p.suffix == ".dagent" or _is_spec(p))
    )
    if not found:
        raise Refused(
            Diagnostic(
                "E801",
                "there is no spec in this folder",
                suggestion="name one, or start with `dagent init`",
                file=str(folder),
            )
        )
    if len(found) > 1:
        found = _roots(found)
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise Refused(
            Diagnostic(
                "E802",
                f"there are several specs in this folder: {names}",
                suggestion=f"name one: `dagent compile {found[0].name}`",
                file=str(folder),
            )
        )
    return found[0]


def _roots(paths: list[Path]) -> list[Path]:
    """Those that no other imports: a base beside the spec that builds on it is no rival."""
    imported: set[Path] = set()
    for path in paths:
        with suppress(Refused):
            root = parse(read(path), Diagnostics())
            if root is not None:
                imported |= {(path.parent / name).resolve() for name in imports(root)}
    return [p for p in paths if p.resolve() not in imported] or paths


def _is_spec(path: Path) -> bool:
    try:
        return looks_like_spec(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False


def looks_like_spec(text: str) -> bool:
    """Whether a YAML text looks like a spec, even a broken one: folders hold other YAML too."""
    keys = set(_KEY.findall(text))
    return bool(
        keys & {"domain", "import"} and keys & {"student", "engineer", "budget", "criteria"}
    )


def _budget(spec: Spec) -> dict[str, dict[str, float]]:
    budget = {"run": spec.budget.run.given()}
    # A cap like any other, so that the meter holds it across resumes.
    budget |= {f"optimise.{n}": {"calls": o.calls} for n, o in spec.engineer.optimise.items()}
    budget |= {name: part.given() for name, part in spec.budget.per.items()}
    if spec.engineer.writes_programs:
        budget["attempt"] = attempt_caps(spec)
    return budget


def _engineering(engineer: Engineer) -> dict[str, Any]:
    """What sets engineers of one strategy apart."""
    if engineer.writes_programs:
        return {
            "author": engineer.author and engineer.author.who,
            "teacher": engineer.teacher and engineer.teacher.who,
            "setting": engineer.setting,
            "attempts": engineer.attempts,
            "trainings": engineer.trainings,
        }
    return {
        "planner": engineer.planner.who,
        "generator": engineer.generator.who,
        "verifier": engineer.verifier and engineer.verifier.who,
        "diagnoser": engineer.diagnoser and engineer.diagnoser.who,
        "refiner": engineer.refiner and engineer.refiner.who,
        "explore": engineer.explore,
        "candidates": engineer.candidates,
        "prefer_wrong": engineer.prefer_wrong,
        "floor": engineer.floor,
        "cap": engineer.cap,
        "feedback": engineer.feedback,
        "accumulate": engineer.accumulate,
        "train_from": engineer.train_from,
    }


def _settings(spec: Spec) -> dict[str, Any]:
    """The flat values that MLflow shows as parameters: what people compare runs by."""
    student, engineer, criteria = spec.student, spec.engineer, spec.criteria
    values: dict[str, Any] = {
        "seed": spec.seed,
        "domain.name": spec.domain.name,
        **{f"data.{data.name}": data.title for data in spec.data},
        "student.model": student.model,
        "student.revision": student.revision,
        "student.adapter": student.adapter,
        "student.device": student.device,
        "student.accelerate": student.accelerate,
        "student.engine": None if student.engine == "transformers" else student.engine,
        "student.attn_implementation": student.attn_implementation,
        "student.trust_remote_code": student.trust_remote_code or None,
        "student.max_new_tokens": student.max_new_tokens,
        "engineer.strategy": engineer.strategy,
        **{f"engineer.{name}": value for name, value in _engineering(engineer).items()},
        "criteria.metric": criteria.metrics[0].name,
        "criteria.grader": criteria.metrics[0].grader,
        "criteria.alpha": criteria.alpha,
        "criteria.select": criteria.select,
        "criteria.rule": criteria.rule,
        "criteria.patience": criteria.patience,
    }
    values |= {f"student.lora.{k}": v for k, v in student.lora.items()}
    values |= {f"student.generation.{k}": v for k, v in student.generation.items()}
    values |= {f"budget.{k}": v for k, v in spec.budget.run.given().items()}
    for name, part in spec.budget.per.items():
        values |= {f"budget.per.{name}.{k}": v for k, v in part.given().items()}
    for stage in spec.train:
        values |= {f"train.{stage.stage}.{k}": v for k, v in stage.args.items()}
    return {name: value for name, value in values.items() if value is not None}
