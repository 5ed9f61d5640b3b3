"""A small project to compile: data, programs and a spec as a dict, in a folder of its own."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dagent.compiler.pipeline import Compiled, check, compile
from dagent.compiler.settings import Settings
from dagent.dsl.diagnostics import Diagnostic

PROGRAMS = """
def generate(skill, difficulty, n, seed, style="plain"): ...
def verify(row): ...
def diagnose(rows): ...
def refine(row): ...
def grade(answer, row): ...
def plan(task, *, eager=False): ...
def rows(): ...
async def later(row): ...
"""
SPEC: dict[str, Any] = {
    "domain": {"name": "demo", "goal": "Answer."},
    "data": {
        "dev": {"role": "dev", "path": "dev.jsonl"},
        "test": {"role": "test", "path": "test.jsonl"},
    },
    "student": {"model": "./model"},
    "engineer": {"strategy": "curriculum", "generator": {"program": "programs.py:generate"}},
    "budget": {"rounds": 2, "per": {"round": {"rows": 100}}},
    "criteria": {"metric": {"accuracy": {"grader": "exact"}}},
    "train": [{"stage": "sft", "learning_rate": 0.001}],
}
GUARD = {
    "data": {"old": {"role": "guard", "path": "guard.jsonl"}},
    "criteria": {"guard": {"old": {"max_drop": "2pp"}}},
}


def rows(name: str, n: int) -> list[dict[str, Any]]:
    return [
        {"prompt": f"{name} {i}", "answer": str(i), "skill": "ab"[i % 2], "difficulty": i % 3}
        for i in range(n)
    ]


def join(below: Any, above: Any) -> Any:
    """``above`` over ``below``, block by block; None removes a key."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return copy.deepcopy(above)
    out = copy.deepcopy(below)
    for key, value in above.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = join(out.get(key), value)
    return out


@dataclass
class Project:
    folder: Path
    GUARD = GUARD
    SPEC = SPEC
    join = staticmethod(join)

    def write_rows(self, name: str, values: Iterable[Any]) -> None:
        (self.folder / name).write_text("".join(json.dumps(v) + "\n" for v in values))

    def spec(self, change: dict[str, Any] | None = None, name: str = "spec.yaml") -> Path:
        """Writes the base spec with a change; JSON is YAML."""
        return self.text(json.dumps(join(SPEC, change or {}), indent=1), name)

    def text(self, text: str, name: str = "spec.yaml") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def compile(self, change: dict[str, Any] | None = None, *sets: str, **env: str) -> Compiled:
        return compile(self.spec(change), Settings(sets, env))

    def codes(self, change: dict[str, Any] | None = None, *sets: str, **env: str) -> list[str]:
        """Codes of the errors, sorted."""
        found = self.found(change, *sets, **env)
        return sorted(d.code for d in found if d.severity == "error")

    def found(
        self, change: dict[str, Any] | None = None, *sets: str, **env: str
    ) -> tuple[Diagnostic, ...]:
        return check(self.spec(change), Settings(sets, env))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    for name, n in (("dev", 40), ("test", 30), ("guard", 20)):
        made.write_rows(f"{name}.jsonl", rows(name, n))
    (tmp_path / "programs.py").write_text(PROGRAMS)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 60]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + bytes(60)
    (model / "model.safetensors").write_bytes(weights)
    return made
