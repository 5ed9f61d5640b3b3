"""The chain of training stages: what each learns from can be derived, and what it makes is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from dagent.compiler.facts import StudentFacts
from dagent.compiler.passes.check_student import check_model
from dagent.compiler.quantity import how_many
from dagent.compiler.settings import Settings
from dagent.compiler.spec import Spec, Stage
from dagent.compiler.stages import EXPERIMENTAL, GRADED, IN_WORKER, REWARDED, TEACHER, TEACHES
from dagent.compiler.tables import table
from dagent.dsl.diagnostics import Diagnostics

# What a schedule of transformers takes from `lr_scheduler_kwargs`: one of these.
SCHEDULES: Mapping[str, tuple[str, ...]] = {
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    "warmup_stable_decay": ("num_decay_steps",),
}


# Losses of DPO that take another divergence than the usual one.
DIVERGING = (
    "sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "discopop", "sft",
)  # fmt: skip
# Arguments of the processes that fetch rows, where `dataloader_num_workers` asks for any.
FETCHING = (
    "dataloader_prefetch_factor",
    "dataloader_persistent_workers",
    "dataloader_multiprocessing_context",
)


def check_train(
    spec: Spec, project: Path, settings: Settings, diagnostics: Diagnostics
) -> dict[int, StudentFacts]:
    """The teachers of the stages that have one, by the number of the stage, from 1."""
    teachers = {}
    for index, stage in enumerate(spec.train):
        if stage.stage in EXPERIMENTAL:
            diagnostics.warn(
                "E640",
                f"`{stage.stage}` stands in trl.experimental, and may change or vanish there",
                spec.at("train", index, "stage"),
                f"`{EXPERIMENTAL[stage.stage]}` is its stable relative",
            )
        _check_reward(spec, index, diagnostics)
        _check_grader(spec, index, diagnostics)
        _check_sizes(spec, index, diagnostics)
        _check_together(spec, index, diagnostics)
        if stage.stage in TEACHES:
            teachers[index + 1] = _teacher(spec, index, project, settings, diagnostics)
    return teachers


def _check_reward(spec: Spec, index: int, diagnostics: Diagnostics) -> None:
    """A reward model is no student: it is worth training only for a stage that asks it."""
    later = [stage.stage for stage in spec.train[index + 1 :]]
    if spec.train[index].stage == "reward" and not set(REWARDED) & set(later):
        diagnostics.error(
            "E641",
            "`train reward` makes a reward model, and no later stage is rewarded by one",
            spec.at("train", index, "stage"),
            "add `train grpo { … }` or `train rloo { … }` behind it, or remove it",
        )


def _check_grader(spec: Spec, index: int, diagnostics: Diagnostics) -> None:
    stage = spec.train[index].stage
    if stage not in GRADED or not spec.criteria.metrics:
        return
    metric = spec.criteria.metrics[0]
    if metric.grader not in IN_WORKER:
        diagnostics.error(
            "E642",
            f"`train {stage}` learns from verdicts of `{metric.name}`, and `{metric.grader}` gives "
            "none while the student trains",
            spec.at("train", index, "stage"),
            "put a metric first that is graded by " + ", ".join(f"`{g}`" for g in IN_WORKER),
        )


def _check_sizes(spec: Spec, index: int, diagnostics: Diagnostics) -> None:
    """Sizes that TRL refuses when the trainer is made, after the rows were paid for."""
    stage = spec.train[index]
    batch = _number(stage, "per_device_train_batch_size")
    if stage.stage == "kto" and batch == 1 and stage.args.get("loss_type") != "apo_zero_unpaired":
        diagnostics.error(
            "E644",
            "KTO compares the answers of a batch with each other, and a batch of 1 has no others",
            spec.at("train", index, "per_device_train_batch_size"),
            "write 2 or more",
        )
    if stage.stage not in REWARDED:
        return
    weights = stage.args.get("reward_weights")
    rewards = 1 + any(earlier.stage == "reward" for earlier in spec.train[:index])
    if isinstance(weights, list) and len(weights) != rewards:
        diagnostics.error(
            "E644",
            f"{how_many(len(weights), 'weights')} for {how_many(rewards, 'rewards')}: the first "
            "metric's grader, and the reward model of an earlier `train reward`, if there is one",
            spec.at("train", index, "reward_weights"),
            f"write {how_many(rewards, 'numbers')}, or remove it",
        )
    drawn = stage.args.get("generation_batch_size")
    if isinstance(drawn, int) and (drawn < batch or drawn % batch):
        diagnostics.error(
            "E644",
            f"{drawn} answers are drawn at a time, and a batch takes {batch}: that leaves a rest",
            spec.at("train", index, "generation_batch_size"),
            "make it a multiple of `per_device_train_batch_size`",
        )
        return
    if drawn is not None and stage.args.get("steps_per_generation") is not None:
        diagnostics.error(
            "E644",
            "`generation_batch_size` and `steps_per_generation` say the same in two ways",
            spec.key("train", index, "steps_per_generation"),
            "keep one of the two",
        )
        return
    answers = _number(stage, "num_generations")
    together = stage.args.get("generation_batch_size") or batch * (
        stage.args.get("steps_per_generation") or _number(stage, "gradient_accumulation_steps")
    )
    if answers < 2:
        diagnostics.error(
            "E644",
            f"`{stage.stage}` compares several answers to a question",
            spec.at("train", index, "num_generations"),
            "write 2 or more",
        )
    elif together % answers:
        diagnostics.error(
            "E644",
            f"{together:g} answers are drawn at a time, and {answers:g} of them to each question: "
            "that leaves a rest",
            spec.at("train", index, "num_generations"),
            "make `per_device_train_batch_size` a multiple of `num_generations`",
        )


def _check_together(spec: Spec, index: int, diagnostics: Diagnostics) -> None:
    """Arguments that transformers takes only with another, or without one."""
    args = spec.train[index].args
    schedule, more = args.get("lr_scheduler_type"), args.get("lr_scheduler_kwargs") or {}
    found: list[tuple[str, str, str]] = []
    if isinstance(schedule, str) and isinstance(more, Mapping):
        wanted = SCHEDULES.get(schedule, ())
        if wanted and not set(wanted) & set(more):
            names = " or ".join(f"`{name}`" for name in wanted)
            remedy = f"add `lr_scheduler_kwargs {{ {wanted[0]} = … }}`"
            message = f"`{schedule}` asks for {names} in `lr_scheduler_kwargs`"
            found.append(("lr_scheduler_type", message, remedy))
    if schedule == "reduce_lr_on_plateau":
        message = "`reduce_lr_on_plateau` follows a score, and dagent evaluates between rounds"
        found.append(("lr_scheduler_type", message, "write `cosine` or `linear`"))
    if args.get("bf16") is True and args.get("fp16") is True:
        found.append(("fp16", "`bf16` and `fp16` are both on", "keep one of the two"))
    for name in FETCHING:
        if args.get(name) and not args.get("dataloader_num_workers"):
            message = f"`{name}` is for processes that fetch rows, and there are none"
            found.append((name, message, "add `dataloader_num_workers`, or remove this"))
    if args.get("padding_free") is True and not args.get("packing") and _cut(spec.train[index]):
        message = "rows without padding are not cut to `max_length`"
        remedy = "add `packing = true`, or `max_length = null`"
        found.append(("padding_free", message, remedy))
    kind = spec.train[index].stage
    order = args.get("train_sampling_strategy", "sequential")
    if kind == "kto" and order != "sequential" and args.get("loss_type") != "apo_zero_unpaired":
        message = "KTO compares a batch with its neighbours, and takes the rows in their order"
        found.append(("train_sampling_strategy", message, "remove it"))
    beta = args.get("beta", table(kind).arguments["beta"].default if kind in REWARDED else None)
    if kind in REWARDED and args.get("sync_ref_model") is True and beta == 0:
        message = "with a `beta` of 0 there is no reference model to bring up to date"
        found.append(("sync_ref_model", message, "write a `beta` above 0, or remove it"))
    if (
        kind == "dpo"
        and "exo_pair" in _listed(args.get("loss_type"))
        and not args.get("label_smoothing")
    ):
        message = "`exo_pair` asks for `label_smoothing` above 0"
        found.append(("loss_type", message, "add `label_smoothing = 0.001`"))
    if args.get("f_divergence_type", "reverse_kl") != "reverse_kl":
        losses = [loss for loss in _listed(args.get("loss_type")) if loss not in DIVERGING]
        if losses:
            message = f"the loss `{losses[0]}` has no other divergence than `reverse_kl`"
            found.append(("f_divergence_type", message, "remove it, or take another loss"))
    for name, message, remedy in found:
        diagnostics.error("E646", message, spec.at("train", index, name), remedy)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _cut(stage: Stage) -> bool:
    return stage.args.get("max_length", ...) is not None


def _number(stage: Stage, name: str) -> Any:
    """An argument, or TRL's default; of a wrong type, the default, since that is refused anyway."""
    default = table(stage.stage).arguments[name].default
    given = stage.args.get(name)
    return given if isinstance(given, int) and not isinstance(given, bool) else default


def _teacher(
    spec: Spec, index: int, project: Path, settings: Settings, diagnostics: Diagnostics
) -> StudentFacts:
    stage = spec.train[index]
    name, revision = (stage.args.get(key) for key in TEACHER)
    if not isinstance(name, str):
        diagnostics.error(
            "E643",
            f"`train {stage.stage}` has no teacher",
            spec.at("train", index, "stage"),
            f'add `{TEACHER[0]} = "OWNER/NAME"`, a model with the student\'s vocabulary',
        )
        return StudentFacts(None, None)
    span = spec.at("train", index, TEACHER[0])
    teacher = replace(
        spec.student, model=name, revision=revision if isinstance(revision, str) else None
    )
    return check_model(teacher, span, project, settings, diagnostics, TEACHER[1])
