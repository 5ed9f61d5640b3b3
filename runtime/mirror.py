"""Events of a journal -> MLflow. Runs in the tracking process only: MLflow takes seconds to import.

Everything here may be done twice without a trace: runs and model versions are found by their tags
before they are made, parameters are only added, a metric's time stamp is its event's, files are
overwritten. So a tracker that was killed between an event and its cursor just does it again.

Runs are always named by id: whatever ``MLFLOW_RUN_ID`` or an active run may say is not ours.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagent.compiler.lock import lock_path
from dagent.compiler.plan import local
from dagent.runtime import projection as show
from dagent.runtime import prompts
from dagent.runtime.lm.samples import read_samples
from dagent.runtime.mirrored import BEFORE, DATASETS, files_of, role_of
from dagent.runtime.projection import Event, Table
from dagent.runtime.report.page import render
from dagent.runtime.rows import read_json, read_rows

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXECUTION_TAG, ROUND_TAG = "dagent.execution", "dagent.round"
VARIANT_TAG = "dagent.variant"
DESCRIPTION = "mlflow.note.content"
# Without the first, MLflow's page opens on an empty view for traces of language models.
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test/champion",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
}
PARENT = -1  # the parent run's place among the rounds
BATCH = 100  # MLflow takes at most 100 params and 1,000 metrics at once


@dataclass(frozen=True, slots=True)
class Target:
    """Whose journal it is: ``identity`` is unique to the execution on any server."""

    project: Path
    scratch: Path
    identity: str
    samples: Path  # of calls of language models
    artifacts: str | None  # where a new experiment keeps its files; None: where the server says


class Mirror:
    """One execution in MLflow, or one variant of it: a run, and a run below it for each round.

    ``runs`` maps a round, or PARENT, to its run's id. ``under`` is the run of the whole execution
    that a variant's is nested in.
    """

    def __init__(
        self,
        client: MlflowClient,
        target: Target,
        name: str,
        variant: str = "",
        under: str | None = None,
    ) -> None:
        self.client = client
        self.target = target
        self.variant = variant
        self.under = under
        self.experiment = _experiment(client, name, target.artifacts)
        for tag, value in EXPERIMENT_TAGS.items():
            client.set_experiment_tag(self.experiment, tag, value)
        self.runs = self._find_runs()

    def answers(self) -> bool:
        """Whether MLflow is there at all: tells a bad event from a server that is away."""
        try:
            self.client.search_experiments(max_results=1)
        except Exception:
            return False
        return True

    def apply(self, past: Sequence[Event]) -> None:
        """Mirror the last event of ``past``."""
        event = past[-1]
        {
            "execution_started": self._execution_started,
            "step_started": self._step_started,
            "step_finished": self._step_finished,
            "round_finished": self._round_finished,
            "execution_finished": self._execution_finished,
            "execution_stopped": self._execution_stopped,
        }[event["event"]](event, past)

    def died(self, past: Sequence[Event]) -> None:
        """Close the runs of an execution that ended without a word, as after ``kill -9``."""
        self._close(past, "KILLED", "died")

    # --- events ---------------------------------------------------------------------------------

    def _execution_started(self, event: Event, past: Sequence[Event]) -> None:
        first = show.started(past)
        run = self._run(PARENT, past)
        self.client.update_run(run, status="RUNNING")
        self._tags(
            run,
            {
                "dagent.plan_id": first["plan_id"],
                "dagent.version": event["version"],
                **show.made_on_tags(event),
                "dagent.state": "running",
                **({"dagent.unsandboxed": "true"} if event.get("unsandboxed") else {}),
                DESCRIPTION: first.get("goal") or "",
                "mlflow.source.name": "dagent execute",
                "mlflow.source.type": "LOCAL",
            },
        )
        self._params(run, show.execution_params(first))
        self._files(run, {f"plan/{path.name}": path for path in self._sources(event)})

    def _step_started(self, event: Event, past: Sequence[Event]) -> None:
        if event.get("round") is not None:
            self.client.update_run(self._run(event["round"], past), status="RUNNING")

    def _step_finished(self, event: Event, past: Sequence[Event]) -> None:
        number = event.get("round")
        run = self._run(PARENT if number is None else number, past)
        if number is not None:
            self._metrics(run, event, number, show.step_metrics(event))
            if show.is_authored(event, past):
                self._metrics(self._run(PARENT, past), event, number, show.step_metrics(event))
        elif event["kind"] in BEFORE:
            step = local(event["step"])
            measured = {f"{step}/{k}": v for k, v in event["metrics"].items()}
            self._metrics(run, event, 0, measured)
        paths = self._outputs(event)
        self._files(run, files_of(event, paths))
        if event["kind"] == "optimise" and "program" in paths:
            name = show.started(past)["name"]
            prompts.register(self.client, run, name, read_json(paths["program"]))
        self._inputs(run, event, paths)
        self._traces(run, event)
        if event["kind"] == "train" and "log" in paths:
            for series, values in show.training_series(read_rows(paths["log"])).items():
                self._log(run, event, ((series, at, value) for at, value in values))

    def _round_finished(self, event: Event, past: Sequence[Event]) -> None:
        number = event["round"]
        parent, run = self._run(PARENT, past), self._run(number, past)
        series = show.round_series(event, past)
        self._metrics(parent, event, number, series)
        # At step 0, so that MLflow draws bars of the executions and not lines of one point.
        self._metrics(parent, event, 0, show.by_round(event, past))
        self._metrics(run, event, number, series)
        self._params(run, show.round_params(event, self._curriculum(number, past)))
        accepted = str(bool(event["accepted"])).lower()
        self._tags(run, {"dagent.accepted": accepted, DESCRIPTION: show.round_words(event)})
        self._files(parent, {"tables/skills.json": show.skill_table(past)})
        self._figures(parent, past)
        self.client.set_terminated(run, "FINISHED", show.milliseconds(event))

    def _execution_finished(self, event: Event, past: Sequence[Event]) -> None:
        parent = self._run(PARENT, past)
        last = max(show.rounds(past), default=0)
        self._metrics(parent, event, last, show.news(past))
        self._tags(parent, {"dagent.requirements": json.dumps(event.get("requirements") or [])})
        self._figures(parent, past)
        self._register(parent, event, past)
        self._close(past, "FINISHED", event["state"])

    def _execution_stopped(self, event: Event, past: Sequence[Event]) -> None:
        self._tags(self._run(PARENT, past), {"dagent.reason": event.get("reason") or ""})
        self._close(past, show.STATUS.get(event["state"], "KILLED"), event["state"])

    def _close(self, past: Sequence[Event], status: str, state: str) -> None:
        if not self.variant:  # the whole execution's tells of its variants
            self._files(self.runs[PARENT], {"report.html": render(past, self.target.project)})
        self._tags(self._run(PARENT, past), {"dagent.state": state})
        if past[-1]["event"] in show.CLOSING:
            self._tags(self.runs[PARENT], {DESCRIPTION: show.end_words(past)})
        time = show.milliseconds(past[-1])
        self.client.set_terminated(self.runs[PARENT], status, time)
        for run in self.runs.values():
            if self.client.get_run(run).info.status == "RUNNING":
                # A round that is open when the end comes was cut short, whatever the end is.
                self.client.set_terminated(run, "FAILED" if status == "FAILED" else "KILLED", time)

    # --- runs, params, metrics ------------------------------------------------------------------

    def _find_runs(self) -> dict[int, str]:
        found = self.client.search_runs(
            [self.experiment],
            f"tags.`{EXECUTION_TAG}` = '{self.target.identity}'",
            order_by=["attributes.start_time ASC"],
        )
        return {
            int(r.data.tags.get(ROUND_TAG, PARENT)): r.info.run_id
            for r in reversed(found)
            if r.data.tags.get(VARIANT_TAG, "") == self.variant
        }

    def _run(self, place: int, past: Sequence[Event]) -> str:
        """The run of a round or the parent, made when it is first needed."""
        if place not in self.runs:
            tags, begin = {EXECUTION_TAG: self.target.identity}, past[-1]
            if self.variant:
                tags[VARIANT_TAG] = self.variant
            if place == PARENT:
                begin = show.started(past)
                name = self.variant or show.execution_name(begin)
                if self.under:
                    tags["mlflow.parentRunId"] = self.under
            else:
                name = show.round_name(place)
                tags |= {ROUND_TAG: str(place), "mlflow.parentRunId": self._run(PARENT, past)}
            run = self.client.create_run(
                self.experiment, start_time=show.milliseconds(begin), tags=tags, run_name=name
            )
            self.runs[place] = run.info.run_id
        return self.runs[place]

    def _tags(self, run: str, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self.client.log_batch(run, tags=[RunTag(k, str(v)[:5000]) for k, v in tags.items()])

    def _params(self, run: str, params: Mapping[str, str]) -> None:
        """Add what is not there yet: MLflow refuses to change a parameter, so the first stays."""
        from mlflow.entities import Param

        there = self.client.get_run(run).data.params
        new = [Param(k, v[:6000]) for k, v in params.items() if k not in there]
        for i in range(0, len(new), BATCH):
            self.client.log_batch(run, params=new[i : i + BATCH])

    def _metrics(self, run: str, event: Event, step: int, values: Mapping[str, float]) -> None:
        self._log(run, event, ((name, step, value) for name, value in values.items()))

    def _log(self, run: str, event: Event, values: Iterable[tuple[str, int, float]]) -> None:
        from mlflow.entities import Metric

        time = show.milliseconds(event)
        metrics = [Metric(name, value, time, step) for name, step, value in values]
        for i in range(0, len(metrics), BATCH):
            self.client.log_batch(run, metrics=metrics[i : i + BATCH])

    # --- data sets and files --------------------------------------------------------------------

    def _inputs(self, run: str, event: Event, paths: Mapping[str, Path]) -> None:
        for name in DATASETS.get(event["kind"], ()):
            if name in paths:
                self._input(run, event, name, paths[name])

    def _input(self, run: str, event: Event, output: str, path: Path) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        rows = read_rows(path)
        role, name = role_of(event, output)
        columns = {str(k) for row in rows[:100] for k in row}
        schema = [{"type": "string", "name": c, "required": False} for c in sorted(columns)]
        dataset = Dataset(
            name=name,
            digest=event["outputs"][output]["digest"][:8],
            source_type="local",
            source=json.dumps({"uri": f".dagent/store/{event['outputs'][output]['path']}"}),
            schema=json.dumps({"mlflow_colspec": schema}),
            profile=json.dumps({"num_rows": len(rows)}),
        )
        self.client.log_inputs(
            run, [DatasetInput(dataset, [InputTag("mlflow.data.context", role)])]
        )

    def _traces(self, run: str, event: Event) -> None:
        from dagent.runtime.traces import record

        step = event.get("planned", event["step"])
        samples = [s for s in read_samples(self.target.samples) if s["step"] == step]
        if samples:
            tags = {EXECUTION_TAG: self.target.identity}
            record(self.client, self.experiment, run, step, samples, tags)

    def _outputs(self, event: Event) -> dict[str, Path]:
        """The files of a step that are still in the store."""
        store = self.target.project / ".dagent" / "store"
        paths = {name: store / o["path"] for name, o in (event.get("outputs") or {}).items()}
        return {name: path for name, path in paths.items() if path.exists()}

    def _curriculum(self, number: int, past: Sequence[Event]) -> Any:
        path = show.output_path(past, f"r{number}.plan", "curriculum")
        whole = self.target.project / ".dagent" / "store" / path if path else None
        return read_json(whole) if whole and whole.is_file() else None

    def _sources(self, event: Event) -> list[Path]:
        """The plan, its lock, and the files of the spec, which the lock names.

        None when they are of another plan by now, as they may be when an old journal is caught up.
        """
        plan = self.target.project / event["plan_path"]
        lock = lock_path(plan)
        named = read_json(lock) if lock.is_file() else {}
        if named.get("plan") != event["plan_id"]:
            return []
        spec = plan.parent / named.get("spec", "")
        sources = [spec.parent / name for name in named.get("sources", ())]
        return [path for path in (plan, lock, *sources) if path.is_file()]

    def _figures(self, run: str, past: Sequence[Event]) -> None:
        from dagent.runtime.figures import learning_curve, skill_heat_map

        start, end = show.started(past), past[-1]
        closed = end["event"] == "execution_finished"
        base, champion = ((end.get(k) or {}).get("test") if closed else None for k in show.ENDS)
        title = f"{start['name']}, seed {start['seed']}"
        with self._folder() as folder:
            points, skills = show.points(past), show.skill_table(past)
            if points:
                path = folder / "figures" / "learning_curve.png"
                learning_curve(points, base, champion, path, start["metric"], title)
            if skills.rows:
                skill_heat_map(skills, folder / "figures" / "skills.png", title)
            self.client.log_artifacts(run, str(folder))

    def _files(self, run: str, files: Mapping[str, Path | str | Table]) -> None:
        """Upload files under the names given. Tables are also listed for MLflow to draw."""
        if not files:
            return
        with self._folder() as folder:
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, Path):
                    # The content without the store's mode: read-only copies could not be replaced.
                    shutil.copyfile(content, path)
                elif isinstance(content, Table):
                    body = {"columns": content.columns, "data": content.rows}
                    path.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
                else:
                    path.write_text(content, encoding="utf-8")
            self.client.log_artifacts(run, str(folder))
        tables = [name for name, content in files.items() if isinstance(content, Table)]
        if tables:
            tag = "mlflow.loggedArtifacts"
            listed = json.loads(self.client.get_run(run).data.tags.get(tag, "[]"))
            new = [{"path": name, "type": "table"} for name in tables]
            self._tags(run, {tag: json.dumps(listed + [t for t in new if t not in listed])})

    def _folder(self) -> _Folder:
        return _Folder(self.target.scratch)

    # --- the model ------------------------------------------------------------------------------

    def _register(self, run: str, event: Event, past: Sequence[Event]) -> None:
        """Make the champion a version under the plan's name, with the alias ``champion``.

        Nothing is registered when no round beat the base: the untouched student is not ours.
        """
        from dagent.runtime.registry import register

        if self.variant != event.get("best", ""):
            return
        champion = event.get("champion") or {}
        # From the store: the folder that the event names may be a later execution's by now.
        path = show.champion_path(past)
        model = self.target.project / ".dagent" / "store" / path if path else None
        if not champion.get("round") or model is None or not model.is_dir():
            return
        with self._folder() as folder:
            register(self.client, run, show.started(past), event, model, folder)


class _Folder(tempfile.TemporaryDirectory[str]):
    """A scratch folder that ``with`` gives as a Path."""

    def __init__(self, parent: Path) -> None:
        super().__init__(dir=parent, prefix="mirror-")

    def __enter__(self) -> Path:  # type: ignore[override]
        return Path(super().__enter__())


def _experiment(client: MlflowClient, name: str, artifacts: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            # Another tracker was faster; if it was something else, the same error comes again.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)
