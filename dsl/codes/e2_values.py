"""E2xx: values and units."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E201": Code(
        "not a quantity",
        "The value is not a number with a unit.",
        "The key takes an amount.",
        "budget { rounds <= 3  wall <= soon }",
        "Write a number and a unit, such as `4k rows`, `3h`, `2%` or `20 USD`.",
    ),
    "E202": Code(
        "unknown unit",
        "There is no such unit.",
        "An amount in an unknown unit has no size.",
        "budget { rounds <= 3  wall <= 10 fortnights }",
        "Use one of the units in docs/language.md.",
    ),
    "E203": Code(
        "wrong unit",
        "The unit measures something else than the key.",
        "Ten dollars are not a time.",
        "budget { rounds <= 3  wall <= 20 USD }",
        "Use a unit of the kind that the message names.",
    ),
    "E204": Code(
        "out of range",
        "The value is smaller or larger than the key allows.",
        "Outside the range it has no meaning, such as a share above 100 %.",
        "seed = -1",
        "Choose a value within the range in the message.",
    ),
    "E205": Code(
        "unit missing",
        "The amount has no unit, and the key needs one.",
        "`wall <= 10` could be seconds or hours.",
        "budget { rounds <= 3  wall <= 10 }",
        "Add the unit: `10min`.",
    ),
    "E206": Code(
        "not a whole number",
        "The amount counts things and is not whole.",
        "There is no half row.",
        "budget { rounds <= 2.5 }",
        "Write a whole number.",
    ),
}
