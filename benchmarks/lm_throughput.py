"""How fast language models are asked: this transport beside others, in one run.

A server in a process of its own answers after 0.3 s. Each client, in one too, asks 1,000 different
questions, 128 at once, and checks every answer with a program. Ours also reserves each call on the
budget and has each answer on disk before it is used. DSPy keeps no history, as where our agents
ask. Rounds are interleaved, and medians are shown: on a machine that does something else besides,
look at the CPU and at the ratio to aiohttp alone, which is of the same round. Calls that import and
connect are not counted, but for Data Designer, of which the whole run counts, its imports apart. It
needs an environment of its own: ``pip install data-designer==0.9.7`` there, and name its
Python.

    python benchmarks/lm_throughput.py [--rounds 3] [--data-designer ENV/bin/python]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from dagent.runtime.journal import Journal
from dagent.runtime.lm.answers import AnswerLog
from dagent.runtime.lm.connect import connect
from dagent.runtime.lm.endpoint import Endpoint
from dagent.runtime.lm.loop import run
from dagent.runtime.meter import Meter

SERVER = Path(__file__).parents[1] / "tests" / "runtime" / "lm" / "server.py"
SERVE = """
import runpy, sys, time
def answer(request):
    said = request["messages"][-1]["content"]
    return "The answer is " + (said if isinstance(said, str) else said[-1]["text"]).split()[-1]
with runpy.run_path({path!r})["Server"](answer, delay={delay}) as server:
    print(server.base, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
"""
Ask = Callable[[str], Awaitable[list[Any]]]
ROW = "  {:<34}{:>9}{:>13}{:>13}{:>17}"


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
    import dspy

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
        with dspy.context(disable_history=True):
            found = run(drive(lm.acall, calls, at_once))
        assert len(answers) == calls + 1
        answers.close()
        journal.close()
    return found


def stock(base: str, calls: int, at_once: int, **how: Any) -> tuple[float, float]:
    import dspy

    lm = dspy.LM("openai/small", api_base=base, api_key="none", cache=False, **how)
    with dspy.context(disable_history=True):
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


def designer(python: str, base: str, calls: int, at_once: int) -> tuple[float, float]:
    """NeMo Data Designer, from ``create`` to the rows that it returns."""
    script = Path(__file__).parent / "data_designer_client.py"
    command = [python, str(script), base, str(calls), str(at_once)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Data Designer did not run with {python}:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    assert found["right"] == calls, f"{calls - found['right']} answers are wrong"
    return calls / found["seconds"], found["cpu"] / calls * 1000


CLIENTS: dict[str, Callable[[str, int, int], tuple[float, float]]] = {
    "aiohttp alone": bare,
    "dagent (budget, journal, checks)": ours,
    "dspy.LM": stock,
    "dspy.LM by LiteLLM": partial(stock, engine="litellm"),
}


def alone(name: str, base: str, calls: int, at_once: int) -> tuple[float, float]:
    """A client in a process of its own: what one leaves in memory slows the next one down."""
    load = ["--base", base, "--calls", str(calls), "--at-once", str(at_once)]
    command = [sys.executable, __file__, "--client", name, *load]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rate, cpu = json.loads(done.stdout.splitlines()[-1])
    return rate, cpu


class Serving:
    """The server's process; ``cpu()`` are the seconds that it has computed so far."""

    def __init__(self, delay: float) -> None:
        code = SERVE.format(path=str(SERVER), delay=delay)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.base = self._line()

    def cpu(self) -> float:
        assert self.process.stdin
        self.process.stdin.write("cpu\n")
        self.process.stdin.flush()
        return float(self._line())

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=128)
    parser.add_argument("--delay", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data-designer", metavar="PYTHON", help="a Python that has data-designer")
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--base", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        print(json.dumps(CLIENTS[args.client](args.base, args.calls, args.at_once)))
        return
    serving = Serving(args.delay)
    load = (serving.base, args.calls, args.at_once)
    clients = {name: partial(alone, name, *load) for name in CLIENTS}
    if args.data_designer:
        clients["Data Designer, whole run"] = partial(designer, args.data_designer, *load)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in clients}
    try:
        for _ in range(args.rounds):
            for name, run in clients.items():
                before = serving.cpu()
                rate, cpu = run()
                found[name].append((rate, cpu, (serving.cpu() - before) * rate / args.calls))
    finally:
        serving.process.kill()
    most = args.at_once / args.delay
    print(
        f"{args.calls} calls, {args.at_once} at once, {args.delay} s each: at most {most:.0f}/s; "
        f"medians of {args.rounds} interleaved rounds"
    )
    print(ROW.format("", "calls/s", "CPU ms/call", "of aiohttp", "server busy"))
    bases = [rate for rate, _, _ in found["aiohttp alone"]]
    for name, rounds in found.items():
        rates, cpus, busy = zip(*rounds, strict=True)
        ratio = median(rate / base for rate, base in zip(rates, bases, strict=True))
        shown = (f"{median(rates):.0f}", f"{median(cpus):.2f}", f"{ratio:.0%}")
        print(ROW.format(name, *shown, f"{median(busy):.0%} of a core"))
    if not args.data_designer:
        print("  Data Designer was not run: --data-designer names a Python that has it")


if __name__ == "__main__":
    main()
