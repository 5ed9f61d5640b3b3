"""Calls of language models as traces in MLflow: what an agent asked, and what it was answered.

From the samples that the run's folder keeps, so that nothing which runs waits for MLflow. MLflow
names a trace itself; a tag tells which calls are there already.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

CALL_TAG, STEP_TAG = "dagent.call", "dagent.step"
TRACKING_URI = "MLFLOW_TRACKING_URI"
NANO = 10**9


def record(
    client: MlflowClient,
    experiment: str,
    run: str,
    step: str,
    samples: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> None:
    """Make traces of those ``samples`` of ``step`` that are not there yet, in ``run``.

    Raises:
        RuntimeError: MLflow did not take them; it says why only in its own log.
    """
    import mlflow

    mine = {**tags, STEP_TAG: step}
    missing = _missing(client, experiment, samples, mine)
    if not missing:
        return
    point_at(client.tracking_uri)
    for sample in missing:
        _trace(sample, experiment, run, mine)
    mlflow.flush_trace_async_logging()
    if left := _missing(client, experiment, samples, mine):
        raise RuntimeError(f"MLflow did not take {len(left)} traces of {step}")


def point_at(uri: str) -> None:
    """Traces, and links to prompts, go where MLflow's global address points, unlike the rest of
    what a client does. It is also written to the environment, where it would pass for the user's
    own."""
    import mlflow

    before = os.environ.get(TRACKING_URI)
    mlflow.set_tracking_uri(uri)
    os.environ.pop(TRACKING_URI, None)
    if before is not None:
        os.environ[TRACKING_URI] = before


def _missing(
    client: MlflowClient,
    experiment: str,
    samples: Sequence[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> list[Mapping[str, Any]]:
    wanted = " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = client.search_traces([experiment], filter_string=wanted, include_spans=False)
    there = {trace.info.tags.get(CALL_TAG) for trace in found}
    return [sample for sample in samples if sample["key"] not in there]


def _trace(sample: Mapping[str, Any], experiment: str, run: str, tags: Mapping[str, str]) -> None:
    import mlflow
    from mlflow.tracing.constant import SpanAttributeKey, TraceMetadataKey

    request, answer, price = (sample[name] for name in ("request", "answer", "price"))
    usage = answer.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    asked, said = counted.get("prompt_tokens"), counted.get("completion_tokens")
    attributes: dict[str, Any] = {
        SpanAttributeKey.MODEL: request.get("model", ""),
        SpanAttributeKey.MESSAGE_FORMAT: "openai",
        # Without it MLflow reckons one itself, by a price list that is not the plan's.
        SpanAttributeKey.LLM_COST: None if price is None else {"total_cost": price},
        "tries": sample["tries"],
        **{name: value for name, value in request.items() if name not in ("model", "messages")},
    }
    if type(asked) is int and type(said) is int:
        attributes[SpanAttributeKey.CHAT_USAGE] = {
            "input_tokens": asked,
            "output_tokens": said,
            "total_tokens": asked + said,
        }
    began = int(sample["began"] * NANO)
    span = mlflow.start_span_no_context(
        sample["role"] or "model",
        span_type="CHAT_MODEL",
        inputs=request,
        attributes=attributes,
        tags={**tags, CALL_TAG: sample["key"]},
        metadata={TraceMetadataKey.SOURCE_RUN: run},
        experiment_id=experiment,
        start_time_ns=began,
    )
    span.end(outputs=answer, end_time_ns=began + int(sample["seconds"] * NANO))
