"""The `engineer` block: who does each part, a policy, a program or a language model."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from dagent.compiler.grading import read_grading
from dagent.compiler.models import read_lm, without_model
from dagent.compiler.read import Reader
from dagent.compiler.spec import Check, Engineer, LanguageModel, Optimise, Role

ROLES = ("diagnoser", "planner", "generator", "verifier", "refiner")
AUTHORING = ("author", "teacher")
# Roles that ask one question after the other, or few: a batch of each would take for ever.
SINGLE = ("diagnoser", "planner")
# Keys that only one strategy has a use for; the others mean the same in both.
OF_STRATEGY = {
    "curriculum": (
        *ROLES,
        *("explore", "optimise", "candidates", "prefer_wrong", "floor", "cap", "dedupe"),
        *("feedback", "accumulate", "train_from", "batch"),
    ),
    "program": (*AUTHORING, "setting", "attempts", "trainings"),
}
STARTS = ("base", "champion")
SETTINGS = ("iterative", "one_shot")
ATTEMPTS, TRAININGS = 8, 1
PLANNERS = ("error-driven", "matched", "random", "uniform")
POLICIES = {"planner": PLANNERS, "diagnoser": ("by-cell",)}
OPTIMISERS = ("bootstrap", "miprov2", "gepa", "simba")
OPTIMISABLE = ("generator", "verifier", "planner", "diagnoser", "refiner")
UNMEASURED = "what an author's program is worth is known only after a training"
OPTIMISE_CALLS, HOLDOUT = 200, 0.3


def read_engineer(block: Reader) -> Engineer:
    """A model named for the whole block does every part that names no other."""
    common = read_lm(block, None)
    strategy = block.choice("strategy", tuple(OF_STRATEGY), "curriculum")
    _refuse_other(block, strategy)
    if strategy == "program":
        return _read_authoring(block, common)
    parts = {name: block.inner(name) for name in ROLES if name in block}
    at_once = common and replace(common, batch=False)
    roles = {
        name: _role(name, parts.get(name), at_once if name in SINGLE else common) for name in ROLES
    }
    _refuse_idle_batch(block, common, roles)
    generator, verifier = roles["generator"], roles["verifier"]
    if generator is None:
        block.diagnostics.error(
            "E307",
            "`engineer` does not say who generates rows",
            block.where,
            'add `generator { program = "programs.py:generate" }`, or `lm = "openai/…"`',
        )
    samples, judge = _checks(parts.get("verifier"), bool(verifier and verifier.lm))
    return Engineer(
        strategy=strategy,
        planner=roles["planner"] or Role(PLANNERS[0], None, {}),
        generator=generator or Role(None, None, {}),
        verifier=verifier,
        diagnoser=roles["diagnoser"],
        refiner=roles["refiner"],
        samples=samples,
        judge=judge,
        explore=block.amount("explore", "rounds", None, least=1),
        optimise=_optimise(block, roles),
        candidates=block.number("candidates", 2),
        prefer_wrong=block.amount("prefer_wrong", "fraction", 0.7),
        floor=block.amount("floor", "fraction", 0.005),
        cap=block.amount("cap", "fraction", 0.25),
        feedback=block.flag("feedback", True),
        accumulate=block.flag("accumulate", True),
        train_from=block.choice("train_from", STARTS, STARTS[0]),
        verify=tuple(Check(name, *read_grading(check)) for name, check in block.named("verify")),
        duplicate=block.inner("dedupe").amount("threshold", "fraction", 0.8, least=0.1),
        templates=_templates(block),
    )


def _templates(block: Reader) -> bool:
    return block.inner("decontaminate").value("templates") is not False


def _read_authoring(block: Reader, common: LanguageModel | None) -> Engineer:
    """A program is written by one model and asks another; nobody plans, verifies or refines."""
    roles = {
        name: _role(name, block.inner(name) if name in block else None, common)
        for name in AUTHORING
    }
    for name, does in (("author", "writes the programs"), ("teacher", "the programs ask")):
        if roles[name] is None:
            block.diagnostics.error(
                "E671",
                f"`strategy = program` does not say which model {does}",
                block.where,
                f'add `{name} {{ lm = "openai/…" }}`, or one `lm` for both',
            )
    nobody = Role(None, None, {})
    return Engineer(
        strategy="program",
        planner=nobody,
        generator=nobody,
        verifier=None,
        diagnoser=None,
        refiner=None,
        samples=0,
        judge=True,
        explore=None,
        optimise={},
        candidates=1,
        prefer_wrong=0.0,
        floor=0.0,
        cap=1.0,
        feedback=True,
        accumulate=False,
        train_from=STARTS[0],
        templates=_templates(block),
        author=roles["author"],
        teacher=roles["teacher"],
        setting=block.choice("setting", SETTINGS, SETTINGS[0]),
        attempts=int(block.number("attempts", ATTEMPTS)),
        trainings=int(block.number("trainings", TRAININGS)),
    )


def _refuse_other(block: Reader, strategy: str) -> None:
    """E670 for what only the other strategy would read."""
    for other, keys in OF_STRATEGY.items():
        for key in keys if other != strategy else ():
            if key in block:
                block.node(key)  # taken, so that one finding says enough
                why = f": {UNMEASURED}" if key == "optimise" else ""
                block.diagnostics.error(
                    "E670",
                    f"`{key}` is of the strategy `{other}`, and this is `{strategy}`{why}",
                    block.key_span(key),
                    f"remove it, or write `strategy = {other}`",
                )


def _refuse_idle_batch(
    block: Reader, common: LanguageModel | None, roles: Mapping[str, Role | None]
) -> None:
    batched = any(role and role.lm and role.lm.batch for role in roles.values())
    if "batch" in block and common and common.batch and not batched:
        block.diagnostics.error(
            "E657",
            "`batch = true`, and no role of this model asks in waves",
            block.key_span("batch"),
            "remove it, or let the model generate, verify or refine",
        )


def _role(name: str, block: Reader | None, common: LanguageModel | None) -> Role | None:
    """Who does a part; None where nobody was named."""
    if block is None:
        return Role(None, None, {}, common) if common else None
    policies = POLICIES.get(name, ())
    policy = block.text("policy", None) if policies else None
    program = block.text("program", None)
    options = block.value("options") or {}
    sources = [key for key in ("lm", "policy", "program") if key in block]
    # A model beside a program is meant only where it is named.
    lm = read_lm(block, common if "lm" in sources or not sources else None)
    if not sources and lm is None:
        if not policies:
            block.diagnostics.error(
                "E307",
                f"`{name}` does not say what does it",
                block.where,
                "give it a `program`, or an `lm`",
            )
        policy = policies[0] if policies else None  # `planner { options {…} }`: of the default
    elif len(sources) > 1 and (name, sources) != ("verifier", ["lm", "program"]):
        block.diagnostics.error(
            "E307",
            f"`{name}` has several sources: " + ", ".join(f"`{s}`" for s in sources),
            block.key_span(sources[1]),
            "keep one: " + " or ".join(f"`{s}`" for s in sources),
        )
    return Role(policy, program, options, lm)


def _checks(block: Reader | None, asked: bool) -> tuple[int, bool]:
    """How a model verifies: with how many answers of its own, and whether it judges."""
    if block is None:
        return 0, True
    samples, judge = int(block.number("samples", 0)), block.value("judge") is not False
    for key, changed in (("samples", samples > 0), ("judge", not judge)):
        if changed and not asked:
            without_model(block, key)
    return samples, judge


def _optimise(block: Reader, roles: Mapping[str, Role | None]) -> dict[str, Optimise]:
    found = {}
    for name, part in block.named("optimise"):
        role = roles.get(name)
        found[name] = Optimise(
            optimiser=part.choice("optimiser", OPTIMISERS, OPTIMISERS[0]),
            calls=part.amount("calls", "calls", OPTIMISE_CALLS, least=1),
            holdout=part.amount("holdout", "fraction", HOLDOUT),
        )
        if name not in OPTIMISABLE:
            why = f": {UNMEASURED}" if name == "author" else ""
            block.diagnostics.error(
                "E652",
                f"`{name}` is no role that can be optimised{why}",
                part.where,
                "use " + " or ".join(f"`{role}`" for role in OPTIMISABLE),
            )
        elif name in roles and (role is None or role.lm is None):
            block.diagnostics.error(
                "E652",
                f"`{name}` is not done by a language model, so there is nothing to optimise",
                part.where,
                f"give `{name}` an `lm`, or remove this",
            )
    return found
