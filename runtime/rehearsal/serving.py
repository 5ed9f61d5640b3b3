"""A server on a free port of this machine that speaks OpenAI's chat completions.

What it answers is the caller's: the rehearsal's stand-in, and the faulty servers of the tests.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PATH = "/chat/completions"
_INPUT = re.compile(r"^\[\[ ## (\w+) ## \]\]\n", re.MULTILINE)


@contextmanager
def serving(
    loop: asyncio.AbstractEventLoop,
    respond: Handler,
    port: int = 0,
    more: Iterable[web.RouteDef] = (),
) -> Iterator[str]:
    """The address of a server whose every chat ``respond`` answers, on a loop that runs in another
    thread; with ``more`` of what it can be asked."""
    app = web.Application(client_max_size=2**26)
    app.add_routes([web.post(f"/v1{PATH}", respond), *more])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def start() -> str:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        host, taken = runner.addresses[0][:2]
        return f"http://{host}:{taken}/v1"

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)


@contextmanager
def own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def completion(model: str, text: str, asked: int, said: int) -> dict[str, Any]:
    """A chat completion; ``asked`` and ``said`` are the tokens to bill."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {
            "prompt_tokens": asked,
            "completion_tokens": said,
            "total_tokens": asked + said,
        },
    }


def inputs(request: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a prompt as DSPy writes it, by name; none where another wrote it."""
    parts = _INPUT.split(request["messages"][-1]["content"])
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
