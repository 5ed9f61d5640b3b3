"""Where a language model is and how it is asked: what the plan says of it, the key by name only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagent.compiler.providers import COMPATIBLE, OPENAI, prefix, speaks_openai
from dagent.dsl.diagnostics import Diagnostic
from dagent.runtime.lm.failures import Fatal

# The least that DSPy accepts for OpenAI's reasoning models, and what a small context has room for.
MAX_TOKENS = {"openai": 16000, "other": 4096}
_REASONING = re.compile(r"(o[1345]|gpt-5)(?![a-z0-9])(?!.*-chat)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``model`` is LiteLLM's name, such as ``openai/gpt-5.2``; ``options`` go into every request.

    ``max_tokens`` bounds each answer; without one it is 16000 for OpenAI's models, at a gateway
    too, and 4096 for others, since a call's worst case must be known before it is made. ``price``
    holds the fields of ``Price``; without one, a call counts for no money. ``batch`` is for calls
    that go in waves: a wave is one batch of the provider's, at its price.
    """

    model: str
    api_base: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    batch: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    price: Mapping[str, float] | None = None

    @property
    def compatible(self) -> bool:
        """Whether the fast path speaks the server's language."""
        return speaks_openai(self.model, self.api_base)

    @property
    def official(self) -> bool:
        """Whether this is OpenAI itself, whose options differ a little from its imitators'."""
        return self.compatible and self.base == OPENAI

    @property
    def most(self) -> int:
        """Tokens of an answer at most."""
        large = self.official or _REASONING.match(self.model.rpartition("/")[2])
        return self.max_tokens or MAX_TOKENS["openai" if large else "other"]

    @property
    def name(self) -> str:
        """The model's name as the server knows it."""
        return self.model.partition("/")[2] if self._head in COMPATIBLE else self.model

    @property
    def base(self) -> str:
        """The address that ``/chat/completions`` follows.

        Raises:
            Fatal: E852 when nothing says where the server is.
        """
        base = self.api_base or COMPATIBLE.get(self._head, (None, None))[0]
        if base is None:
            raise Fatal(
                Diagnostic(
                    "E852",
                    f"nothing says where `{self.model}` is served",
                    suggestion='add `api_base = "http://HOST:PORT/v1"`',
                )
            )
        return base.rstrip("/")

    @property
    def key_name(self) -> str | None:
        """The variable that holds the key; ``None`` where none is needed.

        A provider's own variable is read only at the provider's own address: a key is sent nowhere
        else unless the spec names it.
        """
        if self.api_key_env or self.api_base:
            return self.api_key_env
        return COMPATIBLE.get(self._head, (None, None))[1]

    def key(self) -> str | None:
        """The key itself, for the request and for nothing else.

        Raises:
            Fatal: E850 when its variable is not set.
        """
        if self.key_name is None:
            return None
        key = os.environ.get(self.key_name)
        if not key:
            raise no_key(self.model, self.key_name)
        return key

    def without_key(self, text: str) -> str:
        """What a server said, should it repeat the key."""
        key = self.key()
        return text.replace(key, "…") if key else text

    @property
    def _head(self) -> str:
        return prefix(self.model)


def no_key(model: str, variable: str) -> Fatal:
    return Fatal(
        Diagnostic(
            "E850",
            f"`{model}` needs a key, and `{variable}` is not set",
            suggestion=f"export {variable}=…, and run the same command again",
        )
    )
