"""What the parameters of steps say of roles, graders, data and the student: all that a key covers.

A part that the spec leaves out says the same for every spec, or nothing at all: equal parameters
are what lets arms share a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagent.compiler.dataset import BRINGS
from dagent.compiler.digests import derived_seed
from dagent.compiler.facts import Facts
from dagent.compiler.grading import VERSIONS
from dagent.compiler.prompts import BRINGING, prompt_of, version
from dagent.compiler.spec import (
    DataSet,
    Guard,
    LanguageModel,
    Metric,
    Requirement,
    Role,
    Spec,
    Student,
)
from dagent.compiler.stages import GRADED, TEACHER, TEACHES
from dagent.compiler.tables import table

Params = Mapping[str, Any]


class Parameters:
    """Of one spec and what its files hold."""

    def __init__(self, spec: Spec, facts: Facts) -> None:
        self.spec, self.facts = spec, facts
        student, criteria = spec.student, spec.criteria
        # What is asked for rarely stands in no parameters where it is not asked for.
        self.trusted = {"trust_remote_code": True} if student.trust_remote_code else {}
        attention = student.attn_implementation
        self.loading = {
            **self.trusted,
            **({"attn_implementation": attention} if attention is not None else {}),
        }
        self.metrics = [self._metric(m) for m in criteria.metrics]
        self.metric = self.metrics[0]
        self.answering = {
            "template": student.template,
            "system": student.system,
            "max_new_tokens": student.max_new_tokens,
            "batch": student.batch,
            "generation": _generation(student),
            # Without drawing nothing depends on a seed, and arms over seeds share the answers.
            "seed": derived_seed(spec.seed, "answer") if student.samples else None,
            **({"engine": student.engine} if student.engine != "transformers" else {}),
            **self.loading,
        }
        dev = facts.data[spec.role("dev").name]
        domain = spec.domain
        self.grid: dict[str, list[Any]] = {
            "skills": list(dev.skills if domain.skills is None else domain.skills),
            "difficulties": list(
                dev.difficulties if domain.difficulties is None else domain.difficulties
            ),
        }

    def source(self, data: DataSet) -> Params:
        facts = self.facts.data[data.name]
        if data.path:
            return {"path": data.path, "format": data.format, "sha256": facts.sha256}
        domain = self.spec.domain
        listed: Params = {}
        if data.role == "dev":  # what the checks of its rows need to know
            listed = {"skills": domain.skills, "difficulties": domain.difficulties}
        source: Params
        if data.program:
            sha256 = self.facts.program(data.program)
            source = {"program": data.program, "sha256": sha256}
        else:
            source = {
                "hub": data.hub,
                "config": data.config,
                "split": data.split,
                "revision": facts.revision,
                "sha256": facts.sha256,
            }
        return {**source, **{k: list(v) for k, v in listed.items() if v is not None}}

    def carried(self, data: DataSet) -> Params:
        """Further columns for graders, and the graders that every row must bring them for."""
        judges = self.spec.judged_by(data)
        graders = {m.grader for m in self.spec.criteria.metrics if m.name in judges}
        graded = sorted(graders & BRINGS.keys())
        return {
            **({"extra": list(data.extra)} if data.extra else {}),
            **({"graded": graded} if graded else {}),
        }

    def training(self, n: int) -> Params:
        """What the worker needs to train, besides model and rows."""
        student, stages = self.spec.student, self.spec.train
        params: dict[str, Any] = {
            "stages": [
                {"stage": s.stage, "args": {k: v for k, v in s.args.items() if k not in TEACHER}}
                for s in stages
            ],
            "adapter": student.adapter,
            "lora": dict(student.lora),
            "template": student.template,
            "system": student.system,
            "seed": derived_seed(self.spec.seed, "train", n),
            **self.loading,
        }
        if student.accelerate is not None:
            params["accelerate"] = {
                "config": student.accelerate,
                "sha256": dict(sorted(self.facts.accelerate.items())),
            }
        if any(stage.stage in (*GRADED, *TEACHES) for stage in stages):
            params["answering"] = self.answering
        if any(stage.stage in GRADED for stage in stages):
            params["metric"] = self.metric
        return params

    def gate(self, n: int) -> Params:
        criteria = self.spec.criteria
        on_select = [r for r in criteria.requirements if r.set == "select"]
        return {
            "round": n,
            "metrics": self.metrics,
            "rule": criteria.rule if n else "paired",  # the base has no rival
            "alpha": criteria.alpha,
            "floors": [goal(r) for r in on_select if r.skill is not None],
            "guards": self.watched(criteria.guards),
            "stop": {
                "patience": criteria.patience,
                "when": None if criteria.when is None else goal(criteria.when),
            },
        }

    def watched(self, guards: Iterable[Guard]) -> list[dict[str, Any]]:
        """Each of them, and how its rows' scores by ``metric`` are averaged; a task's own count all
        alike."""
        averages = {m.name: m.average for m in self.spec.criteria.metrics}
        return [
            {
                "set": guard.set,
                "metric": guard.metric,
                "average": "micro" if guard.task else averages[guard.metric],
                "max_drop": guard.max_drop,
            }
            for guard in guards
        ]

    def brief(self) -> dict[str, Any]:
        """What an agent is told of the domain."""
        return {"goal": self.spec.domain.goal, "answer": self.spec.domain.answer or ""}

    def role(self, role: Role, name: str) -> Params:
        body = self._doer(role)
        if role.lm is None:
            return body
        body = body if role.program else {"options": dict(role.options)}
        brings = self.spec.brings if name in BRINGING else ""
        return {
            **body,
            "lm": _lm(role.lm),
            # The program itself is what a teacher is asked.
            "prompt": None if name == "teacher" else version(prompt_of(name, brings)),
            "sources": dict(self.facts.documents) if name == "generator" else {},
            **({"brings": brings} if brings else {}),
        }

    def _doer(self, role: Role) -> Params:
        if role.lm is not None and role.program is None:
            return {}
        if role.policy is not None:
            return {"policy": role.policy, "sha256": None, "options": dict(role.options)}
        assert role.program is not None
        return {
            "program": role.program,
            "sha256": self.facts.program(role.program),
            "options": dict(role.options),
        }

    def _metric(self, metric: Metric) -> dict[str, Any]:
        body: dict[str, Any] = {
            "name": metric.name,
            "grader": metric.grader,
            "average": metric.average,
        }
        body |= _grading(metric.grader, metric.options, self.facts)
        if metric.judge is not None:
            body |= {"lm": _lm(metric.judge), "prompt": version("judge"), **self.brief()}
        return body

    def checks(self) -> dict[str, Any]:
        """What verifying a row takes, wherever it is done."""
        engineer = self.spec.engineer
        checks: dict[str, Any] = {"verifier": None, "metric": self.metric}
        if engineer.verify:
            checks["checks"] = [
                {
                    "name": check.name,
                    "grader": check.grader,
                    **_grading(check.grader, check.options, self.facts),
                }
                for check in engineer.verify
            ]
        if self.spec.brings:
            checks["brought"] = self.spec.brings
        if engineer.verifier is not None:
            checks["verifier"] = self.role(engineer.verifier, "verifier")
            if engineer.verifier.lm:
                asked = {"samples": engineer.samples, "judge": engineer.judge}
                checks["verifier"] = {**checks["verifier"], **asked}
                checks |= self.brief()
        return checks


def _lm(lm: LanguageModel) -> dict[str, Any]:
    return {
        "model": lm.name,
        "api_base": lm.api_base,
        "api_key_env": lm.api_key,
        "temperature": lm.temperature,
        "max_tokens": lm.max_tokens,
        **({"batch": True} if lm.batch else {}),
    }


def at_once(params: Any) -> Any:
    """The same without batches, for calls that wait for each other."""
    if isinstance(params, list):
        return [at_once(part) for part in params]
    if not isinstance(params, Mapping):
        return params
    return {
        key: {k: v for k, v in value.items() if k != "batch"} if key == "lm" else at_once(value)
        for key, value in params.items()
    }


def _grading(grader: str, options: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """A grader's options, what the files that it reads held, and which version of it judges."""
    body = dict(options)
    if grader in VERSIONS:
        body["version"] = VERSIONS[grader]
    if grader == "program":
        body["sha256"] = facts.program(options["program"])
    if grader == "json" and "schema" in options:
        body["schema"] = facts.graders.schemas[options["schema"]]
    if grader == "sql":
        body["databases"] = dict(facts.graders.databases)
    return body


def _generation(student: Student) -> dict[str, Any]:
    """Arguments of ``generate``; a float is written as one, since transformers refuses ``1``."""
    known = table("generation").arguments if student.generation else {}
    given = {
        name: float(value) if known[name].types == ("number",) and value is not None else value
        for name, value in student.generation.items()
    }
    return {**given, "do_sample": student.samples}


def goal(goal: Requirement) -> dict[str, Any]:
    return {
        "metric": goal.metric,
        "op": goal.op,
        "value": goal.value,
        "set": goal.set,
        "skill": goal.skill,
    }
