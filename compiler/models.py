"""Language models as the spec names them: for a role of the engineer, or for a metric's judge."""

from __future__ import annotations

import re

from dagent.compiler.providers import speaks_openai
from dagent.compiler.read import Reader
from dagent.compiler.secrets import REMEDY
from dagent.compiler.spec import LanguageModel

KEYS = ("lm", "api_base", "api_key", "temperature", "max_tokens", "batch")
_VARIABLE = re.compile(r"\{env ([^}]+)\}")  # what `$NAME` of a secret parameter became


def without_model(block: Reader, key: str) -> None:
    block.node(key)
    block.diagnostics.error(
        "E650", f"`{key}` without a model", block.key_span(key), 'add `lm = "…"`'
    )


def read_lm(block: Reader, common: LanguageModel | None) -> LanguageModel | None:
    """The model of a block, what it leaves out taken from ``common``."""
    own = block.text("lm", None)
    if own is None and common is None:
        for key in (k for k in KEYS[1:] if k in block):
            without_model(block, key)
        return None
    base = common or LanguageModel("", None, None, None, None)
    # Another model is served elsewhere: neither address nor key may be carried over to it.
    same = own is None or own == base.name
    temperature: float | None = block.value("temperature")
    found = LanguageModel(
        name=own or base.name,
        api_base=block.text("api_base", base.api_base if same else None),
        api_key=_key(block) if "api_key" in block else base.api_key if same else None,
        temperature=base.temperature if temperature is None else temperature,
        max_tokens=block.amount("max_tokens", "tokens", base.max_tokens, least=1),
        batch=block.flag("batch", base.batch if same else False),
    )
    if "batch" in block and found.batch and not speaks_openai(found.name, found.api_base):
        block.diagnostics.error(
            "E657",
            f"the provider of `{found.name}` takes no batches in the way that OpenAI does",
            block.key_span("batch"),
            "remove `batch`, or name a model of such a provider",
        )
    return found


def _key(block: Reader) -> str | None:
    found = _VARIABLE.fullmatch(block.text("api_key", ""))
    if found is None:
        block.diagnostics.error(
            "E651", "`api_key` is not a secret parameter", block.span("api_key"), REMEDY
        )
    return found[1] if found else None
