"""A round of programs: the author writes one, it runs, and what became of it decides what is next,
until a submission has enough valid rows or the attempts are used up."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy

from dagent.compiler.plan import Step
from dagent.dsl.diagnostics import Refused
from dagent.runtime.agents.asking import lm_of, speaking
from dagent.runtime.agents.author import ProgramAuthor, unfenced, written
from dagent.runtime.agents.grounding import handed, read_documents
from dagent.runtime.agents.versions import version
from dagent.runtime.authoring.attempt import (
    Clock,
    Ended,
    Tools,
    error_class,
    laid_files,
    reasons,
    run_program,
)
from dagent.runtime.authoring.states import NO_PROGRAM, VALID, best, next_state, per_submission
from dagent.runtime.authoring.submission import Checked, check
from dagent.runtime.authoring.teacher import Call, Teacher, allowed
from dagent.runtime.graders import average
from dagent.runtime.judging import judged, scores
from dagent.runtime.meter import OutOfBudget
from dagent.runtime.rows import Row, read_json, read_rows, write_rows
from dagent.runtime.step import Artifact, Context
from dagent.runtime.steps.train import DIVERGED, train
from dagent.runtime.steps.verify import screen

EXAMPLES = 8  # rows of the diagnose half that show the form
CASES = 8  # wrong answers shown
SAMPLE = 5  # rows of the best submission shown
LONGEST = 2000  # characters of a text shown

Log = dict[str, Any]


@dataclass
class Programs:
    """One step's work. ``log`` grows by an entry for every attempt."""

    step: Step
    inputs: Mapping[str, Artifact]
    context: Context
    log: Log = field(default_factory=dict)
    calls_made: int = 0
    before: tuple[Any, dict[str, Call]] | None = None  # the last submission, and its calls

    def run(self) -> tuple[Ended, Teacher | None]:
        """The end of the last attempt, and the teacher that it asked.

        Raises:
            OutOfBudget: a cap leaves no further attempt, and none was valid.
            Refused, Failed: a model or the sandbox cannot be used.
        """
        params = self.step.params
        self.log = read_log(self.inputs, params)
        ended, teacher = Ended(NO_PROGRAM), None
        for k in range(1, params["attempts"] + 1):
            state = next_state(self.log, params["round"])
            self.context.progress(k - 1, params["attempts"], state=state)
            ended, teacher = self._attempt(k, state)
            if ended.outcome == VALID:
                break
        return ended, teacher

    def _attempt(self, k: int, state: str) -> tuple[Ended, Teacher | None]:
        params, meter = self.step.params, self.context.meter
        seconds, left = params["seconds"], meter.wall_left
        if left is not None:
            if left <= 0:
                raise OutOfBudget("run wall: no time is left for a further program")
            seconds = min(seconds, left)
        id = f"r{params['round']}.{k}"
        parts = (f"round:{params['round']}", "teacher", f"attempt:{id}")
        calls = allowed(meter, f"{self.step.id}.{k}", parts)
        files = self._files(state)
        plan, program, fault = self._written(k, state, calls, files)
        if fault:
            ended, teacher, tools = Ended(NO_PROGRAM, fault), None, None
        else:
            clock = Clock(seconds)
            teacher = self._teacher(id, parts, calls, clock)
            if state == "repair" and self.before:
                teacher.calls.update(self.before[1])
            tools = self._tools(id, teacher, clock)
            with dspy.context(disable_history=True):
                ended = run_program(program, files, tools, seconds, params["seed"])
            self.calls_made += teacher.made
            self.before = (ended.submission, dict(teacher.calls))
        self.log["attempts"].append(
            {
                "id": id,
                "round": params["round"],
                "state": state,
                "plan": plan,
                "program": program,
                "outcome": ended.outcome,
                "error": "" if ended.outcome == VALID else error_class(ended),
                "detail": ended.detail,
                "valid": len(ended.checked.valid) if ended.checked else 0,
                "refused": dict(reasons(ended.checked)),
                "calls": teacher.made if teacher else 0,
                "tools": dict(Counter(tools.used)) if tools else {},
                "sample": _sample(ended.checked),
            }
        )
        return ended, teacher

    def _written(
        self, k: int, state: str, calls: int, files: Mapping[str, str]
    ) -> tuple[str, str, str]:
        """A plan and a program, or why there are none."""
        params = self.step.params
        role = params["author"]
        parts = (f"round:{params['round']}", "author")
        limits = {
            "wanted": params["rows"],
            "least": params["least"],
            "calls": calls,
            "minutes": round(params["seconds"] / 60, 1),
            "trainings": params["trainings"] if params["setting"] == "iterative" else 0,
        }
        with speaking(role, self.context, self.step.id, parts):
            asked = asyncio.run(
                written(
                    ProgramAuthor(),
                    k,
                    state=state,
                    goal=params["goal"],
                    answer_format=params["answer"],
                    examples=self._examples(),
                    files=sorted(files),
                    skills=[str(s) for s in params["skills"]],
                    difficulties=[str(d) for d in params["difficulties"]],
                    limits=limits,
                    **shown(self.log, state),
                )
            )
        if asked.answer is None:
            return "", "", asked.fault
        return asked.answer.plan, unfenced(asked.answer.program), ""

    def _teacher(self, id: str, parts: tuple[str, ...], calls: int, clock: Clock) -> Teacher:
        lm = lm_of(self.step.params["teacher"], self.context, self.step.id, parts)
        return Teacher(lm, id, calls, self.calls_made, clock.left)

    def _tools(self, id: str, teacher: Teacher, clock: Clock) -> Tools:
        params = self.step.params
        fault = screen({"metric": params["metric"], "verifier": None}, self.context.project)
        lineage = {
            "round": params["round"],
            "item": id,
            "origin": params["teacher"]["lm"]["model"],
            "author": params["author"]["lm"]["model"],
            "prompt_version": version(ProgramAuthor()),
        }
        looks = params["setting"] == "iterative"
        student = Student(self.step, self.inputs, self.context, id)
        return Tools(
            teacher=teacher,
            check=lambda rows: check(rows, teacher.calls, fault, params, lineage),
            wanted=params["rows"],
            least=params["least"],
            trainings=params["trainings"],
            train=student.train if looks else None,
            evaluate=student.evaluate if looks else None,
            left=clock.left,
        )

    def _examples(self) -> list[Row]:
        rows = read_rows(self.inputs["examples"].path)
        chosen = random.Random(self.step.params["seed"]).sample(rows, min(EXAMPLES, len(rows)))
        return [_plain(row, "prompt", "answer", "skill", "difficulty") for row in chosen]

    def _files(self, state: str) -> dict[str, str]:
        seeds = [
            *(_plain(r, "prompt", "answer", "skill") for r in handed(self.inputs, "seed.")),
            *(_plain(r, "prompt", "skill") for r in handed(self.inputs, "pool.")),
        ]
        documents = read_documents(list(self.step.params["documents"]), self.context.project)
        files = laid_files(self._examples(), seeds, documents)
        if state == "repair" and self.before and self.before[0] is not None:
            files["previous.json"] = json.dumps(self.before[0], ensure_ascii=False)
        return files


@dataclass
class Student:
    """The student as a program's tools see it: trained on its rows, asked the diagnose half."""

    step: Step
    inputs: Mapping[str, Artifact]
    context: Context
    attempt: str
    model: Artifact | None = None
    trained: int = 0

    def train(self, rows: list[Row]) -> dict[str, Any]:
        self.trained += 1
        folder = self.context.scratch / f"tool-{self.attempt}.{self.trained}"
        checkpoints = folder / "checkpoints"
        checkpoints.mkdir(parents=True)
        file = write_rows(folder / "rows.jsonl", rows)
        out, log = folder / "model", folder / "log.jsonl"
        training = self.step.params["training"]
        try:
            done = train(training, self.inputs, file, out, log, checkpoints, self.context)
        except Refused as refused:
            if refused.diagnostics[0].code != DIVERGED:
                raise
            raise ValueError(refused.diagnostics[0].message) from None  # the program's to mend
        self.model = Artifact("", out)
        return {"rows": done["rows"], "loss": done["loss"]}

    def evaluate(self) -> dict[str, Any]:
        params = self.step.params
        model = self.model or self.inputs["model"]
        rows = read_rows(self.inputs["examples"].path)
        answered = judged(
            rows,
            model,
            params["answering"],
            [params["metric"]],
            self.step,
            self.inputs,
            self.context,
        )
        return {
            "score": score(answered, params["metric"]),
            "rows": len(answered),
            "bad_cases": bad_cases(answered, params["metric"], params["seed"]),
        }


def read_log(inputs: Mapping[str, Artifact], params: Mapping[str, Any]) -> Log:
    """The log of the rounds before, with how the last one's student did."""
    log: Log = {"base": None, "base_cases": [], "attempts": [], "rounds": []}
    if "log" in inputs:
        log = read_json(inputs["log"].path)
    if "answers" not in inputs:
        return log
    answered, metric = read_rows(inputs["answers"].path), params["metric"]
    got, cases = score(answered, metric), bad_cases(answered, metric, params["seed"])
    if params["round"] == 1:
        return {**log, "base": got, "base_cases": cases}
    rows = len(read_rows(inputs["submitted"].path))
    entry = {"round": params["round"] - 1, "score": got, "rows": rows, "bad_cases": cases}
    return {**log, "rounds": [*log["rounds"], entry]}


def shown(log: Log, state: str) -> dict[str, Any]:
    """What the author is told of programs so far: the best for improve, the failed one to mend."""
    told = {
        "last_plan": "",
        "last_program": "",
        "what_happened": "",
        "data_sample": [],
        "score": "",
        "base_score": "" if log["base"] is None else f"{log['base']:.1%}",
        "bad_cases": log["base_cases"],
    }
    found = best(log)
    if state in ("debug", "repair"):
        last = log["attempts"][-1]
        told |= _of(last) | {"what_happened": f"{last['error']}: {last['detail']}"}
    elif state == "improve" and found is not None:
        attempt, entry = found
        told |= _of(attempt) | {
            "what_happened": attempt["detail"],
            "data_sample": attempt["sample"],
            "score": f"{entry['score']:.1%}",
            "bad_cases": entry["bad_cases"],
        }
    return told


def _of(attempt: Mapping[str, Any]) -> dict[str, Any]:
    return {"last_plan": attempt["plan"], "last_program": attempt["program"]}


def effort(log: Log, number: int) -> dict[str, Any]:
    """What a round's programs took, for the archive."""
    tried = [a for a in log["attempts"] if a["round"] == number]
    return {
        "attempts": len(tried),
        "valid": sum(a["outcome"] == VALID for a in tried),
        "calls": sum(a["calls"] for a in tried),
        "errors": dict(sorted(Counter(a["error"] for a in tried if a["error"]).items())),
    }


def mats(log: Log) -> float | None:
    """Attempts for each valid submission, over all rounds so far."""
    return per_submission(log["attempts"])


def score(answered: Sequence[Row], metric: Mapping[str, Any]) -> float:
    return average(scores(answered, metric["name"]), answered, metric)


def bad_cases(
    answered: Sequence[Row], metric: Mapping[str, Any], seed: int
) -> list[dict[str, Any]]:
    """Some of the rows that were answered wrongly, each with the right answer and the student's."""
    wrong = [row for row in answered if row["scores"][metric["name"]] < 1]
    chosen = random.Random(seed).sample(wrong, min(CASES, len(wrong)))
    return [_plain(row, "prompt", "answer", "output", "skill") for row in chosen]


def _sample(checked: Checked | None) -> list[dict[str, Any]]:
    rows = checked.valid if checked else []
    step = max(1, len(rows) // SAMPLE)
    return [_plain(row, "prompt", "answer", "skill") for row in rows[::step][:SAMPLE]]


def _plain(row: Row, *keys: str) -> dict[str, Any]:
    """What of a row may be shown, long texts cut."""
    return {
        key: row[key][:LONGEST] if isinstance(row[key], str) else row[key]
        for key in keys
        if row.get(key) not in (None, "")
    }
