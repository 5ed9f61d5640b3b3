"""E4xx: budget."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E401": Code(
        "the budget cannot pay for its minimum",
        "What the rounds need at least is more than a cap allows.",
        "The run would stop before its first result.",
        "budget { rounds <= 5  rows <= 3 }",
        "Raise the cap in the message, or lower the rounds.",
    ),
    "E402": Code(
        "cap that never binds",
        "The cap of a part is larger than the cap of the whole.",
        "It suggests a protection that does not exist.",
        "budget { rounds <= 5  rows <= 1k rows  per round { rows <= 2k rows } }",
        "Lower it below the whole, or remove it.",
    ),
    "E403": Code(
        "unknown part",
        "`per` names neither `round` nor a role that the engineer has.",
        "The cap would apply to nothing.",
        "budget {\n"
        "  rounds <= 5\n"
        "  per round { rows <= 2k rows }\n"
        "  per week { rows <= 2k rows }\n"
        "}",
        "Use `per round`, or `per` and the name of a role.",
    ),
    "E404": Code(
        "no number of rows",
        "The budget does not say how many rows a round or the run may make.",
        "There is no default that would be right for everybody.",
        "budget { rounds <= 3 }",
        "Add `per round { rows <= 2k rows }`, or `rows <= 10k rows` for the whole run.",
    ),
    "E405": Code(
        "time is likely to run out",
        "The run is estimated to take longer than `wall` allows.",
        "It would stop at the cap, before its last round.",
        "budget { rounds <= 50  wall <= 1s  per round { rows <= 2k rows } }",
        "Allow more time, or ask for fewer rounds or rows.",
    ),
    "E410": Code(
        "price unknown",
        "Money is capped, and nothing says what a language model charges.",
        "A cap that cannot be held would only look like one.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/qwen"\n'
        '  api_base = "http://localhost:8000/v1"\n}\n'
        "budget { rounds <= 3  rows <= 60 rows  money <= 20 USD }",
        'State the price in a file and name it: `budget { prices = "prices.json" }`; 0 for a '
        "server of your own.",
    ),
    "E411": Code(
        "price list that cannot be read",
        "The file that `prices` names is not there, or is no price list.",
        "Money is reckoned with it before any is spent.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-4o"\n}\n'
        'budget { rounds <= 3  rows <= 60 rows  prices = "no-such.json" }',
        'Write `{"models": {"MODEL": {"input": 2.5, "output": 10}}}`, in USD per million tokens.',
    ),
    "E412": Code(
        "cap that is likely to bind",
        "By the high estimate language models take more tokens or money than a cap allows.",
        "The run would end at the cap, before its last round.",
        'engineer {\n  strategy = curriculum\n  lm = "openai/gpt-4o"\n}\n'
        "budget { rounds <= 3  rows <= 60 rows  money <= 2 USD }",
        "Allow more, lower the rounds or rows, or set `max_tokens`.",
    ),
    "E413": Code(
        "cap that a part does not have",
        "`per` caps a part by something that is not counted for that part.",
        "It suggests a protection that does not exist.",
        "budget {\n"
        "  rounds <= 5\n"
        "  per round { rows <= 2k rows  gpu <= 1h }\n"
        "  per generator { gpu <= 1h }\n"
        "}",
        "Cap calls, tokens or money of a role; time for the run, `per round` or `per attempt`.",
    ),
}
