"""What a config of another tool says, in dagent's words, and what of it has no place here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from dagent.compiler import arguments
from dagent.compiler.formats import FORMATS
from dagent.compiler.passes.check_arguments import problem
from dagent.compiler.tables import table
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.importers.rows import Alpaca, Chat, convert

# Reasons that hold for every tool.
TEMPLATE = "the student is asked by its own chat template; `student.template` sets another format"
MEASURED = "dagent measures on `dev` and `test`, between the rounds and at the end"
ATTENTION = "`attn_implementation` in `student` names it; left out, transformers picks"
CODE = "code from a model's repository does not run"
TRACKED = "dagent tracks every run in MLflow itself"
LAUNCHED = "how processes are spread is accelerate's to say, not the spec's"
NO_PLACE = "dagent has nothing like it"


@dataclass
class Draft:
    """``data`` are data sets by name, as in a spec, and ``rows`` those of them that come with it;
    ``lost`` says why a key, as the other tool writes it, is not in the spec; ``remarks`` what
    changed its meaning on the way."""

    tool: str
    stage: str = "sft"
    student: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    seed: int | None = None
    rows: dict[str, tuple[dict[str, str], ...]] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def put(self, target: str, value: Any) -> None:
        """``target`` is ``seed``, or a section and a name in it: ``train.learning_rate``."""
        if target == "seed":
            self.seed = value if isinstance(value, int) and value >= 0 else None
        else:
            section, _, name = target.partition(".")
            getattr(self, section)[name] = value

    def add_data(self, name: str, fields: Mapping[str, Any]) -> None:
        """A data set that the tool trains on: seeds, trained on beside what the engineer makes."""
        made: dict[str, Any] = {"role": "seed", **fields}
        if "hub" in made:
            made.setdefault("split", "train")  # as each of the tools has it
        if self.stage == "sft":
            made["mix"] = True
        self.data[name] = made

    def add_rows(
        self,
        name: str,
        path: Path,
        form: Alpaca | Chat | None,
        good: str | None = None,
        most: int | None = None,
    ) -> None:
        """The rows of a file that the tool trains on, to stand beside the spec."""
        lost = f"dataset {name}"
        if path.suffix.lower() not in FORMATS:
            self.lost[lost] = f"`{path.name}` is no file of JSON, JSON Lines, CSV or Parquet"
            return
        try:
            made = convert(path, form, good)
        except OSError as error:
            self.lost[lost] = f"`{path}`: {(error.strerror or str(error)).lower()}"
            return
        self.remarks += made.remarks(name)
        if not made.rows:
            self.lost[lost] = f"`{path.name}` has no row with a question and its answer"
            return
        self.rows[name] = made.rows
        self.add_data(name, {"sample": most} if most and most < len(made.rows) else {})

    def silent(self, defaults: Mapping[str, Any]) -> None:
        """Put what the tool does where its config says nothing, and TRL or PEFT do otherwise."""
        for target, value in defaults.items():
            section, _, name = target.partition(".")
            if section == "lora" and self.student.get("adapter") in (None, "full"):
                continue
            getattr(self, section).setdefault(name, value)


def fill(
    draft: Draft,
    config: Mapping[str, Any],
    names: Mapping[str, str],
    reasons: Mapping[str, str],
    done: set[str],
    prefix: str = "",
) -> None:
    """Put every key of ``config`` that is not ``done`` where ``names`` says, or say why not.

    ``reasons`` are by key or pattern. A key of neither is passed on if the stage's TRL config has
    an argument of that name. ``prefix`` stands before a key in both tables and in messages.
    """
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name in done or value in (None, "", [], {}):
            continue
        reason = next((why for pattern, why in reasons.items() if fnmatchcase(name, pattern)), None)
        if name in names:
            draft.put(names[name], value)
        elif reason is not None:
            if value is not False:
                draft.lost[name] = reason
        elif key in table(draft.stage).arguments:
            draft.train[key] = value
        elif value is not False:
            draft.lost[name] = NO_PLACE


def weed(draft: Draft) -> None:
    """Take out what TRL's and PEFT's installed versions, or dagent, would refuse."""
    for given, of, owned, shown in (
        (draft.train, table(draft.stage), arguments.TRL, "train"),
        (draft.lora, table("lora"), arguments.LORA, "lora"),
    ):
        for name, value in list(given.items()):
            found = problem(name, value, of, owned)
            if found is not None:
                del given[name]
                owner = owned.get(name) if found.code == "E605" else None
                draft.lost[f"{shown}.{name}"] = owner or found.message


def words(value: Any) -> Any:
    """A list of words, also where it is written as one text with commas."""
    if isinstance(value, str) and "," in value:
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


def no_stage(what: str, file: str) -> Refused:
    """The config trains by a method that no stage stands for."""
    return Refused(
        Diagnostic(
            "E621",
            f"{what} has no stage in dagent",
            suggestion="the stages are sft, dpo, kto, orpo, grpo, rloo, reward, gkd, distillation",
            file=file,
        )
    )
