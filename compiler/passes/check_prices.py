"""What language models charge: from dagent's table, or the user's file that goes before it.

A cap on money that nobody can hold would only look like one, so it is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dagent.compiler import prices
from dagent.compiler.digests import content_digest
from dagent.compiler.engineer import AUTHORING, ROLES
from dagent.compiler.facts import inside
from dagent.compiler.prices import Price, place
from dagent.compiler.spec import LanguageModel, Spec
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.document import Scalar, locate
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Span


def check_prices(
    spec: Spec, project: Path, diagnostics: Diagnostics
) -> tuple[dict[str, Price], dict[str, str]]:
    """The price of every model that has one, by ``prices.place``; the digest of the file."""
    own, digests = _own(spec, project, diagnostics)
    budget = spec.budget
    capped = any(caps.money is not None for caps in (budget.run, *budget.per.values()))
    models = list(_models(spec))
    if budget.prices and not models:
        diagnostics.error(
            "E325",
            "`prices` says nothing without a language model",
            spec.key("budget", "prices"),
            "remove it, or let a language model do a role",
        )
    found: dict[str, Price] = {}
    told: set[str] = set()
    for lm, span in models:
        # A server of the user's own charges what the user says; the table is for the providers'.
        price = own.get(lm.name) or (None if lm.api_base else prices.price(lm.name))
        where = place(lm.name, lm.api_base)
        if price is not None:
            found[where] = price
        elif capped and where not in told and not (budget.prices and not digests):
            told.add(where)
            diagnostics.error(
                "E410",
                f"money is capped, and what `{where}` charges is unknown",
                span,
                f'add `prices = "prices.json"` to `budget`, with {{"models": {{"{lm.name}": '
                '{"input": 0, "output": 0}}} in that file, or cap `calls` or `tokens` instead',
            )
    return found, digests


def _own(
    spec: Spec, project: Path, diagnostics: Diagnostics
) -> tuple[Mapping[str, Price], dict[str, str]]:
    path = spec.budget.prices
    if path is None:
        return {}, {}
    span = spec.at("budget", "prices")
    file = inside(path, project, span, diagnostics)
    if file is None:
        return {}, {}
    if not file.is_file():
        known = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        remedy = did_you_mean(file.name, known, "correct the path; it is relative to the spec")
        diagnostics.error("E411", f"there is no price list `{path}`", span, remedy)
        return {}, {}
    try:
        return prices.read_prices(file.read_text(encoding="utf-8")), {path: content_digest(file)}
    except (OSError, ValueError) as error:
        diagnostics.error(
            "E411",
            f"`{path}` is no price list: {error}",
            span,
            'write {"models": {"MODEL": {"input": 2.5, "output": 10}}}: USD per million tokens',
        )
        return {}, {}


def _models(spec: Spec) -> Iterator[tuple[LanguageModel, Span]]:
    """The models of roles and metrics, each where the spec names it: for the role, or for all."""
    for name in (*ROLES, *AUTHORING):
        role = getattr(spec.engineer, name)
        if role is not None and role.lm is not None:
            own = ("engineer", name, "lm")
            named = isinstance(locate(spec.root, own), Scalar)
            yield role.lm, spec.at(*(own if named else ("engineer", "lm")))
    for metric in spec.criteria.metrics:
        if metric.judge is not None:
            yield metric.judge, spec.at("criteria", "metric", metric.name, "lm")
