"""What would keep a plan's language models from answering, found before anything is spent. Nothing
is sent anywhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagent.compiler.plan import Step, digest
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.lm.connect import model
from dagent.runtime.lm.endpoint import Endpoint, no_key


def unready(steps: Iterable[Step]) -> Iterator[Diagnostic]:
    """Keys and addresses that are missing, and options that a model does not take."""
    asked = [found for step in steps for found in models(step.params)]
    for lm, options in {digest(found): found for found in asked}.values():
        endpoint = Endpoint(**lm, options=dict(options))
        try:
            endpoint.key()
            if endpoint.compatible:
                _ = endpoint.base
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
