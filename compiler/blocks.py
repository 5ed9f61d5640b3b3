"""Document -> spec: one function per block, which takes every key that this version uses.

Defaults are stated here and in the schema's descriptions, nowhere else.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from dagent.compiler.criteria import read_criteria
from dagent.compiler.dataset import EXTRA
from dagent.compiler.engineer import AUTHORING, read_engineer
from dagent.compiler.engineer import ROLES as ENGINEERING
from dagent.compiler.formats import FORMATS, TITLES
from dagent.compiler.grading import columns
from dagent.compiler.prices import CURRENCY
from dagent.compiler.quantity import CAPPED
from dagent.compiler.read import Reader, inside_text
from dagent.compiler.spec import (
    Budget,
    Caps,
    DataSet,
    Domain,
    Spec,
    Stage,
    Student,
)
from dagent.compiler.where import NotAllowed, Where, parse_where
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Mapping, plain

ROLES = ("seed", "dev", "test", "guard", "pool")
ADAPTERS = ("full", "lora", "qlora")
ENGINES = ("transformers", "vllm")
MOST_ROUNDS = 1000  # at some ten steps a round, as much as a person or a tool can still read
# Which parts of a run can be capped, and by what.
USE = ("calls", "tokens", "money")
JUDGE = "judge"  # of metrics
PARTS = {
    "round": ("rows", *USE, *CAPPED),
    **dict.fromkeys((*ENGINEERING, *AUTHORING, JUDGE), USE),
    "attempt": (*USE, "wall"),
}
# Parts that only one strategy has.
PARTS_OF = {"curriculum": ENGINEERING, "program": (*AUTHORING, "attempt")}


def read_spec(root: Mapping, diagnostics: Diagnostics) -> Spec:
    """The spec that a composed document of the right structure says.

    Whatever no function here takes is refused at its key; after a finding the value returned holds
    defaults, and nothing may use it.
    """
    reader = Reader(root, diagnostics)
    # These were used up by ``compose``; the language has only version 1, which the schema checks.
    for key in ("language", "import", "let", "param"):
        reader.node(key)
    criteria = read_criteria(reader.inner("criteria"))
    engineer = read_engineer(reader.inner("engineer"))
    graders = [m.grader for m in criteria.metrics] + [c.grader for c in engineer.verify]
    extra = columns(graders)
    spec = Spec(
        seed=int(reader.number("seed", 0)),
        domain=_domain(reader.inner("domain")),
        data=tuple(_data(name, block, extra) for name, block in reader.named("data")),
        student=_student(reader.inner("student")),
        engineer=engineer,
        budget=_budget(reader.inner("budget")),
        criteria=criteria,
        train=tuple(_stage(block) for block in reader.items("train")),
        root=root,
    )
    reader.unread()
    return spec


def _domain(block: Reader) -> Domain:
    return Domain(
        name=block.text("name", ""),
        goal=block.prose("goal", ""),
        skills=block.texts("skills"),
        difficulties=block.texts("difficulties"),
        answer=block.prose("answer", None),
        sources=block.texts("sources") or (),
    )


SOURCES = ("path", "hub", "program")
# Keys that only one source, or one role, has a use for.
ONLY_WITH = {"format": "path", "config": "hub", "split": "hub", "revision": "hub"}


def _data(name: str, block: Reader, extra: tuple[str, ...]) -> DataSet:
    given = [key for key in SOURCES if key in block]
    if len(given) != 1:
        several = "has several sources: " + ", ".join(f"`{key}`" for key in given)
        block.diagnostics.error(
            "E307",
            f"data set `{name}` {several if given else 'has no source'}",
            block.key_span(given[1]) if given else block.where,
            "keep one" if given else "give it a `path`, a `hub` or a `program`",
        )
    for key, source in ONLY_WITH.items():
        if key in block and source not in given:
            block.diagnostics.error(
                "E325",
                f"`{key}` says nothing without `{source}`",
                block.key_span(key),
                f"remove it, or read from a `{source}`",
            )
    role = block.choice("role", ROLES, "dev")
    if "mix" in block and role != "seed":
        block.diagnostics.error(
            "E325",
            f"`mix` is for seeds, and `{name}` has the role `{role}`",
            block.key_span("mix"),
            "remove it, or write `role = seed`",
        )
    if "hub" in given and "split" not in block:
        block.diagnostics.error(
            "E103",
            f"data set `{name}` does not say which split it reads",
            block.where,
            "add `split = train`",
        )
    path = block.text("path", "")
    mapped = block.inner("columns")
    for column in EXTRA:
        if column in mapped and column not in extra:
            block.diagnostics.error(
                "E325",
                f"`{column}` is read by no grader of this spec",
                mapped.key_span(column),
                "remove it, or use the grader that reads it",
            )
    return DataSet(
        name=name,
        role=role,
        path=path,
        format=block.choice("format", tuple(TITLES), _format(block, path)),
        hub=block.text("hub", ""),
        config=block.text("config", None),
        split=block.text("split", ""),
        revision=block.text("revision", None),
        program=block.text("program", ""),
        columns={e.key: mapped.text(e.key, "") for e in mapped.block},
        where=_where(block),
        sample=block.amount("sample", "rows", None, least=1),
        mix=bool(block.value("mix")),
        extra=extra,
    )


def _format(block: Reader, path: str) -> str:
    ending = PurePosixPath(path).suffix.lower()
    if path and ending not in FORMATS and "format" not in block:
        block.diagnostics.error(
            "E307",
            f"the ending of `{path}` does not say how to read it",
            block.span("path"),
            "save the rows as CSV or JSON Lines, or say what it is: `format = csv`",
        )
    return FORMATS.get(ending, "jsonl")


def _where(block: Reader) -> Where | None:
    text = block.text("where", None)
    if text is None:
        return None
    try:
        return parse_where(text)
    except NotAllowed as error:
        block.diagnostics.error(
            "E320",
            f"`where`: {error}",
            inside_text(block.span("where"), text, error.start, error.end),
            "write a comparison of columns, such as `len(prompt) < 200 and skill == 'index'`",
        )
        return None


def _student(block: Reader) -> Student:
    return Student(
        model=block.text("model", ""),
        revision=block.text("revision", None),
        adapter=block.choice("adapter", ADAPTERS, "full"),
        lora=block.value("lora") or {},
        template=block.text("template", None),
        system=block.text("system", None),
        max_new_tokens=block.amount("max_new_tokens", "tokens", 32, least=1),
        batch=block.amount("batch", "rows", 256, least=1),
        generation=block.value("generation") or {},
        device=block.text("device", None),
        engine=block.choice("engine", ENGINES, ENGINES[0]),
        trust_remote_code=bool(block.value("trust_remote_code")),
        accelerate=block.text("accelerate", None),
        attn_implementation=block.text("attn_implementation", None),
    )


def _budget(block: Reader) -> Budget:
    rounds = block.amount("rounds", "rounds", 1, least=1)
    if rounds > MOST_ROUNDS:
        block.diagnostics.error(
            "E204",
            f"a plan lists every round, and {rounds} are more than {MOST_ROUNDS}",
            block.span("rounds"),
            f"write at most {MOST_ROUNDS}",
        )
    run = Caps(
        rounds=rounds,
        rows=block.amount("rows", "rows", None, least=1),
        calls=block.amount("calls", "calls", None),
        tokens=block.amount("tokens", "tokens", None),
        money=_money(block),
        wall=block.amount("wall", "time", None),
        gpu=block.amount("gpu", "time", None),
    )
    per = {name: _part(part, name) for name, part in block.named("per")}
    return Budget(rounds=rounds, run=run, per=per, prices=block.text("prices", None))


def _part(block: Reader, name: str) -> Caps:
    """The caps of a part; ``check_budget`` refuses a part that there is not."""
    caps: dict[str, Any] = {
        kind: _money(block)
        if kind == "money"
        else block.amount(kind, CAPPED[kind], None)
        if kind in CAPPED
        else block.amount(kind, kind, None, least=1)
        for kind in PARTS.get(name, PARTS["round"])
        if kind in block
    }
    for entry in block.block:
        if entry.key in caps:
            continue
        block.node(entry.key)
        block.diagnostics.error(
            "E413",
            f"`{entry.key}` cannot be capped per {name}",
            entry.key_span,
            f"cap it for the whole run, or `per round`; {_why_not(entry.key, name)}",
        )
    return Caps(**caps)


def _why_not(kind: str, name: str) -> str:
    if kind == "rows":
        return f"the rows of a {name} are not counted" if name == "attempt" else "a role keeps none"
    if name == "attempt":
        return "`wall` holds for the trainings of a program too"
    return "a role asks a language model, which runs elsewhere: cap its calls, tokens or money"


def _money(block: Reader) -> float | None:
    """In the currency of the price table: the run converts nothing."""
    money = block.amount("money", "money", None)
    if money is not None and money.currency != CURRENCY:
        block.diagnostics.error(
            "E857",
            f"prices are known in {CURRENCY}, and this is in {money.currency}",
            block.span("money"),
            f"write the amount in {CURRENCY}",
        )
        return None
    return None if money is None else money.amount


def _stage(block: Reader) -> Stage:
    stage = block.text("stage", "sft")
    args: dict[str, Any] = {}
    for entry in block.block:
        if entry.key != "stage":
            node = block.node(entry.key)
            args[entry.key] = None if node is None else plain(node)
    return Stage(stage, args)
