"""prune, share, order: small graphs in, small graphs out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagent.compiler.passes.order import order
from dagent.compiler.passes.prune import prune
from dagent.compiler.passes.share import share
from dagent.compiler.plan import Step, input_step


def step(
    id: str, *inputs: str, after: tuple[str, ...] = (), kind: str = "k", **params: int
) -> Step:
    return Step(id, kind, 1, params, {f"i{n}": f"{i}/out" for n, i in enumerate(inputs)}, after)


def ids(steps: tuple[Step, ...]) -> list[str]:
    return [s.id for s in steps]


def test_prune_keeps_what_the_result_needs_or_waits_for() -> None:
    steps = (
        step("a"),
        step("b"),
        step("c", "a"),
        step("d", "a"),
        step("result", "c", after=("b",)),
    )
    assert ids(prune(steps)) == ["a", "b", "c", "result"]


def test_share_merges_equal_work_and_turns_references() -> None:
    steps = (step("a"), step("b"), step("x", "a", n=1), step("y", "b", n=1), step("z", "y", n=2))
    shared = share(steps)
    assert ids(shared) == ["a", "x", "z"]
    assert shared[2].inputs == {"i0": "x/out"}


def test_share_keeps_what_differs_in_anything() -> None:
    steps = (step("a"), step("b", n=1), step("c", kind="other"), step("d", "a"), step("e", "b"))
    assert ids(share(steps)) == ids(steps)


def test_order_moves_only_what_must() -> None:
    steps = (step("c", "b"), step("a"), step("b"), step("d", after=("c",)))
    assert ids(order(steps)) == ["a", "b", "c", "d"]


def test_order_refuses_a_circle() -> None:
    with pytest.raises(ValueError, match="circle"):
        order((step("a", "b"), step("b", "a")))


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), min_size=1, max_size=10), st.randoms())
def test_order_respects_every_input(needs: list[list[int]], random: object) -> None:
    steps = [
        step(f"s{i}", *(f"s{j}" for j in sorted({j for j in js if j < i})))
        for i, js in enumerate(needs)
    ]
    random.shuffle(steps)  # type: ignore[attr-defined]
    seen: set[str] = set()
    for made in order(tuple(steps)):
        assert {input_step(ref) for ref in made.inputs.values()} <= seen
        seen.add(made.id)
    assert len(seen) == len(steps)
