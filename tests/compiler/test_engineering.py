"""What language models take is estimated, priced and held against the caps."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from dagent.cli import main
from dagent.compiler import plan as plans
from dagent.compiler.lock import dumps, lock_at
from dagent.compiler.plan import Plan
from dagent.compiler.rates import learned
from dagent.compiler.stale import check_fresh
from dagent.compiler.totals import totals
from dagent.dsl.diagnostics import Refused

LM = {"engineer": {"generator": None, "lm": "openai/gpt-4o"}}
LOCAL = {
    "engineer": {"generator": None, "lm": "openai/own", "api_base": "http://localhost:1/v1"},
    "budget": {"prices": "prices.json"},
}
BY_ROLE = {
    "r1.diagnose": False,  # nothing need be wrong
    "r1.plan": True,
    "r1.generate": True,
    "r1.verify": True,
    "r1.refine": False,
    "calibrate": True,
}


def price_list(folder: Path, **price: float) -> None:
    (folder / "prices.json").write_text(json.dumps({"models": {"openai/own": price}}))


def money(plan: Plan) -> tuple[float, float]:
    return totals(plan.steps).money


def test_every_role_that_a_model_has_is_estimated(project: Any) -> None:
    plan = project.compile(LM).plan
    for name, surely in BY_ROLE.items():
        e = plan.step(name).estimate
        assert e.calls
        assert e.tokens
        assert e.money
        assert (e.calls[0] > 0) == (e.tokens[0] > 0) == (e.money[0] > 0) == surely, name
        assert 0 < e.calls[1] < e.tokens[1]
        # gpt-4o: 2.5 USD a million tokens of a prompt, 10 of an answer
        assert 2.5e-6 * e.tokens[1] * 0.9 < e.money[1] < 10e-6 * e.tokens[1]
    assert plan.step("r1.train").estimate.tokens is None


def test_a_cap_on_answers_and_fewer_rows_cost_less(project: Any) -> None:
    whole = money(project.compile(LM).plan)
    short = {"engineer": {**LM["engineer"], "max_tokens": 50}}
    assert money(project.compile(short).plan)[1] < whole[1] / 2
    fewer = {**LM, "budget": {"per": {"round": {"rows": 10}}}}
    assert money(project.compile(fewer).plan)[1] < whole[1] / 2


def test_a_price_list_goes_before_the_table_and_changes_no_work(project: Any) -> None:
    price_list(project.folder, input=0, output=0)
    free = project.compile(LOCAL).plan
    price_list(project.folder, input=1, output=2)
    dear = project.compile(LOCAL).plan
    assert money(free) == (0, 0)
    assert money(dear)[0] > 0
    assert free.id == dear.id
    own = {"models": {"openai/gpt-4o": {"input": 0, "output": 0}}}
    (project.folder / "prices.json").write_text(json.dumps(own))
    plan = project.compile({**LM, "budget": {"prices": "prices.json"}}).plan
    assert money(plan) == (0, 0)
    again = plans.from_json(json.loads(plans.dumps(plan)))
    assert again.prices == {"openai/gpt-4o": {"input": 0, "output": 0}}


def test_batches_cost_half_and_may_take_a_day_each(project: Any) -> None:
    one = {**LM, "engineer": {**LM["engineer"], "optimise": {"generator": {"optimiser": "simba"}}}}
    direct = project.compile(one).plan
    batched = project.compile({**one, "engineer": {**one["engineer"], "batch": True}}).plan
    day = 24 * 3600
    for name in ("r1.generate", "r1.verify"):
        plain, e = direct.step(name).estimate, batched.step(name).estimate
        assert (e.calls, e.tokens) == (plain.calls, plain.tokens)
        assert e.money[1] == pytest.approx(plain.money[1] / 2, rel=0.06)  # two digits are shown
        assert e.seconds[1] > 0.99 * day
        assert batched.step(name).key != direct.step(name).key
    for name in ("r1.plan", "r1.diagnose", "optimise.generator"):
        assert batched.step(name).estimate == direct.step(name).estimate, "these ask directly"
        assert '"batch": true' not in json.dumps(batched.step(name).params)


def test_a_batch_that_nobody_would_send_is_refused(project: Any) -> None:
    """Programs generate and verify, another model refines: what is left asks a few questions."""
    others = {"verifier": {"program": "programs.py:verify"}, "refiner": {"lm": "openai/gpt-5"}}
    batched = {**others, "lm": "openai/gpt-4o", "batch": True}
    assert project.codes({"engineer": batched}) == ["E657"]
    assert project.codes({"engineer": {**batched, "generator": None}}) == []


def test_a_model_elsewhere_does_not_inherit_the_batches(project: Any) -> None:
    other = {"verifier": {"lm": "anthropic/claude-opus-5"}}
    engineer = {"generator": None, "lm": "openai/gpt-4o", "batch": True}
    plan = project.compile({"engineer": {**engineer, **other}}).plan
    assert plan.step("r1.generate").params["generator"]["lm"]["batch"] is True
    assert "batch" not in plan.step("r1.verify").params["verifier"]["lm"]


def test_a_price_list_that_changed_makes_the_plan_stale(project: Any) -> None:
    price_list(project.folder, input=1, output=2)
    made = project.compile(LOCAL)
    path = project.folder / "dagent.plan.json"
    path.write_text(plans.dumps(made.plan))
    (project.folder / "dagent.lock").write_text(
        dumps(lock_at(made.lock, project.folder / "spec.yaml", project.folder))
    )
    check_fresh(path)
    price_list(project.folder, input=100, output=200)
    with pytest.raises(Refused) as refused:
        check_fresh(path)
    assert "prices.json" in refused.value.diagnostics[0].message


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"models": {"m": {"input": 1}}}',
        '{"models": {"m": {"input": -1, "output": 1}}}',
        '{"models": {"m": {"input": "1", "output": 1}}}',
        '{"models": {"m": {"input": 1, "output": 1, "cache": 1}}}',
        '{"models": {"m": {"input": 1, "output": 1, "batch_input": 1}}}',
        '{"currency": "EUR", "models": {}}',
        '{"models": {"m": {"input": NaN, "output": 1}}}',
    ],
)
def test_what_is_no_price_list_is_refused(project: Any, text: str) -> None:
    (project.folder / "prices.json").write_text(text)
    assert project.codes({**LM, "budget": {"prices": "prices.json"}}) == ["E411"]


@pytest.mark.parametrize(
    ("budget", "code"),
    [
        ({"tokens": "1k tokens"}, "E401"),
        ({"money": "0.01 USD"}, "E401"),
        ({"per": {"round": {"rows": 100, "money": "0.01 USD"}}}, "E401"),
        ({"per": {"round": {"rows": 100}, "verifier": {"tokens": 5000}}}, "E401"),
        ({"money": "20 USD"}, "E412"),
        ({"tokens": "1M tokens"}, "E412"),
        ({"tokens": "100M tokens", "money": "1000 USD"}, None),
    ],
)
def test_caps_on_tokens_and_money_are_held_against_the_estimate(
    project: Any, budget: dict[str, Any], code: str | None
) -> None:
    found = [d for d in project.found({**LM, "budget": budget}) if d.code in ("E401", "E412")]
    assert [d.code for d in found] == ([code] if code else [])
    if code:
        assert found[0].severity == ("error" if code == "E401" else "warning")


def test_a_price_list_without_a_model_says_nothing(project: Any) -> None:
    price_list(project.folder, input=1, output=2)
    assert project.codes({"budget": {"prices": "prices.json"}}) == ["E325"]


def test_a_role_without_a_price_is_named_where_its_model_is(project: Any) -> None:
    own = {"lm": "openai/own", "api_base": "http://localhost:1/v1"}
    change = {"engineer": {"planner": own}, "budget": {"money": "9 USD"}}
    found = next(d for d in project.found(change) if d.severity == "error")
    assert found.code == "E410"
    assert found.span.text.strip('"') == "openai/own"
    assert "prices.json" in found.suggestion


def test_compile_tells_tokens_and_money_and_checks_the_budget(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project.spec({**LM, "budget": {"money": "20 USD"}})
    assert main(["compile", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(x for x in lines if x.startswith("language models: "))
    assert "tokens" in line
    assert "USD" in line
    assert main(["compile", str(path), "--budget-check"]) == 1
    assert "`money` allows 20.00 USD" in capsys.readouterr().err


def test_arms_that_cost_alike_are_warned_of_once_and_at_the_cap(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = {"arms": {"seeds": [1, 2], "arm": {"other": {"control": "matched"}}}}
    change = project.join({**LM, "budget": {"money": "20 USD"}}, arms)
    path = project.spec(change)
    assert [d.code for d in project.found(change)].count("E412") == 1
    assert main(["compile", str(path), "--budget-check", "--format", "json"]) == 1
    (found,) = [d for d in json.loads(capsys.readouterr().out) if d["code"] == "E718"]
    assert '"money"' in path.read_text().splitlines()[found["line"] - 1]


def test_the_step_that_waited_for_the_worker_says_nothing_of_the_next(project: Any) -> None:
    plan = project.compile().plan
    steps = [step for step in plan.steps if step.kind == "evaluate"]
    took = {step.id: 1.0 for step in steps} | {steps[0].id: 60.0}
    middle = [math.sqrt(s.estimate.seconds[0] * s.estimate.seconds[1]) for s in steps]
    (factors,) = learned(plan, took, None)["students"].values()
    assert factors["evaluate"][2] == pytest.approx(max(1 / m for m in middle[1:]), rel=0.01)
    slow = took | {steps[0].id: 1.0, steps[1].id: 60.0}  # what took long later on counts
    (factors,) = learned(plan, slow, None)["students"].values()
    assert factors["evaluate"][2] == pytest.approx(60 / middle[1], rel=0.01)


def test_what_can_be_optimised_is_what_a_metric_can_be_had_for(project: Any) -> None:
    """An author's program is worth what a training shows; the refusal says so, at the place."""
    how = {"optimiser": "gepa", "calls": 120}
    for role in ("diagnoser", "refiner"):
        engineer = {"generator": None, "lm": "openai/gpt-4o", "optimise": {role: how}}
        plan = project.compile({"engineer": engineer}).plan
        step = plan.step(f"optimise.{role}")
        assert step.estimate.calls == (30, 120)
        reader = {"diagnoser": "r1.diagnose", "refiner": "r1.refine"}[role]
        assert f"optimise.{role}/program" in plan.step(reader).inputs.values()
    author = {"generator": None, "lm": "openai/gpt-4o", "optimise": {"author": how}}
    (found,) = project.found({"engineer": author})
    assert (found.code, found.span is not None) == ("E652", True)
    assert "only after a training" in found.message
    assert "`diagnoser` or `refiner`" in found.suggestion
    programs = {"generator": None, "strategy": "program", "lm": "openai/gpt-4o"}
    (found,) = project.found({"engineer": {**programs, "optimise": {"author": how}}})
    assert (found.code, found.span is not None) == ("E670", True)
    assert "only after a training" in found.message
