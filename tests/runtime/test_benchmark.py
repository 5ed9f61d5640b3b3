"""A task of lm-evaluation-harness guards what the student could do: the library itself runs it."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dagent.compiler import plan as plans
from dagent.compiler.pipeline import compile
from dagent.dsl.diagnostics import Refused
from dagent.runtime.journal import read_events
from dagent.runtime.status import journal_path, latest
from dagent.runtime.steps import benchmark

STUDENT = Path(__file__).parents[2] / "runtime" / "students" / "tiny_python"
GUARD = 'guard old { task = "lm_eval:old"  tasks = "tasks"  max_drop = 10pp }  require'
TASK = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: tasks/{name}.jsonl
output_type: {kind}
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
{more}
metric_list:
  - metric: {metric}
    aggregation: mean
    higher_is_better: true
"""


def write_task(folder: Path, name: str, kind: str, metric: str, more: str, rows: Any) -> None:
    tasks = folder / "tasks"
    tasks.mkdir(exist_ok=True)
    text = TASK.format(name=name, kind=kind, metric=metric, more=more)
    (tasks / f"{name}.yaml").write_text(text)
    (tasks / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))


def asked(**more: Any) -> dict[str, Any]:
    return {
        "name": "old",
        "tasks": "tasks",
        "shots": None,
        "limit": None,
        "metric": None,
        "system": None,
        "batch": 4,
        **more,
    }


def test_the_harness_runs_tasks_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval", reason="pip install 'dagent[lm-eval]'")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    from dagent.runtime.benchmarking import run

    known = {"question": 'print("mqgyquc"[::-1])', "answer": "cuqygqm"}
    more = 'generation_kwargs: {until: ["\\n"], max_gen_toks: 8}'
    rows = [known, {**known, "answer": "no"}, {**known, "answer": "never"}]
    write_task(tmp_path, "spelt", "generate_until", "exact_match", more, rows)
    chosen = [{"question": f"print({n})", "answer": n} for n in range(3)]
    more = 'doc_to_choice: ["0", "1", "2"]'
    write_task(tmp_path, "chosen", "multiple_choice", "acc", more, chosen)

    def found(**more: Any) -> list[dict[str, Any]]:
        request = {"model": str(STUDENT), "project": str(tmp_path), "asked": asked(**more)}
        return run(request, lambda *_, **__: None)

    spelt = found(task="spelt")
    assert [r["scores"]["old"] for r in spelt] == [1.0, 0.0, 0.0]
    assert [r["answer"] for r in spelt] == ["cuqygqm", "no", "never"]
    assert found(task="spelt") == spelt, "the same inputs, the same rows"
    two = found(task="chosen", limit=2, shots=1, metric="acc")
    assert [r["id"] for r in two] == ["chosen:0", "chosen:1"]
    assert {r["scores"]["old"] for r in two} <= {0.0, 1.0}
    for wrong, said in (
        ({"task": "chosen", "metric": "f1"}, "no metric `f1`"),
        ({"task": "chozen"}, "there is none of that name; did you mean `chosen`?"),
    ):
        with pytest.raises(Refused) as refused:
            found(**wrong)
        (what,) = refused.value.diagnostics
        assert (what.code, said in what.message) == ("E329", True)


@pytest.fixture
def project(stub: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder: Path = stub.make_project(tmp_path / "p", stub.SPEC.replace("require", GUARD))
    write_task(folder, "old", "generate_until", "exact_match", "", [])
    plan = compile(folder / "sums.dagent").plan
    version = plan.step("r0.guard.old").params["lm_eval"]
    monkeypatch.setattr(benchmark, "installed", lambda name: version)
    return folder


def test_a_round_that_forgets_a_task_is_refused(project: Path, stub: ModuleType) -> None:
    class Forgets(stub.StubWorker):  # type: ignore[misc, name-defined]
        def call(self, task: str, progress: Any = None, **request: Any) -> Any:
            if task != "benchmark":
                return super().call(task, progress, **request)
            self.calls[task] += 1
            right = 8 if self.calls[task] == 1 else 6
            return [{"id": str(n), "scores": {"old": float(n < right)}} for n in range(10)]

    stub.run_project(project, make_worker=Forgets)
    rounds = [
        e
        for e in read_events(journal_path(project, latest(project) or ""))
        if e["event"] == "round_finished"
    ]
    assert [e["accepted"] for e in rounds] == [True] + [False] * (len(rounds) - 1)
    said = "guard old fell by 20.0 points (95 % interval -16.7 to 50.0), 10.0 allowed"
    assert said in rounds[1]["reason"]


def test_tasks_are_pinned_with_the_version_of_the_harness(project: Path) -> None:
    before = compile(project / "sums.dagent").plan
    params = before.step("r1.guard.old").params
    assert params["task"] == "old"
    (project / "tasks" / "old.yaml").write_text("task: old")
    after = compile(project / "sums.dagent").plan
    assert after.step("r1.guard.old").params["sha256"] != params["sha256"]
    assert plans.from_json(json.loads(plans.dumps(after))) == after


def test_what_is_missing_is_said_before_anything_runs(
    project: Path, stub: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    for found, code, remedy in (
        (missing, "E818", "pip install 'dagent[lm-eval]'"),
        (lambda name: "0.0.1", "E804", "compile again"),
    ):
        monkeypatch.setattr(benchmark, "installed", found)
        with pytest.raises(Refused) as refused:
            stub.run_project(project)
        (what,) = refused.value.diagnostics
        assert what.code == code
        assert remedy in (what.suggestion or "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (('tasks = "tasks"', 'tasks = "nowhere"'), "E507"),
        (('tasks = "tasks"', 'tasks = "../.."'), "E707"),
        (('task = "lm_eval:old"  ', ""), "E325"),
        (('"lm_eval:old"', '"old"'), "E507"),
    ],
)
def test_a_guard_with_a_task_is_checked(project: Path, change: tuple[str, str], code: str) -> None:
    spec = project / "sums.dagent"
    assert change[0] in spec.read_text()
    spec.write_text(spec.read_text().replace(*change))
    with pytest.raises(Refused) as refused:
        compile(spec)
    assert code in {d.code for d in refused.value.diagnostics}
