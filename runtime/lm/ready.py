"""What would keep a plan's language models from answering, found before anything is spent. Nothing
is sent anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagent.compiler.plan import Step, digest
from dagent.compiler.providers import OPENAI
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.lm.connect import model
from dagent.runtime.lm.endpoint import Endpoint, no_key
from dagent.runtime.lm.failures import Fatal

# By these other tools are told to ask another server than OpenAI's, with OPENAI_API_KEY.
MOVED = ("OPENAI_BASE_URL", "OPENAI_API_BASE")


def unready(steps: Iterable[Step]) -> Iterator[Diagnostic]:
    """Keys and addresses that are missing or unclear, and options that a model does not take."""
    asked = [found for step in steps for found in models(step.params)]
    for lm, options in {digest(found): found for found in asked}.values():
        endpoint = Endpoint(**lm, options=dict(options))
        try:
            endpoint.key()
            if endpoint.compatible:
                _ = endpoint.base
            _stays(endpoint)
            for name in _others_keys(endpoint):
                raise no_key(endpoint.model, name)
            model(endpoint)
        except Refused as refused:
            yield from refused.diagnostics


def models(value: Any) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every language model within the parameters of a step, with the options of its requests."""
    if isinstance(value, Mapping):
        if "lm" in value:
            yield value["lm"], value.get("options", {})
        for part in value.values():
            yield from models(part)
    elif isinstance(value, list):
        for part in value:
            yield from models(part)


def _stays(endpoint: Endpoint) -> None:
    """
    Raises:
        Fatal: E862, the environment names another server than the one that would get the key.
    """
    for name in MOVED if endpoint.official and not endpoint.api_base else ():
        there = os.environ.get(name, "").rstrip("/")
        if there and there != OPENAI:
            raise Fatal(
                Diagnostic(
                    "E862",
                    f"`{name}` is set, and nothing in the spec says that `{endpoint.model}` is "
                    f"served anywhere but at {OPENAI}",
                    suggestion=f'add `api_base = "{there}"` and `api_key = $key` beside it, with '
                    "`param key { env = OPENAI_API_KEY  secret = true }`; or "
                    f"`unset {name}` to ask OpenAI itself",
                )
            )


def _others_keys(endpoint: Endpoint) -> list[str]:
    """Variables that are missing, of providers with a language of their own, as LiteLLM knows."""
    if endpoint.compatible or endpoint.key_name is not None:
        return []
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # its table, not the network's
    try:
        from litellm import validate_environment
    except ImportError:
        return []
    missing: list[str] = validate_environment(endpoint.model)["missing_keys"]
    return missing
