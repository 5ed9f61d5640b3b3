"""The interface between the executor and the kinds of step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from dagent.runtime.lm.answers import AnswerLog
    from dagent.runtime.meter import Meter
    from dagent.runtime.worker import Worker


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file or folder in the store, read-only; ``digest`` is the SHA-256 of its content."""

    digest: str
    path: Path


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What a step made: for each output of its kind a file or folder below ``context.scratch``,
    or an artifact that it passes on.

    ``metrics`` and ``note`` are recorded in the journal and shown; they must follow from the inputs
    alone (no clock), since a step that is reused shows them again.
    """

    artifacts: Mapping[str, Path | Artifact]
    metrics: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


class Progress(Protocol):
    def __call__(self, done: int, total: int, **shown: object) -> None: ...


@dataclass(frozen=True)
class Context:
    """What a step may use besides its parameters and inputs."""

    project: Path  # the folder of the spec; programs and data files are relative to it
    scratch: Path  # an empty folder of this attempt's own
    meter: Meter
    worker: Worker  # the process that holds torch
    progress: Progress
    answers: AnswerLog  # what language models said, earlier sessions included
    checkpoints: Path  # a folder of this work's own that outlives a killed attempt; make it first
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # the plan's


class StepRunner(Protocol):
    """One kind of step: the module ``runtime/steps/<kind>.py`` itself is the runner."""

    kind: str
    version: int

    def check(self, step: Step, project: Path) -> Iterable[Diagnostic]:
        """What would make ``run`` fail and can be seen now. Checked for all before any runs."""
        ...

    def run(self, step: Step, inputs: Mapping[str, Artifact], context: Context) -> StepOutput:
        """Do the work. Heavy imports belong inside. Deterministic: the same inputs, the same bytes.

        Raises:
            Refused: the user's program or data is at fault.
            Failed: the machine is.
        """
        ...


Params = Mapping[str, Any]
