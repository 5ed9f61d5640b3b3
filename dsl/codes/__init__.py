"""Every code: what it says, why it is refused, an example that earns it, and the remedy.

`dagent explain E101` prints an entry and `docs/errors.md` lists them all. To add a code, add one
entry in its place by number to the file of its hundred; a test asserts that every code here is
raised somewhere and that every code raised is here.

An example that starts with ``$`` is a command; one that starts with ``---`` is YAML; any other is
`.dagent`. What an example leaves out of a whole spec is in order: a test fills it in and asserts
that the code, and no other error, is reported.
"""

from __future__ import annotations

from dagent.dsl.codes import (
    e0_text,
    e1_structure,
    e2_values,
    e3_data,
    e4_budget,
    e5_criteria,
    e6_training,
    e7_composition,
    e8_execution,
    e9_itself,
)
from dagent.dsl.codes.code import Code

__all__ = ["CODES", "HUNDREDS", "Code"]

HUNDREDS: dict[str, dict[str, Code]] = {
    "Text and syntax": e0_text.CODES,
    "Structure and names": e1_structure.CODES,
    "Values and units": e2_values.CODES,
    "Data, roles and programs": e3_data.CODES,
    "Budget": e4_budget.CODES,
    "Criteria": e5_criteria.CODES,
    "Student and training": e6_training.CODES,
    "Composition": e7_composition.CODES,
    "Execution and the machine": e8_execution.CODES,
    "dagent itself": e9_itself.CODES,
}
CODES = {code: entry for hundred in HUNDREDS.values() for code, entry in hundred.items()}
