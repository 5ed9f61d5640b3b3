"""The training stages: arguments that exist, of the right type, and that dagent does not own."""

from __future__ import annotations

import math
from typing import Any

from dagent.compiler.spec import Spec
from dagent.compiler.tables import table
from dagent.dsl.diagnostics import Diagnostics
from dagent.dsl.nearest import did_you_mean
from dagent.dsl.source import Span

_STORE = "dagent keeps models and logs in its store"
_SEED = "dagent derives every seed from the spec's `seed`"
_TRACK = "dagent tracks the run itself"
_HUB = "dagent publishes nothing by itself"
_EVALUATE = "dagent evaluates between rounds, on its own sets"
_RESUME = "dagent resumes at steps, not at checkpoints"
_ROWS = "dagent gives the rows as prompt and completion"
# Arguments of TRL that dagent decides, and why.
OWNED = {
    **dict.fromkeys(
        ("output_dir", "save_strategy", "save_steps", "save_total_limit", "save_only_model"), _STORE
    ),
    **dict.fromkeys(("save_on_each_node", "enable_jit_checkpoint"), _STORE),
    **dict.fromkeys(("seed", "data_seed", "full_determinism"), _SEED),
    **dict.fromkeys(
        ("report_to", "run_name", "project", "disable_tqdm", "log_level", "log_level_replica"),
        _TRACK,
    ),
    **dict.fromkeys(("trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"), _TRACK),
    **dict.fromkeys(
        ("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy"), _HUB
    ),
    **dict.fromkeys(("hub_always_push", "hub_revision"), _HUB),
    **dict.fromkeys(
        ("do_train", "do_eval", "do_predict", "eval_strategy", "eval_steps", "eval_on_start"),
        _EVALUATE,
    ),
    **dict.fromkeys(
        ("load_best_model_at_end", "metric_for_best_model", "greater_is_better"), _EVALUATE
    ),
    **dict.fromkeys(
        ("resume_from_checkpoint", "ignore_data_skip", "restore_callback_states_from_checkpoint"),
        _RESUME,
    ),
    **dict.fromkeys(("dataset_text_field", "dataset_kwargs", "remove_unused_columns"), _ROWS),
    "local_rank": "the launcher sets it",
    "model_init_kwargs": "the student is described in `student`",
    "chat_template_path": "the student is described in `student`",
    "trust_remote_code": "code from a model's repository does not run",
}
OWNED_LORA = {
    "task_type": "dagent trains causal language models",
    "peft_type": "the adapter is LoRA",
    "peft_version": "the installed version is recorded in the lock",
    "base_model_name_or_path": "the student is described in `student`",
    "revision": "the student is described in `student`",
    "inference_mode": "the adapter is trained",
}
SHOWN = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "object": "a block",
    "array": "a list",
    "null": "null",
}


def check_train(spec: Spec, diagnostics: Diagnostics) -> None:
    if len(spec.train) > 1:
        diagnostics.error(
            "E190",
            "a chain of several training stages is not supported yet",
            spec.key("train", 1, "stage"),
            "keep one stage",
        )
    for index, stage in enumerate(spec.train):
        for name, value in stage.args.items():
            path = ("train", index, name)
            _check(name, value, "trl_sft", OWNED, spec.key(*path), spec.at(*path), diagnostics)
    for name, value in spec.student.lora.items():
        keys = ("student", "lora", name)
        _check(name, value, "peft_lora", OWNED_LORA, spec.key(*keys), spec.at(*keys), diagnostics)


def _check(
    name: str,
    value: Any,
    of: str,
    owned: dict[str, str],
    key: Span,
    place: Span,
    diagnostics: Diagnostics,
) -> None:
    config = {"trl_sft": "TRL's SFTConfig", "peft_lora": "peft.LoraConfig"}[of]
    arguments = table(of)["arguments"]
    if name in owned:
        diagnostics.error("E605", f"`{name}` is not yours to set: {owned[name]}", key, "remove it")
    elif name not in arguments:
        version = ", ".join(f"{k} {v}" for k, v in table(of)["versions"].items())
        remedy = did_you_mean(name, [a for a in arguments if a not in owned])
        diagnostics.error("E602", f"{config} has no argument `{name}` ({version})", key, remedy)
    else:
        _check_value(name, value, arguments[name], place, diagnostics)


def _check_value(
    name: str, value: Any, argument: dict[str, Any], place: Span, diagnostics: Diagnostics
) -> None:
    kinds, choices = argument["types"], argument["choices"]
    if isinstance(value, float) and not math.isfinite(value):
        diagnostics.error("E603", f"`{name}` is not finite", place, "write a number")
        return
    if kinds and not any(_is(value, kind) for kind in kinds):
        wanted = " or ".join(SHOWN[k] for k in kinds if k != "null") or "null"
        default = argument["default"]
        remedy = f"the default is `{default}`" if default is not None else f"write {wanted}"
        diagnostics.error("E603", f"`{name}` takes {wanted}", place, remedy)
    elif isinstance(value, str) and choices and not _chosen(value, choices):
        nearest = did_you_mean(value, choices, "one of: " + ", ".join(choices))
        diagnostics.error("E603", f"`{name}` takes no `{value}`", place, nearest)


def _is(value: Any, kind: str) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    types = {"boolean": bool, "string": str, "object": dict, "array": list, "null": type(None)}
    return isinstance(value, types[kind])


def _chosen(value: str, choices: list[str]) -> bool:
    """A choice such as ``pissa_niter_[number of iters]`` stands for all that begin so."""
    return any(value.startswith(c.partition("[")[0]) if "[" in c else value == c for c in choices)
