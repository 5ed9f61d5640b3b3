"""Runs in the worker: one function per stage, from rows to the TRL trainer that is ready to train.

Prompts and answers are tokenised apart, as they are when the student answers, by no trainer's own
way: TRL tokenises prompt and answer together and lets the tokenizer add a token of its own in
front. So its trainers are given tokens where they take them, and told where they do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForSequenceClassification, TrainerCallback
from trl import (
    DistillationConfig,
    DistillationTrainer,
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    RLOOConfig,
    RLOOTrainer,
    SFTConfig,
    SFTTrainer,
)

from dagent.compiler.context import context_of
from dagent.dsl.diagnostics import Diagnostic, Refused
from dagent.runtime.answering import load, loading
from dagent.runtime.configuring import training_arguments
from dagent.runtime.preferences import graded, judge, pairs, verdicts
from dagent.runtime.prompting import pair_texts, prompt_texts
from dagent.runtime.rows import Row


@dataclass(frozen=True)
class Work:
    """What a stage has to work with: the student as the stage before left it, in ``source``, and
    the rows. ``request`` is that of ``training.run``; ``reward`` the folder of a reward model that
    an earlier stage made, ``teacher`` that of the stage's teacher."""

    source: Path
    model: Any
    tokenizer: Any
    rows: Sequence[Row]
    args: Mapping[str, Any]
    request: Mapping[str, Any]
    folder: Path
    callback: TrainerCallback
    progress: Callable[..., None]
    reward: Path | None = None
    teacher: Path | None = None

    @property
    def trust(self) -> bool:
        """Whether code that the student brings may run."""
        return bool(self.request.get("trust_remote_code", False))

    @property
    def holds(self) -> int | None:
        """Tokens that the student's context holds."""
        return context_of(self.model.config.to_dict())

    def config(self, config: Any, **defaults: Any) -> Any:
        """The stage's TRL config; what the spec gives goes before ``defaults``. Rows are cut to
        what the student's context holds, where TRL would take more; packed ones have one each."""
        longest = getattr(config, "max_length", None)
        if longest is not None and self.holds is not None and not self.args.get("packing"):
            defaults = {"max_length": min(longest, self.holds), **defaults}
        seed = self.request["seed"]
        made = config(**training_arguments(self.args, self.folder, seed, self.trust, **defaults))
        # Of several GPUs one is used unless accelerate says otherwise: transformers would spread
        # the model over them by `nn.DataParallel`, which TRL refuses.
        made._n_gpu = min(made.n_gpu, 1)
        return made

    def trainer(self, trainer: Any, args: Any, rows: Dataset, **more: Any) -> Any:
        """``given`` of it says how many rows it has, which TRL may pack."""
        made = trainer(
            **{
                "model": self.model,
                "args": args,
                "train_dataset": rows,
                "processing_class": self.tokenizer,
                "peft_config": self.lora(),
                "callbacks": [self.callback],
                **more,
            }
        )
        made.given = len(rows)
        return made

    def lora(self, task: str = "CAUSAL_LM") -> Any:
        if self.request["adapter"] == "full":
            return None
        from peft import LoraConfig

        return LoraConfig(**{"task_type": task, **self.request["lora"]})

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    def questions(self, prompts: Sequence[str]) -> list[str]:
        return prompt_texts(
            self.tokenizer, prompts, self.request["template"], self.request["system"]
        )

    def pair_tokens(self, answered: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """(prompt, completion) in tokens for each (prompt, answer)."""
        request = self.request
        texts = pair_texts(self.tokenizer, answered, request["template"], request["system"])
        prompts = self.tokens([prompt for prompt, _ in texts])
        completions = self.tokens([completion for _, completion in texts])
        return list(zip(prompts, completions, strict=True))

    def pairs(self) -> dict[str, list[list[int]]] | None:
        """Columns ``prompt_ids``, ``chosen_ids``, ``rejected_ids``; None without a wrong answer."""
        found = pairs(judge(self.model, self.tokenizer, self.rows, self.request, self.progress))
        if not found:
            return None
        chosen = self.pair_tokens([(p.prompt, p.chosen) for p in found])
        rejected = self.pair_tokens([(p.prompt, p.rejected) for p in found])
        return {
            "prompt_ids": [prompt for prompt, _ in chosen],
            "chosen_ids": [answer for _, answer in chosen],
            "rejected_ids": [answer for _, answer in rejected],
        }


def sft(work: Work) -> Any:
    """Supervised fine-tuning; the loss counts the answer only, as TRL does for pairs of prompt and
    completion, unless ``completion_only_loss`` says otherwise."""
    args = work.config(SFTConfig, completion_only_loss=True)
    whole = args.packing or not args.completion_only_loss
    rows = work.rows if whole else _reached(work, work.rows, args.max_length)
    return work.trainer(SFTTrainer, args, Dataset.from_dict(_shown(work, rows))) if rows else None


def _reached(work: Work, rows: Sequence[Row], longest: int | None) -> list[Row]:
    """Rows of which something of the answer is left when they are cut; a batch of others has no
    loss."""
    asked = work.tokens(work.questions([row["prompt"] for row in rows]))
    return [r for r, q in zip(rows, asked, strict=True) if longest is None or len(q) < longest]


def _shown(work: Work, rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The rows as ``trl.SFTTrainer`` takes them in tokens."""
    both = work.pair_tokens([(r["prompt"], r["answer"]) for r in rows])
    return {
        "input_ids": [q + a for q, a in both],
        "completion_mask": [[0] * len(q) + [1] * len(a) for q, a in both],
    }


class _DPO(DPOTrainer):  # type: ignore[misc]
    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def dpo(work: Work) -> Any:
    """Verified answers preferred to the student's wrong ones."""
    columns = work.pairs()
    if columns is None:
        return None
    args = work.config(DPOConfig)
    rows = Dataset.from_dict(columns)
    if args.max_length is not None:  # of others nothing is left to compare
        rows = rows.filter(lambda row: len(row["prompt_ids"]) < args.max_length)
    return work.trainer(_DPO, args, rows) if len(rows) else None


class _KTO(KTOTrainer):  # type: ignore[misc]
    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset


def kto(work: Work) -> Any:
    """Right answers made likelier and wrong ones less likely, without pairing them."""
    judged = judge(work.model, work.tokenizer, work.rows, work.request, work.progress)
    if all(j.right for j in judged):
        return None
    args = work.config(KTOConfig)
    found = verdicts(judged)
    both = work.pair_tokens([(v.prompt, v.answer) for v in found])
    batch = args.per_device_train_batch_size
    answers = [a for _, a in both]
    rows = {
        "prompt_ids": [q for q, _ in both],
        "completion_ids": answers,
        "label": [v.right for v in found],
        # What TRL's own preparation adds: within a batch, each prompt with its neighbour's answer.
        "KL_completion_ids": [
            answers[i - 1] if i % batch else answers[min(i + batch, len(answers)) - 1]
            for i in range(len(answers))
        ],
    }
    return work.trainer(_KTO, args, Dataset.from_dict(rows))


def orpo(work: Work) -> Any:
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    class Trainer(ORPOTrainer):  # type: ignore[misc]
        def tokenize_row(self, feature: dict[str, list[int]], model: Any = None) -> dict[str, Any]:
            row: dict[str, Any] = {"prompt_input_ids": feature["prompt_ids"]}
            for name in ("chosen", "rejected"):
                prompt, ids = feature["prompt_ids"], feature[f"{name}_ids"]
                row[f"{name}_input_ids"] = (prompt + ids)[: self.max_length]
                row[f"{name}_labels"] = ([-100] * len(prompt) + ids)[: self.max_length]
            names = [n.removesuffix("input_ids") for n in row if n.endswith("input_ids")]
            return row | {f"{n}attention_mask": [1] * len(row[f"{n}input_ids"]) for n in names}

    columns = work.pairs()
    if columns is None:
        return None
    # Its preparation asks for texts, which `tokenize_row` then has no use for.
    unused = dict.fromkeys(("prompt", "chosen", "rejected"), [""] * len(columns["prompt_ids"]))
    return work.trainer(Trainer, work.config(ORPOConfig), Dataset.from_dict({**columns, **unused}))


def _asked(work: Work, answer: int) -> Dataset:
    """Prompts to answer, each with the number of its row: those that leave room in the student's
    context for an answer of so many tokens."""
    prompts = work.questions([row["prompt"] for row in work.rows])
    room = math.inf if work.holds is None else work.holds - answer
    rows = [n for n, ids in enumerate(work.tokens(prompts)) if len(ids) <= room]
    return Dataset.from_dict({"prompt": [prompts[n] for n in rows], "row": rows})


def _tokenized(trainer: Any, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
    ids = trainer.processing_class(text=prompts, add_special_tokens=False)["input_ids"]
    return ids, None, {}


class _GRPO(GRPOTrainer):  # type: ignore[misc]
    _tokenize_prompts = _tokenized


class _RLOO(RLOOTrainer):  # type: ignore[misc]
    _tokenize_prompts = _tokenized


def grpo(work: Work) -> Any:
    return _rewarded(work, _GRPO, GRPOConfig)


def rloo(work: Work) -> Any:
    return _rewarded(work, _RLOO, RLOOConfig)


def _rewarded(work: Work, trainer: Any, config: Any) -> Any:
    """The student's own answers, rewarded by the first metric's grader and, where a stage before
    made one, by the reward model."""
    grade = graded(work.request["metric"], work.request["project"])

    def reward(completions: list[str], row: list[int], **_: Any) -> list[float]:
        return [grade(c.strip(), work.rows[n]).score for c, n in zip(completions, row, strict=True)]

    reward.__name__ = work.request["metric"]["name"]
    rewards: dict[str, Any] = {"reward_funcs": [reward]}
    if work.reward is not None:
        judge = reward_model(work.reward, work.model.dtype, **loading(work.request))
        rewards = {
            "reward_funcs": [reward, judge],
            "reward_processing_classes": [None, work.tokenizer],
        }
    longest = work.request["answering"]["max_new_tokens"]
    args = work.config(config, max_completion_length=longest)
    rows = _asked(work, args.max_completion_length or longest)
    return work.trainer(trainer, args, rows, **rewards) if len(rows) else None


def reward(work: Work) -> Any:
    """A reward model from the student, for the ``grpo`` and ``rloo`` after it. It is shown what
    they will show it: prompt and answer, without the tokens that end a turn."""
    found = pairs(judge(work.model, work.tokenizer, work.rows, work.request, work.progress))
    if not found:
        return None
    prompts = work.questions([p.prompt for p in found])
    answers = {"chosen": [p.chosen for p in found], "rejected": [p.rejected for p in found]}
    columns = {
        f"{name}_ids": work.tokens([p + a for p, a in zip(prompts, texts, strict=True)])
        for name, texts in answers.items()
    }
    model = reward_model(work.source, work.model.dtype, **loading(work.request))
    args = work.config(RewardConfig)
    rows = Dataset.from_dict(columns)
    return work.trainer(RewardTrainer, args, rows, model=model, peft_config=work.lora("SEQ_CLS"))


def reward_model(
    folder: Path, dtype: Any = "auto", trust: bool = False, attention: str | None = None
) -> Any:
    """The model in ``folder`` with one number as its output; random, where it has none yet."""
    return AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=1,
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=trust,
        attn_implementation=attention,
    )


class _Distillation(DistillationTrainer):  # type: ignore[misc]
    _tokenize_prompts = _tokenized


def distillation(work: Work) -> Any:
    """The student's own answers, moved towards what the teacher would have said."""
    longest = work.request["answering"]["max_new_tokens"]
    args = work.config(DistillationConfig, max_completion_length=longest)
    rows = _asked(work, args.max_completion_length or longest)
    return work.trainer(_Distillation, args, rows, teacher_model=_teacher(work)) if rows else None


def gkd(work: Work) -> Any:
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    longest = work.request["answering"]["max_new_tokens"]
    args = work.config(GKDConfig, max_new_tokens=longest)
    rows = _reached(work, work.rows, args.max_length)
    columns = _shown(work, rows) | {"prompt": work.questions([r["prompt"] for r in rows])}
    teacher, shown = _teacher(work), Dataset.from_dict(columns)
    return work.trainer(GKDTrainer, args, shown, teacher_model=teacher) if rows else None


def _teacher(work: Work) -> Any:
    """The stage's teacher, which must write in the student's tokens.

    Raises:
        Refused: E871 when it has another vocabulary.
    """
    assert work.teacher is not None
    teacher, tokenizer = load(str(work.teacher))
    if tokenizer.get_vocab() != work.tokenizer.get_vocab():
        raise Refused(
            Diagnostic(
                "E871",
                "the teacher has another vocabulary than the student",
                suggestion="name a teacher of the student's own family, or let a language model "
                "that you name as `engineer.generator` teach by its answers",
            )
        )
    return teacher


STAGES: Mapping[str, Callable[[Work], Any]] = {
    "sft": sft,
    "dpo": dpo,
    "kto": kto,
    "orpo": orpo,
    "grpo": grpo,
    "rloo": rloo,
    "reward": reward,
    "distillation": distillation,
    "gkd": gkd,
}
