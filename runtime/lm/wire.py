"""Sending one request and reading one answer: over HTTP to a server that speaks OpenAI's language,
or through LiteLLM to any other. No retries here, and no key in any message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from dagent.runtime.lm.answers import Answer
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.failures import told
from dagent.runtime.lm.pace import retry_after

if TYPE_CHECKING:
    import aiohttp

# auth, keyless, model, credit, batch, cancelled: nothing of this kind can succeed, or is wanted.
# request: this one cannot. busy, down: later, and nothing was billed. lost: the server had it, and
# nobody knows whether it billed it.
Kind = Literal[
    "auth", "keyless", "model", "credit", "batch", "cancelled", "request", "busy", "down", "lost"
]
SHOWN = 300  # characters of a server's message
SECRET = 16  # characters from which a key is taken for one
ANSWER, FILE = 2**24, 2**30  # bytes that are read of an answer, and of a file


class Trouble(Exception):
    """A request without an answer. ``after`` is how long the server asked to wait, in seconds;
    ``held`` that it may still have the request, so that the run ends and goes on from there."""

    def __init__(
        self, kind: Kind, message: str, after: float | None = None, held: bool = False
    ) -> None:
        super().__init__(told(message))
        self.kind = kind
        self.after = after
        self.held = held


class Wire(Protocol):
    async def send(self, body: bytes, timeout: float, call: str) -> Answer:
        """The answer to an OpenAI chat request, as an OpenAI chat completion. No two attempts have
        the same ``call``.

        Raises:
            Trouble: if there is none.
        """
        ...


@dataclass(frozen=True)
class HttpWire:
    """Connections are kept by ``session`` and used again."""

    endpoint: Endpoint
    session: aiohttp.ClientSession

    async def send(self, body: bytes, timeout: float, call: str) -> Answer:
        content = await exchange(
            self.endpoint,
            self.session,
            "POST",
            "/chat/completions",
            timeout,
            most=ANSWER,
            data=body,
            headers={"Content-Type": "application/json"},
        )
        try:
            answer = decoded(content)
        except (ValueError, RecursionError):
            answer = None
        if not is_completion(answer):
            raise Trouble("lost", f"the answer of {self.endpoint.base} is no chat completion")
        found: Answer = answer
        return found


async def exchange(
    endpoint: Endpoint,
    session: aiohttp.ClientSession,
    method: str,
    path: str,
    timeout: float,
    *,
    most: int = FILE,
    headers: Mapping[str, str] | None = None,
    **content: Any,
) -> bytes:
    """Ask the server of ``endpoint``, and read what it answers: ``most`` bytes.

    Raises:
        Trouble: it did not, or refused.
    """
    import aiohttp

    key = endpoint.key()
    sent = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
    url = f"{endpoint.base}{path}"
    limits = aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 30.0))
    try:
        async with session.request(
            method,
            url,
            headers=sent,
            timeout=limits,
            proxy=proxy(endpoint.base),
            allow_redirects=False,
            **content,
        ) as reply:
            answer = await _read(reply, most)
    # Refused before it was sent; everything later may have reached the model.
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Trouble("down", f"no connection to {url}: {plain(error)}") from None
    except TimeoutError:
        raise Trouble("lost", f"no answer from {url} within {timeout:.0f} s") from None
    except (aiohttp.ClientError, ConnectionError) as error:
        raise Trouble("lost", f"{url} broke off: {plain(error)}") from None
    if not 200 <= reply.status < 300:
        message, code = _message(answer)
        kind = kind_of(reply.status, code)
        raise Trouble(
            "keyless" if kind == "auth" and key is None else kind,
            f"HTTP {reply.status}: {endpoint.without_key(message)[:SHOWN]}",
            retry_after(reply.headers.get("Retry-After")),
        )
    # Rows and traces are made of answers. What servers without keys are given, such as `EMPTY`, may
    # be a word of theirs.
    return answer.replace(key.encode(), "…".encode()) if key and len(key) >= SECRET else answer


async def _read(reply: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body, unpacked; a server may send without end."""
    parts, size = [], 0
    async for part in reply.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            raise Trouble("lost", f"the answer of {reply.url} has more than {most:,} bytes")
    return b"".join(parts)


@cache
def proxy(base: str) -> str | None:
    """The proxy that the environment names for an address, read once. aiohttp's ``trust_env`` would
    read it anew for every request, in a thread, and send passwords from ``~/.netrc``."""
    address = urlsplit(base)
    if address.hostname is None or proxy_bypass(address.hostname):
        return None
    return getproxies().get(address.scheme)


@dataclass(frozen=True)
class LiteLLMWire:
    """Any provider that DSPy reaches, natively or by LiteLLM."""

    endpoint: Endpoint

    async def send(self, body: bytes, timeout: float, call: str) -> Answer:
        import dspy
        from dspy.lm15 import request_from_openai_chat
        from dspy.utils.exceptions import LMError

        endpoint = self.endpoint
        key = endpoint.key()
        client = {"api_key": key, "api_base": endpoint.api_base}
        request = request_from_openai_chat(json.loads(body))
        try:
            lm = dspy.LM(
                request.model,
                cache=False,
                num_retries=0,
                timeout=timeout,
                **{name: value for name, value in client.items() if value},
            )
            with dspy.context(disable_history=True, usage_tracker=None, callbacks=[]):
                return _completion(await asyncio.wait_for(lm.acall(request), timeout))
        except TimeoutError:
            raise Trouble("lost", f"no answer of {request.model} within {timeout:.0f} s") from None
        except LMError as error:
            message = endpoint.without_key(error.message)
            kind = "model" if error.status == 404 else _KINDS.get(type(error).__name__, "down")
            raise Trouble(kind, message.splitlines()[0][:SHOWN], error.retry_after) from None


_KINDS: dict[str, Kind] = {
    "LMAuthError": "auth",
    "LMNotConfiguredError": "auth",
    "LMBillingError": "credit",
    "LMUnsupportedModelError": "model",
    "LMConfigurationError": "model",
    "LMInvalidRequestError": "request",
    "LMUnsupportedFeatureError": "request",
    "ContextWindowExceededError": "request",
    "LMRateLimitError": "busy",
    "LMTimeoutError": "lost",
    "LMTransportError": "lost",
    "LMProviderError": "lost",
    "LMStreamAssemblyError": "lost",
    "LMUnexpectedError": "lost",
}


def kind_of(status: int, code: str) -> Kind:
    """What an HTTP status means; ``code`` is the provider's own word, if it gave one."""
    if status in (401, 403):
        return "auth"
    if status == 402 or code == "insufficient_quota":
        return "credit"
    if status == 404 or code == "model_not_found":
        return "model"
    if status == 429:
        return "busy"
    if status in (408, 409, 425) or status >= 500:
        return "down"
    return "request"


def plain(error: BaseException) -> str:
    """One line of an error, by its class where it says nothing."""
    return str(error).splitlines()[0][:SHOWN] if str(error) else type(error).__name__


def _message(content: bytes) -> tuple[str, str]:
    """The text and the code of an error body, of OpenAI's shape or any other."""
    text = content.decode("utf-8", errors="replace").strip()
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text, ""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        return str(error.get("message", "")), str(error.get("code") or "")
    return str(error), ""


def decoded(content: bytes) -> Any:
    """The JSON that a server sent. Half a character, as of an emoji that was cut, is a ``?``: no
    file can hold it, and the answer is paid for.

    Raises:
        ValueError: it is none.
    """
    body = json.loads(content)
    if b"\\ud" in content.lower():
        body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    return body


def is_completion(answer: object) -> bool:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    return (
        isinstance(choices, list)
        and bool(choices)
        and isinstance(choices[0], dict)
        and isinstance(choices[0].get("message"), dict)
    )


def _completion(response: Any) -> Answer:
    """DSPy's response as an OpenAI chat completion."""
    usage = response.usage
    message = {"role": "assistant", "content": response.text}
    if response.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.input)},
            }
            for call in response.tool_calls
        ]
    return {
        "id": response.id,
        "model": response.model,
        "choices": [{"index": 0, "finish_reason": response.finish_reason, "message": message}],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        },
    }
