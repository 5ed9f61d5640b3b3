"""The short way of a call that is text: its body without DSPy's typed request in between.

DSPy turns messages and options into a request of its own, our engine turns that into a body, and
the answer takes the same way back: four tenths of what a call computes. Here what the options
become is worked out once, by DSPy's own functions, and the messages alone are written for each
call. The body is DSPy's to the byte, since answers are found again by it. Whatever is not plain
takes the long way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dagent.runtime.lm.answers import Answer
from dagent.runtime.lm.endpoint import Endpoint

if TYPE_CHECKING:
    from dspy.lm15 import OpenAIChatLM

# Options that change the request alone: not how often it is sent, nor how its answer is read.
OPTIONS = frozenset(
    {
        "temperature", "max_tokens", "max_completion_tokens", "top_p", "seed", "stop",
        "presence_penalty", "frequency_penalty", "reasoning_effort", "response_format",
    }
)  # fmt: skip
IGNORED = {"rollout_id", "cache"}  # DSPy's cache is off; the rollout is part of the answer's key
PLACE = "these are the messages"
ROLES = ("user", "assistant")


class Body(NamedTuple):
    """A request as it is sent, and the most tokens that it lets an answer have."""

    content: bytes
    max_tokens: int | None


class _Row(msgspec.Struct):
    role: str
    content: str


class _Frame(NamedTuple):
    head: bytes
    tail: bytes
    max_tokens: int | None


@cache
def dialect(official: bool) -> OpenAIChatLM:
    """Writes a request as the body that OpenAI's server reads, or its imitators' do. It only writes
    bodies: the address and the key are the wire's."""
    from dspy.lm15 import OpenAIChatLM

    compat = "openai" if official else "ollama"
    return OpenAIChatLM(api_key="unused", base_url="http://unused", compat=compat)


def body(endpoint: Endpoint, messages: Any, options: Mapping[str, Any]) -> Body | None:
    """What DSPy would send, if the call is plain."""
    sent = {k: v for k, v in options.items() if v is not None and k not in IGNORED}
    if not OPTIONS.issuperset(sent) or not isinstance(messages, list) or not messages:
        return None
    rows = []
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.keys() != {"role", "content"}:
            return None
        row = _Row(**message)
        first = place == 0 and len(messages) > 1 and row.role == "system"
        if not (first or row.role in ROLES) or type(row.content) is not str or not row.content:
            return None
        rows.append(row)
    try:
        # As text: of equal keys, 1 and 1.0 would be one.
        written = msgspec.json.encode(sent)
        frame = _frame(endpoint.official, endpoint.model, endpoint.name, written)
        return Body(frame.head + msgspec.json.encode(rows) + frame.tail, frame.max_tokens)
    except (TypeError, UnicodeEncodeError):  # a schema that is a class; text that is no Unicode
        return None


def text(answer: Answer) -> str | None:
    """All that the answer holds, if that is a text which came to its end."""
    choices = answer["choices"]
    said, rest = None, choices[1:]
    for name, value in choices[0]["message"].items():
        if name == "content":
            said = value
        elif name != "role" and value:
            return None
    plain = choices[0].get("finish_reason") == "stop" and not rest and not answer.get("error")
    return said if plain and isinstance(said, str) else None


@lru_cache(256)
def _frame(official: bool, model: str, name: str, options: bytes) -> _Frame:
    from dspy.lm15 import request_from_openai_chat

    messages = [{"role": "user", "content": PLACE}]
    asked = {"model": model, "messages": messages, **msgspec.json.decode(options)}
    request = replace(request_from_openai_chat(asked), model=name)
    content: bytes = dialect(official).build_request(request, stream=False).body
    head, tail = content.split(msgspec.json.encode(messages))
    return _Frame(head, tail, request.config.max_tokens)
