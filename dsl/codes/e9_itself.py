"""E9xx: dagent itself."""

from __future__ import annotations

from dagent.dsl.codes.code import Code

CODES = {
    "E900": Code(
        "unexpected error",
        "dagent met an error that it does not know. This is a fault of dagent, not of your spec.",
        "Every error that a user can cause should have a code of its own.",
        "$ dagent check spec.dagent",
        "Please report it with the output of the same command and `--debug`.",
    ),
}
