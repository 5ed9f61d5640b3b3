"""A small project that a stand-in model engineers, played from compile to champion, and what the
model was asked on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dagent.runtime.journal import read_events
from dagent.runtime.rehearsal.serving import inputs
from dagent.runtime.status import journal_path, latest

PROGRAMS = """  planner   { policy = error-driven }
  generator { program = "sums.py:generate" }
  verifier  { program = "sums.py:verify" }
"""


def spec(
    stub: ModuleType,
    base: str,
    more: str = "",
    blocks: str = "",
    rounds: int = 1,
    rows: int = 30,
    grader: str = "exact",
    **inside: str,
) -> str:
    """The sums project with ``more`` said of its engineer, further ``blocks``, and for each name of
    ``inside`` the further text in that block."""
    text: str = stub.SPEC.replace(PROGRAMS, f'  lm = "openai/fake"\n  api_base = "{base}"\n{more}')
    assert base in text
    text = text.replace("rounds <= 3", f"rounds <= {rounds}")
    text = text.replace("grader = exact", f"grader = {grader}")
    for block, said in inside.items():
        assert f"{block} {{" in text
        text = text.replace(f"{block} {{", f"{block} {{ {said} ")
    return text.replace("rows <= 60", f"rows <= {rows}") + blocks


@dataclass(frozen=True)
class Played:
    folder: Path
    server: Any
    asks_for: Any

    @property
    def events(self) -> list[dict[str, Any]]:
        return read_events(journal_path(self.folder, latest(self.folder) or ""))

    def path(self, output: str) -> Path:
        """Where an output lies, such as ``r1.mix/train``."""
        step, name = output.split("/")
        (event,) = [e for e in self.events if e["event"] == "step_finished" and e["step"] == step]
        return self.folder / ".dagent/store" / event["outputs"][name]["path"]

    def rows(self, output: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path(output).read_text().splitlines()]

    def read(self, output: str) -> Any:
        return json.loads(self.path(output).read_text())

    def asked(self, role: str, round: int | None = None) -> list[dict[str, str]]:
        """The fields of the prompts of a role, in the order they came; those of a round, where the
        planner, whom every round asks first, says how many are left."""
        found, now, most = [], 0, 0
        for request in self.server.requests:
            given, who = inputs(request), self.asks_for(request)
            if who == "planner":
                left = json.loads(given["budget"])["rounds_left"]
                most = max(most, left)
                now = most - left + 1
            if who == role and round in (None, now):
                found.append(given)
        return found
