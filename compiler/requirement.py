"""Goals: ``accuracy >= 0.8 on test``, ``accuracy >= 50% on select for each skill``; of a task,
which brings its own rows, ``gsm8k >= 40%``."""

from __future__ import annotations

import re

from dagent.compiler import quantity
from dagent.compiler.read import within
from dagent.compiler.spec import Requirement
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Scalar

FORM = "METRIC >= NUMBER on SET"
_GOAL = re.compile(
    r"""\s*(?P<metric>[A-Za-z_][\w-]*)
        \s*(?P<op>>=|<=|>|<)
        \s*(?P<value>[-+.\w]+\s*%?)
        (?:\s+on\s+(?P<set>[A-Za-z_][\w-]*))?
        (?:\s+for\s+(?:(?P<each>each\s+skill)|skill\s+(?P<skill>"[^"]+"|'[^']+'|[\w-]+)))?
        \s*$""",
    re.VERBOSE,
)


def read_requirement(node: Scalar, diagnostics: Diagnostics) -> Requirement | None:
    """The goal that a text states, or None after a finding.

    >>> from dagent.dsl.source import Source
    >>> text = 'accuracy >= 50% on select for skill "slices"'
    >>> goal = read_requirement(Scalar(text, Source("", text).span(0, 99)), Diagnostics())
    >>> (goal.metric, goal.op, goal.value, goal.set, goal.skill)
    ('accuracy', '>=', 0.5, 'select', 'slices')
    """
    text = str(node.value)
    match = _GOAL.match(text)
    if not match:
        diagnostics.error(
            "E503",
            f"`{text}` is not a goal of the form `{FORM}`",
            node.span,
            "write it like `accuracy >= 0.8 on test` or `… on select for each skill`",
        )
        return None
    value = quantity.parse(match["value"], "fraction")
    if isinstance(value, quantity.Problem):
        diagnostics.error(
            value.code, value.message, within(node.span, match["value"]), value.suggestion
        )
        return None
    assert isinstance(value, int | float)
    skill = "each" if match["each"] else (match["skill"] or "").strip("\"'") or None
    return Requirement(match["metric"], match["op"], value, match["set"] or "", skill, node.span)
