"""The generator: rows for every item of a curriculum, in waves of calls that are all in flight.

A quantity controller asks for more than is wanted by the yield it measured, per cell: in earlier
rounds what was verified of what was made, in this one what is sound and new. What is still missing
is asked for again, from a reserve of calls that the first wave leaves. A wave is planned from the
waves before it alone, so that the same answers give the same rows in whatever order they arrive.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import GenericAlias
from typing import Any

import dspy

from dagent.compiler.engineering import ROWS_PER_CALL, WAVES
from dagent.compiler.plan import digest
from dagent.runtime.agents.asking import Asked, ask, together
from dagent.runtime.agents.coverage import PATTERNS, NearDuplicates
from dagent.runtime.agents.drafts import BRINGS, DRAFTS, DraftedRow, brought
from dagent.runtime.agents.grounding import Grounds, Passage
from dagent.runtime.agents.planner import METHODS
from dagent.runtime.agents.verifier import Brief
from dagent.runtime.lm.loop import in_caller
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.rows import Cell, Row, cell, row_id

RESERVE = 0.2  # of the calls, kept from the first wave for topping up
PRIOR_ROWS = 5  # rows of yield 1 that a cell is believed to have shown before it showed any
LEAST_YIELD = 0.2  # a cell that yields less is not worth asking five times over
AVOIDED = 10  # prompts shown as written already

Screen = Callable[[Sequence[Row]], list[str | None]]


class WriteRows(dspy.Signature):  # type: ignore[misc]
    """You write training rows for a small language model that must become reliable in one domain.

    Each row is a question with its one right answer. Write the question first; then solve it as if
    you had never seen it, step by step, and check the result in a second way; only then state the
    answer. A single wrong answer costs more than a missing row, so leave out what you cannot
    solve with certainty. Match the form of the examples to the letter: layout, length, notation,
    what the answer holds and what it leaves out. Never copy an example or change only its values.
    Hit the difficulty: not easier and not harder than examples of that level. Make the rows differ
    from each other in structure, and not only in names and numbers. Where a passage is given, every
    fact in your rows comes from it, and the question can be answered without seeing it.
    """

    goal: str = dspy.InputField(desc="What the student is to become good at.")
    answer_format: str = dspy.InputField(desc="What an answer looks like.")
    skill: str = dspy.InputField()
    difficulty: str = dspy.InputField(desc="The level to hit.")
    method: str = dspy.InputField(desc="How these rows are to teach.")
    weakness: str = dspy.InputField(desc="The student's mistake to treat; may be empty.")
    pattern: str = dspy.InputField(desc="The kind of case that these rows are.")
    examples: list[dict[str, str]] = dspy.InputField(desc="Rows of the domain, for their form.")
    passage: str = dspy.InputField(desc="A text to draw on; may be empty.")
    avoid: list[str] = dspy.InputField(desc="Questions that were written already.")
    count: int = dspy.InputField(desc="How many rows to write.")
    remark: str = dspy.InputField(desc="What was wrong with your last answer, if any.", default="")
    rows: list[DraftedRow] = dspy.OutputField()


class GeneratorAgent(dspy.Module):  # type: ignore[misc]
    """``brings`` is the grader that needs more of a row than its answer: ``code``, ``sql``."""

    def __init__(self, brings: str = "") -> None:
        super().__init__()
        self.brings = brings
        signature = WriteRows
        if brings:
            said = f"{WriteRows.instructions}\n{BRINGS[brings][2].rstrip()}"
            signature = WriteRows.with_instructions(said).with_updated_fields(
                "rows", type_=GenericAlias(list, (DRAFTS[brings],))
            )
        self.write = dspy.Predict(signature)

    def forward(self, **inputs: Any) -> Any:
        return self.write(**inputs)


@dataclass(frozen=True, slots=True)
class Order:
    """One call: ``count`` rows of an item in a pattern."""

    item: Mapping[str, Any]
    pattern: str
    count: int
    number: int
    inputs: Mapping[str, Any]
    passage: Passage | None


@dataclass
class _Shelf:
    """How an item stands: rows that came, and those among them that are sound and new."""

    item: Mapping[str, Any]
    wanted: int
    yields: tuple[int, int]  # of earlier rounds: verified, made
    made: int = 0
    good: Counter[str] = field(default_factory=Counter)
    prompts: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return max(0, self.wanted - self.good.total())

    @property
    def rate(self) -> float:
        verified, made = self.yields
        now = (self.good.total() + PRIOR_ROWS) / (self.made + PRIOR_ROWS)
        before = (verified + PRIOR_ROWS) / (made + PRIOR_ROWS)
        return max(LEAST_YIELD, now * before)


@dataclass(frozen=True, slots=True)
class Written:
    """``rows`` in the order of the calls; faulty ones among them carry ``fault``. ``short`` says
    by how many rows each item fell short."""

    rows: list[Row]
    calls: int
    short: Mapping[str, int]
    out: OutOfBudget | None


async def write(
    agent: GeneratorAgent,
    brief: Brief,
    items: Sequence[Mapping[str, Any]],
    wanted: Sequence[int],
    *,
    grounds: Grounds,
    yields: Mapping[Cell, tuple[int, int]],
    kept: Sequence[Row],
    screen: Screen,
    lineage: Mapping[str, Any],
    most_calls: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> Written:
    """Rows for all items. ``screen`` says what is wrong with each row, if that costs nothing to
    find out; ``yields`` are verified and made rows of earlier rounds.

    Raises:
        Exception: the model cannot be reached; what was answered is kept by the client.
    """
    written: defaultdict[Cell, list[str]] = defaultdict(list)
    for row in kept:
        written[cell(row)].append(row["prompt"])
    shelves = [
        _Shelf(item, n, yields.get(own, (0, 0)), prompts=written[own][-AVOIDED:])
        for item, n, own in zip(items, wanted, (cell(dict(i)) for i in items), strict=True)
    ]
    seen = NearDuplicates()
    for row in (*kept, *grounds.rows):
        seen.add(row["id"], row["prompt"], row["answer"])
    more = partial(brought, agent.brings, as_list=grounds.lists_tests)
    rows: list[Row] = []
    calls = 0
    out: OutOfBudget | None = None
    for wave in range(WAVES):
        left = (math.floor((1 - RESERVE) * most_calls) or most_calls) if wave == 0 else most_calls
        orders = _orders(shelves, brief, grounds, left - calls, wave, seed)
        if not orders:
            break
        answers, out = await together(
            # Numbered, so that equal orders are told apart in whatever sequence they are sent.
            ask(agent.write, rollout=calls + n, **order.inputs)
            for n, order in enumerate(orders, 1)
        )
        calls += len(orders)
        by_id = {shelf.item["id"]: shelf for shelf in shelves}
        new: list[tuple[_Shelf, str, Row]] = []
        for order, asked in zip(orders, answers, strict=True):
            if asked is not None:
                shelf = by_id[order.item["id"]]
                received = _receive(order, asked, shelf, seen, lineage, more)
                rows += received
                new += [(shelf, order.pattern, row) for row in received if "fault" not in row]
        reasons = await in_caller(screen, [row for _, _, row in new])
        for (shelf, pattern, row), reason in zip(new, reasons, strict=True):
            if reason is None:
                shelf.good[pattern] += 1
                shelf.prompts.append(row["prompt"])
        progress(sum(s.good.total() for s in shelves), sum(wanted))
        if out is not None:
            break
    return Written(rows, calls, {s.item["id"]: s.missing for s in shelves if s.missing}, out)


def _orders(
    shelves: Sequence[_Shelf], brief: Brief, grounds: Grounds, most: int, wave: int, seed: int
) -> list[Order]:
    """The calls of a wave: what is missing over the yield, the emptiest patterns first; when they
    are more than ``most``, items take turns."""
    queues: list[list[tuple[_Shelf, str, int]]] = []
    for shelf in shelves:
        rows = math.ceil(shelf.missing / shelf.rate)
        calls = math.ceil(rows / ROWS_PER_CALL)
        planned = Counter(shelf.good)
        queue = []
        for _ in range(calls):
            pattern = min(PATTERNS, key=lambda p: (planned[p], list(PATTERNS).index(p)))
            count = min(ROWS_PER_CALL, rows)
            planned[pattern] += count
            rows -= count
            queue.append((shelf, pattern, count))
        queues.append(queue)
    orders: list[Order] = []
    for turn in range(max((len(q) for q in queues), default=0)):
        for shelf, pattern, count in (q[turn] for q in queues if turn < len(q)):
            if len(orders) < most:
                orders.append(_order(shelf, brief, grounds, pattern, count, wave, turn, seed))
    return orders


def _order(
    shelf: _Shelf,
    brief: Brief,
    grounds: Grounds,
    pattern: str,
    count: int,
    wave: int,
    turn: int,
    seed: int,
) -> Order:
    item = shelf.item
    own = int(digest([seed, item["id"], wave, turn])[:8], 16)
    passage = grounds.passage()
    method = item.get("method") or "practice"
    inputs = {
        "goal": brief.goal,
        "answer_format": brief.answer,
        "skill": str(item["skill"]),
        "difficulty": str(item["difficulty"]),
        "method": f"{method}: {METHODS.get(method, '')}",
        "weakness": item.get("weakness", ""),
        "pattern": f"{pattern}: {PATTERNS[pattern]}",
        "examples": grounds.examples(item["skill"], item["difficulty"], own),
        "passage": passage.text if passage else "",
        "avoid": shelf.prompts[-AVOIDED:],
        "count": count,
    }
    return Order(item, pattern, count, turn, inputs, passage)


def _receive(
    order: Order,
    asked: Asked,
    shelf: _Shelf,
    seen: NearDuplicates,
    lineage: Mapping[str, Any],
    more: Callable[[Any], Row],
) -> list[Row]:
    """The rows of one answer with their lineage; a whole answer that failed is one faulty row."""
    item = order.item
    base: Row = {
        **lineage,
        "item": item["id"],
        "skill": item["skill"],
        "difficulty": item["difficulty"],
        "method": item.get("method", ""),
        "weakness": item.get("weakness", ""),
        "pattern": order.pattern,
        "source": order.passage.place if order.passage else "",
    }
    if asked.answer is None:
        shelf.made += order.count
        text = f"{item['id']}/{order.pattern}/{order.number}: {asked.fault}"
        return [{**base, "id": row_id(text), "prompt": "", "answer": "", "fault": asked.fault}]
    rows = []
    for draft in asked.answer.rows:
        row = {**base, "id": row_id(draft.question), "prompt": draft.question}
        row |= {"answer": draft.result, **more(draft)}
        shelf.made += 1
        asked = draft.question.strip()
        near = seen.add(row["id"], draft.question, draft.result) if asked else None
        if near is not None:
            row["fault"] = f"near-duplicate of row {near}"
        rows.append(row)
    return rows
