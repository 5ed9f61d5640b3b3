from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest

PROGRAMS = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


@pytest.fixture(scope="session")
def models(load: Callable[[str], ModuleType]) -> ModuleType:
    """``model.py``: the stand-ins for author and teacher."""
    return load("program/model.py")


@dataclass(frozen=True)
class Done:
    """A project after its execution."""

    folder: Path
    model: Any
    server: Any

    @property
    def events(self) -> list[dict[str, Any]]:
        return read_events(journal_path(self.folder, latest(self.folder) or ""))

    @property
    def end(self) -> dict[str, Any]:
        return [e for e in self.events if e["event"].startswith("execution_")][-1]

    def finished(self, step: str) -> dict[str, Any]:
        return [e for e in self.events if e["event"] == "step_finished" and e["step"] == step][-1]

    def path(self, output: str) -> Path:
        step, _, name = output.partition("/")
        made = self.finished(step)["outputs"][name]["path"]
        return self.folder / ".dagent/store" / made

    def rows(self, output: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path(output).read_text().splitlines()]

    def json(self, output: str) -> Any:
        return json.loads(self.path(output).read_text())

    def digest(self, output: str) -> str:
        step, _, name = output.partition("/")
        digest: str = self.finished(step)["outputs"][name]["digest"]
        return digest

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """Of all rounds that got so far."""
        steps = [
            e["step"]
            for e in self.events
            if e["event"] == "step_finished" and e["kind"] == "author"
        ]
        found: list[dict[str, Any]] = self.json(f"{steps[-1]}/log")["attempts"]
        return found


def spec(stub: ModuleType, base: str, more: str = "", budget: str = "", rounds: int = 1) -> str:
    text: str = stub.SPEC.replace("strategy = curriculum", "strategy = program")
    text = text.replace(
        PROGRAMS,
        f'  author  {{ lm = "openai/author"  api_base = "{base}" }}\n'
        f'  teacher {{ lm = "openai/teacher"  api_base = "{base}" }}\n{more}',
    )
    assert base in text
    text = text.replace("rounds <= 3", f"rounds <= {rounds}  {budget}")
    return text.replace("rows <= 60", "rows <= 200")


@pytest.fixture(scope="module")
def executed(
    stub: ModuleType,
    models: ModuleType,
    lm_server: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """``executed(author, more, budget, rounds)``: a project compiled and executed in a folder."""
    running = []

    def execute(
        write: Any,
        more: str = "",
        budget: str = "",
        rounds: int = 1,
        prepare: Any = None,
        change: Any = None,
    ) -> Done:
        model = models.Model(write)
        server = lm_server.Server(model).__enter__()
        running.append(server)
        text = spec(stub, server.base, more, budget, rounds)
        text = change(text) if change else text
        folder = stub.make_project(tmp_path_factory.mktemp("program"), text)
        if prepare:
            prepare(folder)
        stub.run_project(folder)
        return Done(folder, model, server)

    yield execute
    for server in running:
        server.__exit__(None, None, None)
