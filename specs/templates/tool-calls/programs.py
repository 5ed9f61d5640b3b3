"""Requests and the tool calls that meet them: ``generate`` makes rows and ``verify`` checks them.

Replace what is here by your own. A row has a ``prompt``, an ``answer`` and the cell it belongs to:
a skill, here the tool, at a difficulty. ``python programs.py`` writes dev.jsonl and test.jsonl.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

NAMES = ("ana", "ben", "eva", "tom", "ida", "max", "leo", "zoe")
CITIES = (
    "perth", "miami", "lyon", "porto", "nice", "genoa", "basel", "doha", "kobe", "lagos",
    "oslo", "rome", "lima", "bern", "kyiv", "cairo", "quito", "delhi", "paris", "tunis",
    "accra", "hanoi", "minsk", "seoul", "sofia", "tokyo", "dakar", "malmo", "turin", "ghent",
)  # fmt: skip
CURRENCIES = ("usd", "eur", "gbp", "jpy", "inr")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Tool -> how people ask for it, easy and hard; the arguments stand in braces.
REQUESTS = {
    "weather": ("weather in {city} {day}?", "i fly to {city} on {day}, do i need a coat?"),
    "remind": ("remind me at {hour} to call {who}", "{who} wants a call, {hour} suits me"),
    "convert": ("{amount} {source} in {target}?", "what is {amount} {source} worth in {target}?"),
    "cancel": (
        "cancel my table for {seats} on {day}",
        "we stay at home on {day}, all {seats} of us",
    ),
}
SKILLS = tuple(REQUESTS)


def arguments(rng: random.Random) -> dict[str, Any]:
    source, target = rng.sample(CURRENCIES, 2)
    return {
        "city": rng.choice(CITIES),
        "day": rng.choice(DAYS),
        "hour": rng.randrange(7, 22),
        "who": rng.choice(NAMES),
        "amount": rng.randrange(5, 500),
        "source": source,
        "target": target,
        "seats": rng.randrange(2, 60),
    }


def make(rng: random.Random, skill: str, difficulty: int) -> tuple[str, str]:
    """A request and its call."""
    request = REQUESTS[skill][difficulty - 1]
    given = arguments(rng)
    wanted = sorted(re.findall(r"{(\w+)}", request))
    call = {"tool": skill, "args": {name: given[name] for name in wanted}}
    return request.format(**given), json.dumps(call)


def part(text: str) -> str:
    """Which set a request belongs to, so that no row to train on is ever one to test on."""
    bucket = hashlib.sha256(text.encode()).digest()[0] % 8
    return {0: "dev", 1: "test"}.get(bucket, "train")


def draw(skill: str, difficulty: int, n: int, seed: int, of: str) -> list[dict[str, Any]]:
    """Up to ``n`` distinct rows of one cell and one part; the same arguments give the same rows."""
    rng = random.Random(f"{skill}/{difficulty}/{seed}/{of}")
    rows: dict[str, str] = {}
    for _ in range(200 * n):
        prompt, answer = make(rng, skill, difficulty)
        if len(rows) < n and part(prompt) == of:
            rows[prompt] = answer
    return [
        {"prompt": prompt, "answer": answer, "skill": skill, "difficulty": difficulty}
        for prompt, answer in rows.items()
    ]


def generate(skill: str, difficulty: int, n: int, seed: int) -> list[dict[str, Any]]:
    """dagent calls this for rows to train on."""
    return draw(skill, difficulty, n, seed, "train")


def solve(prompt: str) -> dict[str, Any] | None:
    """The call that a request asks for, None if it is no request of ours."""
    for tool, forms in REQUESTS.items():
        for form in forms:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\w+)", re.escape(form))
            if match := re.fullmatch(pattern, prompt):
                found = match.groupdict().items()
                args = {name: int(v) if v.isdigit() else v for name, v in found}
                return {"tool": tool, "args": args}
    return None


def verify(row: dict[str, Any]) -> str | None:
    """None for a row that may be trained on, else the reason why not."""
    right = solve(row["prompt"])
    if right is None:
        return "no tool meets the request"
    try:
        given = json.loads(row["answer"])
    except ValueError:
        return "the answer is no JSON"
    return None if given == right else f"the call is {json.dumps(right)}"


def main() -> None:
    for of, rows in {"dev": 40, "test": 40}.items():  # rows of each cell
        made = [row for s in SKILLS for d in (1, 2) for row in draw(s, d, rows, 0, of)]
        lines = "".join(json.dumps(row) + "\n" for row in made)
        Path(__file__).with_name(f"{of}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
