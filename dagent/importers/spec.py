"""A config -> the text of a spec; what did not map, and what is still to say, as comments."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagent.compiler.pipeline import check
from dagent.dsl.diagnostics import Diagnostic, Diagnostics, Refused
from dagent.dsl.document import plain
from dagent.dsl.fmt import Syntax, format_source
from dagent.dsl.parse_yaml import parse_yaml
from dagent.dsl.source import Source
from dagent.importers import axolotl, llama_factory, oumi
from dagent.importers.draft import Draft, weed

TOOLS = {"axolotl": axolotl, "llama-factory": llama_factory, "oumi": oumi}
_NAME = re.compile(r"[^A-Za-z0-9_-]+")

# What no training config says. The files do not exist: `dagent check` names them until they do.
_DEV = {"role": "dev", "path": "dev.jsonl"}
_TEST = {"role": "test", "path": "test.jsonl"}
_GOAL = "TODO: say in plain words what the model is to become good at."
_ENGINEER = {"strategy": "curriculum", "generator": {"program": "programs.py:generate"}}
_BUDGET = {"rounds": 3, "per": {"round": {"rows": "1k rows"}}}
_CRITERIA = {"metric": {"accuracy": {"grader": "exact"}}}


@dataclass(frozen=True)
class Imported:
    """``lost`` are the keys that did not map, with the reason; ``remarks`` what else to know;
    ``files`` the rows that the spec names, by file."""

    tool: str
    text: str
    files: Mapping[str, str]
    lost: Mapping[str, str]
    remarks: tuple[str, ...]


def read_config(source: Source, tool: str | None, to: Syntax) -> Imported:
    """The spec that a config of another tool comes to, canonical, in the syntax ``to``.

    Raises:
        Refused: when it is no YAML, of no tool that is known (E620), or of a method without a stage
            (E621).
    """
    diagnostics = Diagnostics()
    root = parse_yaml(source, diagnostics)
    diagnostics.gate()
    config = {} if root is None else plain(root)
    module = TOOLS.get(tool or "") or next((t for t in TOOLS.values() if t.is_mine(config)), None)
    if module is None or not module.is_mine(config):
        raise Refused(_unknown(source.name, tool))
    draft = module.read(config, source.name)
    weed(draft)
    return _write(draft, Path(source.name), to)


def _unknown(file: str, tool: str | None) -> Diagnostic:
    wanted = f"a config of {tool}" if tool else "a config of Axolotl, LLaMA-Factory or Oumi"
    return Diagnostic(
        "E620",
        f"this is not {wanted}",
        suggestion="a config for training names its model: `base_model`, `model_name_or_path`, "
        "or `model_name` in `model`",
        file=file,
    )


def _write(draft: Draft, file: Path, to: Syntax) -> Imported:
    document = _document(draft, file)
    document["student"]["adapter"] = draft.student["adapter"]
    if draft.student["adapter"] == "full":
        draft.lost |= {f"lora.{name}": "the whole model is trained" for name in draft.lora}
        document["student"].pop("lora", None)
    aside, files = {}, {}
    for name, full, data in _named(draft.data):
        if rows := draft.rows.get(full):
            data = {"role": data["role"], "path": f"{name}.jsonl", **data}
            lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            files[data["path"]] = "".join(lines)
        if _runs(_with_data(document, name, data), but="train"):
            document["data"][name] = data
        else:
            aside[name] = data
    text = "\n".join((*_head(draft, file), *_body(document, aside, to)))
    made = format_source(Source("spec.yaml", text + "\n"), Diagnostics(), to)
    assert made is not None, "a test imports configs of every tool"
    return Imported(draft.tool, made, files, draft.lost, tuple(draft.remarks))


def _document(draft: Draft, file: Path) -> dict[str, Any]:
    student = {"model": None, "adapter": None, **draft.student, "lora": draft.lora}
    name = _NAME.sub("-", file.stem).strip("-_") or "my-domain"
    return {
        **({"seed": draft.seed} if draft.seed is not None else {}),
        "domain": {"name": name, "goal": _GOAL},
        "data": {"dev": _DEV, "test": _TEST},
        "student": {key: value for key, value in student.items() if value != {}},
        "engineer": _ENGINEER,
        "budget": _BUDGET,
        "criteria": _CRITERIA,
        "train": [{"stage": draft.stage, **draft.train}],
    }


def _runs(document: Mapping[str, Any], but: str = "") -> bool:
    """Whether this version supports all that the document says, the block ``but`` aside."""
    if but:
        document = {**document, but: [{"stage": "sft"}]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        return all(found.code != "E190" for found in check(path))


def _with_data(document: dict[str, Any], name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {**document, "data": {**document["data"], name: data}}


def _named(data: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """The data sets under names that a spec allows, none twice, each with its own name."""
    taken = {"dev", "test"}
    for full, fields in data.items():
        name = _NAME.sub("-", full.rstrip("/").rpartition("/")[2].partition(".")[0]).strip("-")
        name = name if name[:1].isalpha() else f"set-{name}"
        unique = next(n for n in (name, *(f"{name}-{i}" for i in range(2, 99))) if n not in taken)
        taken.add(unique)
        yield unique, full, fields


# --- text --------------------------------------------------------------------------------------


def _head(draft: Draft, file: Path) -> Iterator[str]:
    yield f"# Made from {file.name}, a config of {draft.tool}, by `dagent init --from`."
    yield "# TODO marks what dagent needs and that config does not say."
    if draft.lost:
        yield "#"
        yield "# Not taken over:"
        yield from (f"#   {key}: {why}" for key, why in draft.lost.items())
    if draft.remarks:
        yield "#"
        yield "# To know:"
        yield from (f"#   {remark}" for remark in draft.remarks)
    yield ""


_TODO = {
    ("domain", "goal"): ("TODO: the goal; agents read it.",),
    ("data", "dev"): (
        "TODO: rows of your own to measure on, each with `prompt` and `answer`. dev guides the",
        "rounds; test is opened once, at the end.",
    ),
    ("engineer", "generator"): (
        "TODO: who makes the rows to train on: here your function",
        "`generate(skill, difficulty, n, seed)`, which returns rows.",
    ),
    ("budget", "rounds"): ("TODO: what the run may cost at most.",),
    ("criteria", "metric"): ("TODO: how an answer is judged.",),
}


def _body(document: Mapping[str, Any], aside: Mapping[str, Any], to: Syntax) -> Iterator[str]:
    """The document as YAML, with a remark before each thing to do."""
    for block, value in document.items():
        if not isinstance(value, Mapping):
            yield f"{block}: {json.dumps(value)}"
            continue
        yield f"{block}:"
        if block == "data" and aside:
            yield "  # Data sets of the config, which this version does not read yet:"
            yield from (f"  #   {line}" for line in _shown({"data": aside}, to))
        for key, inner in value.items():
            yield from (f"  # {line}" for line in _to_do(block, key, inner))
            yield f"  {key}: {json.dumps(inner)}"
        yield ""


def _to_do(block: str, key: str, value: Any) -> tuple[str, ...]:
    if block == "data" and "hub" in value and "revision" not in value:
        return ('TODO: pin it to a commit, `revision = "…"`; compiling asks no network.',)
    return _TODO.get((block, key), ())


def _shown(document: Mapping[str, Any], to: Syntax) -> list[str]:
    text = format_source(Source("part.yaml", json.dumps(document)), Diagnostics(), to)
    return [line for line in (text or "").splitlines() if line]
