"""Optimised prompts in MLflow's prompt registry, whose page shows versions side by side.

A version is a prompt that differs, not an execution: two that use the same one share it. Its tag
``dagent.prompt`` is the ``prompt_version`` of the rows that were written by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dagent.runtime.traces import point_at

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROMPT_TAG = "dagent.prompt"


def register(client: MlflowClient, run: str, plan: str, program: Mapping[str, Any]) -> None:
    """Make ``PLAN.ROLE`` have a version with this program's texts, and link it to the run."""
    name = prompt_name(plan, program["role"])
    # The newest first: an older version with the same texts is as good.
    known = client.search_prompt_versions(name) if client.get_prompt(name) else ()
    prompt = next((v for v in known if v.tags.get(PROMPT_TAG) == program["version"]), None)
    if prompt is None:
        prompt = client.register_prompt(
            name,
            as_text(program["state"]),
            commit_message=f"By optimise.{program['role']}",
            tags={PROMPT_TAG: program["version"]},
        )
    point_at(client.tracking_uri)
    client.link_prompt_version_to_run(run, prompt)


def prompt_name(plan: str, role: str) -> str:
    """MLflow allows letters, digits and ``_ - .`` in names of prompts.

    >>> prompt_name("sums, and more", "generator")
    'sums--and-more.generator'
    """
    return re.sub(r"[^\w.-]", "-", f"{plan}.{role}", flags=re.ASCII)


def as_text(state: Mapping[str, Any]) -> str:
    """The instructions and demonstrations of each predictor of a DSPy program, to be read."""
    return "\n\n".join(part for name in state for part in _predictor(name, state[name]))


def _predictor(name: str, state: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {name}\n\n{state['signature']['instructions']}"
    for number, demo in enumerate(state["demos"], 1):
        shown = (
            f"{field}: {said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)}"
            for field, said in demo.items()
        )
        yield f"## Demonstration {number}\n\n" + "\n".join(shown)
