"""The result files of a batch: what each line says, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagent.runtime.lm.answers import Answer
from dagent.runtime.lm.wire import ANSWER, Kind, Trouble, decoded, is_completion, kind_of

Results = dict[str, Answer | Trouble]  # of a batch's attempts
CODES: dict[str, Kind] = {
    "batch_expired": "down",
    "batch_cancelled": "cancelled",
    "billing_hard_limit_reached": "credit",
    "insufficient_quota": "credit",
    "model_not_found": "model",
}


def read(content: bytes) -> Results:
    """What the lines of an output or error file say, by attempt; a torn line says nothing, and
    nothing takes the place of an answer."""
    results: Results = {}
    for raw in content.splitlines():
        try:
            line = decoded(raw)
            call = line["custom_id"]
            if not isinstance(results.get(call), dict):
                results[call] = _outcome(line, len(raw))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return results


def _outcome(line: Mapping[str, Any], size: int) -> Answer | Trouble:
    if size > ANSWER:
        return Trouble("lost", f"the answer has more than {ANSWER:,} bytes")
    response = line.get("response") or {}
    status, body = response.get("status_code"), response.get("body") or {}
    if status == 200:
        if is_completion(body):
            answer: Answer = body
            return answer
        return Trouble("lost", "the answer is no chat completion")
    error = (body.get("error") if status else line.get("error")) or {}
    code, said = str(error.get("code") or ""), str(error.get("message") or "")
    if status:
        return Trouble(kind_of(status, code), f"HTTP {status}: {said}")
    return Trouble(CODES.get(code, "down"), said or code or "no answer and no reason")
