"""How fast language models are asked: this transport beside DSPy's own client, in one run.

A server in a process of its own answers after 0.3 s. Each client asks 1,000 different questions,
128 at once, and checks every answer with a program. Ours also reserves each call on the budget and
has each answer on disk before it is used. The first call of each, which imports and connects, is
not counted. On a machine that does something else besides, look at the CPU and at aiohttp alone.

    python benchmarks/lm_throughput.py [--calls 1000] [--at-once 128] [--delay 0.3]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from dagent.runtime.journal import Journal
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.connect import connect
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.meter import Meter

SERVER = Path(__file__).parents[1] / "tests" / "runtime" / "lm" / "server.py"
SERVE = """
import runpy, sys
def answer(request):
    return "The answer is " + request["messages"][-1]["content"].split()[-1]
with runpy.run_path({path!r})["Server"](answer, delay={delay}) as server:
    print(server.base, flush=True)
    sys.stdin.read()
"""
Ask = Callable[[str], Awaitable[list[Any]]]
ROW = "  {:<34}{:>10}{:>12}"


def verified(number: int, answer: Any) -> bool:
    return isinstance(answer, str) and answer == f"The answer is {number}"


async def drive(ask: Ask, calls: int, at_once: int) -> tuple[float, float]:
    """Calls per second, and CPU milliseconds of this process per call."""
    places = asyncio.Semaphore(at_once)

    async def one(number: int) -> bool:
        async with places:
            return verified(number, (await ask(f"What is {number}"))[0])

    await ask("What is ready")  # imports, metadata, the first connection
    started, cpu = time.perf_counter(), time.process_time()
    right = sum(await asyncio.gather(*(one(n) for n in range(calls))))
    seconds, used = time.perf_counter() - started, time.process_time() - cpu
    assert right == calls, f"{calls - right} answers are wrong"
    return calls / seconds, used / calls * 1000


def ours(base: str, calls: int, at_once: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.jsonl")
        answers = AnswerLog(Path(folder) / "answers.jsonl")
        caps = {"run": {"calls": 10 * calls, "tokens": 10**12, "money": 10**6}}
        lm = connect(
            Endpoint("hosted_vllm/small", base, price={"input": 1.0, "output": 4.0}),
            meter=Meter(caps, journal),
            answers=answers,
            step="r1.generate",
            parts=("round:1", "generator"),
        )
        found = asyncio.run(drive(lm.acall, calls, at_once))
        assert len(answers) == calls + 1
        answers.close()
        journal.close()
    return found


def stock(base: str, calls: int, at_once: int, **how: Any) -> tuple[float, float]:
    import dspy

    lm = dspy.LM("openai/small", api_base=base, api_key="none", cache=False, **how)
    return asyncio.run(drive(lm.acall, calls, at_once))


def bare(base: str, calls: int, at_once: int) -> tuple[float, float]:
    """aiohttp alone: the most that this machine can do."""
    import aiohttp

    async def run() -> tuple[float, float]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask(text: str) -> list[Any]:
                body = {"model": "small", "messages": [{"role": "user", "content": text}]}
                async with session.post(f"{base}/chat/completions", json=body) as reply:
                    return [(await reply.json())["choices"][0]["message"]["content"]]

            return await drive(ask, calls, at_once)

    return asyncio.run(run())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=128)
    parser.add_argument("--delay", type=float, default=0.3)
    args = parser.parse_args()
    code = SERVE.format(path=str(SERVER), delay=args.delay)
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout
    base = server.stdout.readline().strip()
    load = (base, args.calls, args.at_once)
    clients = {
        "aiohttp alone": lambda: bare(*load),
        "dagent (budget, journal, checks)": lambda: ours(*load),
        "dspy.LM": lambda: stock(*load),
        "dspy.LM by LiteLLM": lambda: stock(*load, engine="litellm"),
    }
    most = args.at_once / args.delay
    print(f"{args.calls} calls, {args.at_once} at once, {args.delay} s each: at most {most:.0f}/s")
    print(ROW.format("", "calls/s", "CPU ms/call"))
    try:
        for name, run in clients.items():
            rate, cpu = run()
            print(ROW.format(name, f"{rate:.0f}", f"{cpu:.2f}"), flush=True)
    finally:
        server.kill()


if __name__ == "__main__":
    main()
