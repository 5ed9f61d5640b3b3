"""Secrets come by name from the environment; one that is written into a spec is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Mapping, Node, Scalar, Sequence
from dagent.dsl.source import Source

# Prefixes that providers publish for their keys: OpenAI, Anthropic and others (sk-), Hugging Face,
# GitHub, Google, AWS, Slack. Long enough a tail that no ordinary word matches.
_KEY = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{16,}|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_\w{16,}|AIza[\w-]{30,}|AKIA[0-9A-Z]{16}|xox[abprs]-[\w-]{10,})"
)
REMEDY = "declare `param key { env = NAME  secret = true }` and write `$key`"


def looks_secret(text: str) -> bool:
    """
    >>> looks_secret("sk-" + 24 * "x"), looks_secret("task-oriented dialogue")
    (True, False)
    """
    return bool(_KEY.search(text))


def refuse_literals(root: Mapping, settings: Iterable[str], diagnostics: Diagnostics) -> None:
    """No message repeats the value: messages are logged."""
    for scalar in _scalars(root):
        if isinstance(scalar.value, str) and looks_secret(scalar.value):
            diagnostics.error("E706", "this looks like a secret key", scalar.span, REMEDY)
    for text in settings:
        if looks_secret(text):
            name = text.partition("=")[0]
            shown = Source("--set", f"{name}=…")
            diagnostics.error(
                "E706",
                f"the value of `--set {name}` looks like a secret key",
                shown.span(0, len(name)),
                REMEDY,
            )


def _scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    else:
        inner = node.items if isinstance(node, Sequence) else [e.value for e in node]
        for child in inner:
            yield from _scalars(child)
