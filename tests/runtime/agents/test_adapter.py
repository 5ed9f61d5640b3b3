"""What is kept between calls is to the byte what DSPy would say anew."""

from __future__ import annotations

from typing import Any

import dspy
import pytest
from typing_extensions import TypedDict

from dagent.runtime.agents.adapter import Adapter
from dagent.runtime.agents.author import WriteProgram
from dagent.runtime.agents.diagnoser import FindWeaknesses
from dagent.runtime.agents.generator import GeneratorAgent
from dagent.runtime.agents.judge import JudgeAnswer
from dagent.runtime.agents.planner import PlanCurriculum
from dagent.runtime.agents.refiner import RepairRow
from dagent.runtime.agents.verifier import JudgeRow, SolveQuestion

SIGNATURES = [
    *(
        WriteProgram,
        FindWeaknesses,
        JudgeAnswer,
        PlanCurriculum,
        RepairRow,
        JudgeRow,
        SolveQuestion,
    ),
    *(GeneratorAgent(brings).write.signature for brings in ("", "code", "sql")),
]


class Text(str):
    def __str__(self) -> str:
        return "another"


class Cell(TypedDict):
    skill: str


VALUES: list[Any] = [
    "plain", "", "  spaced\n", '["looks", "like", "JSON"]', "\ud800", Text("own"), 3, 2.5, True,
    None, ["a", "b"], [], [{"prompt": "é", "n": 1}], {"rows": 3}, Cell(skill="x"), object,
]  # fmt: skip


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda s: s.__name__)
def test_messages_are_those_of_dspy(signature: Any) -> None:
    ours, theirs = Adapter(), dspy.JSONAdapter()
    demos = [
        {name: f"a {name}" for name in signature.fields},
        {name: f"half {name}" for name in list(signature.fields)[:2]},
    ]
    for value in VALUES:
        inputs = dict.fromkeys(signature.input_fields, value)
        for shown in ([], demos):
            assert ours.format(signature, shown, inputs) == theirs.format(signature, shown, inputs)


def test_other_instructions_are_another_prompt() -> None:
    ours = Adapter()
    signature = JudgeRow.with_instructions("Be kind.")
    assert ours.format_system_message(JudgeRow) != ours.format_system_message(signature)
    signature.instructions = "Be strict."
    for other in (JudgeRow, signature):
        assert ours.format_system_message(other) == dspy.JSONAdapter().format_system_message(other)


def test_a_signature_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = dspy.JSONAdapter.format_field_structure
    monkeypatch.setattr(
        dspy.JSONAdapter, "format_field_structure", lambda *a: asked.append(a) or plain(*a)
    )
    ours = Adapter()
    for number in range(3):
        ours.format(JudgeRow, [], {"question": f"{number}"})
    assert len(asked) == 1
