"""No key of the schema is ever ignored: it changes the plan, or it is refused, or only describes.

Every leaf of the schema is set to a value that the schema allows, in a spec that is fine otherwise.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dagent.specs
from dagent.compiler.pipeline import check, compile
from dagent.compiler.plan import dumps
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Refused

SCHEMA = json.loads((Path(dagent.specs.__path__[0]) / "spec.schema.json").read_text())
# Labels of named blocks, and for lists of blocks the whole list with the key in it.
LABELS = {
    "param": "p",
    "data": "dev",
    "metric": "accuracy",
    "guard": "old",
    "per": "round",
    "optimise": "generator",
}


# Rows whose prompts are their tests: as good as any to compile.
TESTED = {name: {"columns": {"tests": "prompt"}} for name in ("dev", "test", "old")}
MADE = {name: {"columns": {"schema_sql": "prompt"}} for name in ("dev", "test", "old")}


def without(name: str, sets: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in sets.items() if key != name}


def grader(name: str, **data: Any) -> dict[str, Any]:
    return {"criteria": {"metric": {"accuracy": {"grader": name}}}, "data": data}


def hub(**change: Any) -> dict[str, Any]:
    source = {"path": None, "hub": "owner/name", "split": "test", "revision": 40 * "0"}
    return {"data": {"dev": source | change}}


# Only for people, or only says what the value already is.
DESCRIPTIVE = {"language", "param.p.description"}
# Values that are not supported yet, and keys that cannot be supported alone.
TASK_KEYS = ("tasks", "shots", "limit", "metric")
REFUSED = {
    "data.dev.mix": ["E325"],
    "data.dev.role": ["E305", "E313"],
    # `accuracy` is the first metric, and has a grader; test_guards reads what a task is told.
    "criteria.metric.accuracy.task": ["E516", "E325"],
    **{f"criteria.metric.accuracy.{key}": ["E325"] for key in TASK_KEYS},
}
LM = {"lm": "openai/some"}
AUTHORING = ("author", "teacher")
ROLES = ("diagnoser", "planner", "generator", "verifier", "refiner")
# Company: models write programs, and nobody plans, generates or verifies.
NOBODY = {"planner": None, "generator": None, "verifier": None}
PROGRAM: dict[str, Any] = {"engineer": {**NOBODY, **LM, "strategy": "program"}}
OF_PROGRAM = {"setting": "one_shot", "attempts": 3, "trainings": 0}
KEY = {"param": {"p": {"env": "P", "secret": True}}}


def model(role: str) -> dict[str, Any]:
    """Company: the role is done by a model alone."""
    return {"engineer": {role: {**({"program": None} if role == "generator" else {}), **LM}}}


OPTIMISED = {
    "engineer": {
        "generator": {"program": None, **LM},
        "optimise": {"generator": {"optimiser": "gepa"}},
    }
}
# What a role's model is called with has a meaning where a model is named.
MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    f"engineer.{prefix}{key}": (value, company)
    for prefix, company in (
        ("", {"engineer": LM}),
        *((f"{role}.", model(role)) for role in ROLES),
        *((f"{role}.", {"engineer": {**PROGRAM["engineer"], role: LM}}) for role in AUTHORING),
    )
    for key, value in (
        ("api_base", "http://localhost:1/v1"),
        ("max_tokens", 100),
        ("temperature", 0.5),
        ("lm", "openai/other"),
    )
}
JUDGE: dict[str, Any] = {"criteria": {"metric": {"accuracy": {"grader": "judge", **LM}}}}
TASK: dict[str, Any] = {
    "criteria": {"guard": {"old": {"task": "lm_eval:gsm8k"}}},
    "data": {"old": None},  # a task brings its own rows
}
MODELS |= {
    "criteria.guard.old.task": ("lm_eval:gsm8k", {"data": {"old": None}}),
    "criteria.guard.old.tasks": ("tasks", TASK),
    "criteria.metric.accuracy.task": ("lm_eval:gsm8k", {}),
    "criteria.guard.old.shots": (5, TASK),
    "criteria.guard.old.limit": ("100 rows", TASK),
}
MODELS |= {
    f"criteria.metric.accuracy.{key}": (value, JUDGE)
    for key, value in (
        ("api_base", "http://localhost:1/v1"),
        ("max_tokens", 100),
        ("temperature", 0.5),
        ("lm", "openai/other"),
        ("rubric", "The meaning counts."),
    )
}
WAVES = ("generator", "verifier", "refiner")
MODELS |= {
    f"engineer.{prefix}batch": (True, company)
    for prefix, company in (
        ("", {"engineer": {**LM, "refiner": LM}}),
        *((f"{role}.", model(role)) for role in WAVES),
    )
}
MODELS["criteria.metric.accuracy.batch"] = (True, JUDGE)
MODELS["criteria.metric.accuracy.api_key"] = ("$p", {**KEY, **JUDGE})
MODELS |= {
    f"engineer.{prefix}api_key": ("$p", {**KEY, **company})
    for prefix, company in (
        ("", {"engineer": LM}),
        *((f"{r}.", model(r)) for r in ROLES),
        *((f"{r}.", {"engineer": {**PROGRAM["engineer"], r: LM}}) for r in AUTHORING),
    )
}


def verify(name: str) -> dict[str, Any]:
    return {"engineer": {"verify": {"X": {"grader": name}}}}


# Where a value of the right type is not enough, or nothing changes without company.
VALUES: dict[str, tuple[Any, dict[str, Any]]] = {
    "import": (["base.yaml"], {}),
    "let.X": (7, {"seed": "$X"}),
    "param.p.type": ("integer", {"seed": "$p", "param": {"p": {"env": "P"}}}),
    "param.p.default": (8, {"seed": "$p"}),
    "param.p.env": ("P", {"seed": "$p", "param": {"p": {"type": "integer"}}}),
    "param.p.secret": (
        True,
        {"param": {"p": {"env": "P"}}, "engineer": {**LM, "api_key": "$p"}},
    ),
    "domain.skills": (["b", "a"], {}),
    "domain.difficulties": ([2, 1, 0], {}),
    "data.dev.role": ("guard", {}),
    "data.dev.path": ("other.jsonl", {}),
    "data.dev.format": ("jsonl", {"data": {"dev": {"path": "dev.txt"}}}),
    "data.dev.columns.prompt": ("answer", {}),
    "data.dev.columns.answer": ("prompt", {}),
    **{f"data.dev.columns.{name}": ("answer", {}) for name in ("id", "skill", "difficulty")},
    "data.dev.columns.tests": ("answer", grader("code", **without("dev", TESTED))),
    "data.dev.columns.schema_sql": ("answer", grader("sql", **without("dev", MADE))),
    "data.dev.columns.database": ("skill", grader("sql", **without("dev", MADE))),
    "data.dev.sample": ("30 rows", {}),
    "data.dev.hub": ("owner/name", hub(hub=None)),
    "data.dev.config": ("main", hub()),
    "data.dev.split": ("train", hub(split=None)),
    "data.dev.revision": (40 * "1", hub()),
    "data.dev.program": ("programs.py:rows", {"data": {"dev": {"path": None}}}),
    "data.dev.where": ("len(prompt) > 1", {}),
    "student.model": ("owner/name", {}),
    "student.revision": ("main", {"student": {"model": "owner/name"}}),
    "student.lora": ({"r": 4}, {"student": {"adapter": "lora"}}),
    "student.device": ("1x24GB", {}),
    "student.engine": ("vllm", {}),
    "student.attn_implementation": ("eager", {}),
    "student.accelerate": ("several.yaml", {}),
    "student.trust_remote_code": (True, {"student": {"model": "./coded"}}),
    "student.generation": ({"top_p": 0.9}, {}),
    "student.adapter": ("lora", {}),
    "student.template": ("{prompt}!", {}),
    "engineer.strategy": ("program", {"engineer": {**NOBODY, **LM}}),
    **{f"engineer.{r}.options": ({"top_p": 1}, PROGRAM) for r in AUTHORING},
    # In one round, so that one shot is one.
    **{
        f"engineer.{key}": (value, {**PROGRAM, "budget": {"rounds": 1}})
        for key, value in OF_PROGRAM.items()
    },
    **MODELS,
    "budget.prices": ("prices.json", {"engineer": LM}),
    "engineer.dedupe.threshold": ("90%", {}),
    "engineer.decontaminate.templates": (False, {}),
    "engineer.optimise.generator.optimiser": ("simba", OPTIMISED),
    "engineer.optimise.generator.calls": (90, OPTIMISED),
    "engineer.optimise.generator.holdout": (0.1, OPTIMISED),
    "engineer.diagnoser.policy": ("by-cell", {"engineer": LM}),
    "engineer.diagnoser.program": ("programs.py:diagnose", {}),
    "engineer.refiner.program": ("programs.py:refine", {}),
    "engineer.diagnoser.options": ({"top_p": 1}, model("diagnoser")),
    "engineer.refiner.options": ({"top_p": 1}, model("refiner")),
    "engineer.verifier.samples": (5, model("verifier")),
    "engineer.verifier.judge": (False, {"engineer": {"verifier": {**LM, "samples": 3}}}),
    "domain.sources": (["other.py"], model("generator")),
    "engineer.feedback": (False, {}),
    "engineer.accumulate": (False, {}),
    "engineer.train_from": ("champion", {}),
    "engineer.planner.policy": ("uniform", {}),
    "engineer.planner.program": ("programs.py:plan", {}),
    "engineer.planner.options": (
        {"eager": 1},
        {"engineer": {"planner": {"program": "programs.py:plan"}}},
    ),
    "engineer.generator.program": ("other.py:generate", {}),
    "engineer.generator.options": ({"style": "x"}, {}),
    "engineer.verifier.program": ("programs.py:verify", {}),
    "engineer.verifier.options": (
        {"strict": 1},
        {"engineer": {"verifier": {"program": "other.py:verify"}}},
    ),
    "budget.rounds": (3, {}),
    "budget.rows": (1000, {}),
    "budget.calls": (5000, {}),
    "budget.tokens": ("9M tokens", {}),
    "budget.money": ("20 USD", {}),
    "budget.wall": ("9h", {}),
    "budget.per.round.rows": (50, {}),
    "budget.per.round.calls": (500, {}),
    "budget.per.round.tokens": ("1M tokens", {}),
    "budget.per.round.money": ("2.5 USD", {}),
    "criteria.metric.accuracy.grader": ("normalised", {}),
    "criteria.metric.accuracy.average": ("macro", {}),
    "criteria.metric.accuracy.tolerance": (1, grader("numeric")),
    "criteria.metric.accuracy.relative_tolerance": (1, grader("numeric")),
    "criteria.metric.accuracy.pattern": ("(a)", grader("regex")),
    "criteria.metric.accuracy.choices": ([str(n) for n in range(500)], grader("choice")),
    "criteria.metric.accuracy.schema": ("answer.schema.json", grader("json")),
    "criteria.metric.accuracy.fields": (["*"], grader("json")),
    "criteria.metric.accuracy.timeout": ("3s", grader("code", **TESTED)),
    "engineer.verify.X.tolerance": (1, verify("numeric")),
    "engineer.verify.X.relative_tolerance": (1, verify("numeric")),
    "engineer.verify.X.pattern": ("(a)", verify("regex")),
    "engineer.verify.X.choices": (["a"], verify("choice")),
    "engineer.verify.X.schema": ("answer.schema.json", verify("json")),
    "engineer.verify.X.fields": (["a"], verify("json")),
    "engineer.verify.X.timeout": ("3s", verify("code")),
    "engineer.verify.X.program": ("programs.py:grade", verify("program")),
    "criteria.metric.accuracy.program": ("programs.py:grade", grader("program")),
    "criteria.require": (["accuracy >= 0.5 on test"], {}),
    "criteria.guard.old.metric": (
        "second",
        {"criteria": {"metric": {"second": {"grader": "exact"}}}},
    ),
    "criteria.guard.old.max_drop": ("1pp", {}),
    "criteria.gate.alpha": (0.01, {}),
    "criteria.gate.rule": ("always", {}),
    "criteria.gate.select": ("40%", {}),
    "criteria.stop.patience": (1, {}),
    "criteria.stop.when": ("accuracy >= 0.9 on select", {}),
    "train.stage": ("dpo", {}),
    "arms.seeds": ([1], {}),
    "arms.arm.X.control": ("uniform", {}),
    "arms.arm.X.set": ({"engineer.cap": 0.5}, {}),
}


def leaves(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of the keys that hold values; named blocks under a label of ``LABELS``."""
    blocks = dict(schema.get("properties", {}))
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        blocks[LABELS.get(path[-1], "X") if path else "X"] = extra
    for key, inner in blocks.items():
        below = inner.get("properties") or isinstance(inner.get("additionalProperties"), dict)
        if below:
            yield from leaves(inner, (*path, key))
        elif inner.get("items", {}).get("type") == "object":
            yield from leaves(inner["items"], (*path, key))
        else:
            yield (*path, key)


def schema_at(path: tuple[str, ...]) -> dict[str, Any]:
    found = SCHEMA
    for key in path:
        found = found.get("items", found)
        found = found.get("properties", {}).get(key) or found["additionalProperties"]
    return found


def some_value(schema: dict[str, Any]) -> Any:
    """A value that the schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema["type"] if isinstance(schema["type"], str) else schema["type"][-1]
    return {
        "string": "text",
        "integer": 3,
        "number": {"time": "1h", "money": "1 USD"}.get(schema.get("x-quantity", ""), 1),
        "boolean": True,
        "array": ["text"],
        "object": {"x": 1},
    }[kind]


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    if path[0] == "train":
        return {"train": [{"stage": "sft", path[1]: value}]}
    for key in reversed(path):
        value = {key: value}
    return value


LEAVES = sorted(".".join(path) for path in leaves(SCHEMA))


def test_the_walk_finds_the_keys() -> None:
    assert len(LEAVES) > 100
    assert set(VALUES) | DESCRIPTIVE <= set(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_every_key_counts(project: Any, name: str) -> None:
    path = tuple(name.split("."))
    folder = project.folder
    (folder / "base.yaml").write_text("seed: 9\n")
    (folder / "other.py").write_text(
        "def generate(a, b, c, d): ...\ndef verify(r, strict=0): ...\n"
    )
    listed = {"models": {"openai/some": {"input": 1, "output": 2}}}
    (folder / "prices.json").write_text(json.dumps(listed))
    for copy in ("other.jsonl", "dev.txt"):
        (folder / copy).write_text((folder / "dev.jsonl").read_text())
    (folder / "several.yaml").write_text("distributed_type: MULTI_GPU\nnum_processes: 2\n")
    shutil.copytree(folder / "model", folder / "coded")
    (folder / "coded" / "modeling.py").touch()
    (folder / "answer.schema.json").write_text('{"type": "object"}')
    (project.folder / "tasks").mkdir(exist_ok=True)
    for database in "ab":  # named by the rows' skills
        (folder / database).touch()
    value, company = VALUES.get(name, (None, {}))
    value = some_value(schema_at(path)) if value is None else value
    without = project.join(project.GUARD, company)
    spec = project.spec(project.join(without, nested(path, value)))
    settings = Settings(env={"P": "5"})
    found = [d for d in check(spec, settings) if d.severity == "error"]
    if name in REFUSED:
        assert [d.code for d in found] == REFUSED[name]
        return
    assert found == [], "refused for another reason: give the key a better value above"
    plan = compile(spec, settings).plan
    try:
        before = compile(project.spec(without), settings).plan
    except Refused:
        return  # the key is needed: with it the spec compiles, without it it does not
    assert (dumps(before) == dumps(plan)) == (name in DESCRIPTIVE), "ignored, or not descriptive"


def test_a_key_that_nobody_reads_is_refused(project: Any) -> None:
    """What a later version of the schema adds is refused here until the compiler reads it."""
    from dagent.compiler.blocks import read_spec
    from dagent.dsl.diagnostics import Diagnostics
    from dagent.dsl.parse import parse, read

    root = parse(read(project.spec({"domain": {"colour": "red"}})), Diagnostics())
    assert root is not None
    diagnostics = Diagnostics()
    read_spec(root, diagnostics)
    (found,) = diagnostics
    assert (found.code, found.span and found.span.text) == ("E190", '"colour"')


def defaults(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for key, inner in schema.get("properties", {}).items():
        if "default" in inner and isinstance(inner["default"], str | int | float):
            yield ".".join((*path, key)), inner["default"]
        yield from defaults(inner, (*path, key))
        extra = inner.get("additionalProperties")
        if isinstance(extra, dict):
            yield from defaults(extra, (*path, key, LABELS.get(key, "X")))


@pytest.mark.parametrize(("name", "value"), list(defaults(SCHEMA)))
def test_a_default_that_the_schema_states_is_the_compilers(
    project: Any, name: str, value: Any
) -> None:
    company = PROGRAM if name.removeprefix("engineer.") in OF_PROGRAM else {}
    given = project.compile(project.join(company, nested(tuple(name.split(".")), value))).plan
    assert dumps(given) == dumps(project.compile(company).plan)
