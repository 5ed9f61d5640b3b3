"""What dagent adds to the libraries' tables: arguments that it decides itself, and why; bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct


def _because(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


_STUDENT = "the student is described in `student`"

TRL: Mapping[str, str] = {
    **_because(
        "dagent keeps models and logs in its store",
        "output_dir save_strategy save_steps save_total_limit save_only_model save_on_each_node "
        "enable_jit_checkpoint",
    ),
    **_because(
        "dagent derives every seed from the spec's `seed`", "seed data_seed full_determinism"
    ),
    **_because(
        "dagent tracks the run itself",
        "report_to run_name project disable_tqdm log_level log_level_replica trackio_space_id "
        "trackio_bucket_id trackio_static_space_id",
    ),
    **_because(
        "dagent publishes nothing by itself",
        "push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push "
        "hub_revision log_completions_hub_repo",
    ),
    **_because(
        "dagent evaluates between rounds, on its own sets",
        "do_train do_eval do_predict eval_strategy eval_steps eval_on_start generate_during_eval "
        "load_best_model_at_end metric_for_best_model greater_is_better",
    ),
    **_because(
        "dagent resumes at steps, not at checkpoints",
        "resume_from_checkpoint ignore_data_skip restore_callback_states_from_checkpoint",
    ),
    **_because(
        "dagent gives the rows as prompt and completion",
        "dataset_text_field dataset_kwargs remove_unused_columns assistant_only_loss",
    ),
    **_because(_STUDENT, "model_init_kwargs chat_template_path is_encoder_decoder"),
    "teacher_model_init_kwargs": "dagent loads the teacher, as it loads the student",
    "local_rank": "the launcher sets it",
    "trust_remote_code": "`student` says whether code from its repository runs",
}

# Arguments that earlier versions of TRL and transformers had, and what took their place.
FORMER: Mapping[str, str] = {
    "max_seq_length": "max_length",
    "max_prompt_length": "max_length",
    "neftune_alpha": "neftune_noise_alpha",
    "warmup_ratio": "warmup_steps",
    "rpo_alpha": "loss_weights",
    "group_by_length": "train_sampling_strategy",
    "no_cuda": "use_cpu",
}

# What other trainers call arguments of TRL.
ELSEWHERE: Mapping[str, str] = {
    "lr": "learning_rate",
    "batch_size": "per_device_train_batch_size",
    "micro_batch_size": "per_device_train_batch_size",
    "grad_accum": "gradient_accumulation_steps",
    "sequence_len": "max_length",
    "cutoff_len": "max_length",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "rank": "r",
    "lora_r": "r",
    "lora_rank": "r",
    "lora_target": "target_modules",
    "lora_target_modules": "target_modules",
    "modules": "target_modules",
}

LORA: Mapping[str, str] = {
    **_because(_STUDENT, "base_model_name_or_path revision"),
    "task_type": "dagent trains causal language models",
    "peft_type": "the adapter is LoRA",
    "peft_version": "the installed version is recorded in the lock",
    "inference_mode": "the adapter is trained",
}

GENERATION: Mapping[str, str] = {
    **_because(
        "`max_new_tokens` of `student` says how long an answer may be", "max_length max_new_tokens"
    ),
    **_because("every question gets one answer", "num_return_sequences"),
    **_because(
        "dagent takes the answer's text and nothing else",
        "output_attentions output_hidden_states output_scores output_logits "
        "return_dict_in_generate",
    ),
    **_because(
        "dagent answers in batches, and an assistant model answers one question at a time",
        "is_assistant num_assistant_tokens num_assistant_tokens_schedule "
        "assistant_confidence_threshold assistant_early_exit assistant_lookbehind "
        "assistant_ensemble_weight target_lookbehind prompt_lookup_num_tokens "
        "max_matching_ngram_size speculation_type use_mtp",
    ),
    **_because(
        "the student is a decoder without an encoder",
        "decoder_start_token_id encoder_no_repeat_ngram_size encoder_repetition_penalty",
    ),
    **_because("the tokenizer says it", "pad_token_id bos_token_id"),
    "max_time": "the same plan must give the same answers on a slower machine",
}

# Words that a trainer knows and its config does not check: (config, argument) -> all of them.
WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("trl.DPOConfig", "loss_type"): (
        "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
        "aot_unpaired", "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm",
    ),
    ("trl.DPOConfig", "f_divergence_type"): (
        "reverse_kl", "forward_kl", "js_divergence", "alpha_divergence",
    ),
    ("trl.GRPOConfig", "loss_type"): (
        "grpo", "dr_grpo", "dapo", "bnpo", "cispo", "sapo", "luspo", "vespo",
    ),
    ("trl.GRPOConfig", "importance_sampling_level"): ("token", "sequence"),
    ("trl.GRPOConfig", "multi_objective_aggregation"): ("sum_then_normalize", "normalize_then_sum"),
    ("trl.GRPOConfig", "scale_rewards"): ("group", "batch", "none"),
}  # fmt: skip

# Arguments of transformers' generation that vLLM knows, by vLLM's names.
VLLM: Mapping[str, str] = {
    **{
        name: name
        for name in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "do_sample")
    },
    "min_new_tokens": "min_tokens",
    "stop_strings": "stop",
}


class Bounds(Struct, frozen=True):
    """Between which numbers an argument is accepted; ``open``: none of the ends themselves.

    >>> str(Bounds(0, 1, "above below")), 1.0 in Bounds(0, 1, "above below")
    ('above 0 and below 1', False)
    >>> str(Bounds(1)), 1 in Bounds(1)
    ('at least 1', True)
    """

    least: float
    most: float = math.inf
    open: str = ""  # "above": not ``least`` itself; "below": not ``most``

    def __contains__(self, value: float) -> bool:
        above = value > self.least if "above" in self.open else value >= self.least
        return above and (value < self.most if "below" in self.open else value <= self.most)

    def __str__(self) -> str:
        low = f"{'above' if 'above' in self.open else 'at least'} {self.least:g}"
        high = f" and {'below' if 'below' in self.open else 'at most'} {self.most:g}"
        return low + (high if math.isfinite(self.most) else "")


_POSITIVE = Bounds(0, open="above")
_BETA = Bounds(0, 1, "below")  # Adam divides by what is left of 1

# Between which bounds an argument of a stage or of LoRA makes a training.
TRAINING: Mapping[str, Bounds] = {
    "learning_rate": _POSITIVE,
    "weight_decay": Bounds(0),
    "warmup_steps": Bounds(0),
    "num_train_epochs": _POSITIVE,
    "adam_beta1": _BETA,
    "adam_beta2": _BETA,
    "adam_epsilon": Bounds(0),
    "label_smoothing_factor": Bounds(0, 1),
    "max_grad_norm": Bounds(0),
    "max_length": Bounds(1),
    "max_completion_length": Bounds(1),
    "max_new_tokens": Bounds(1),
    "neftune_noise_alpha": Bounds(0),
    "per_device_train_batch_size": Bounds(1),
    "gradient_accumulation_steps": Bounds(1),
    "num_iterations": Bounds(1),
    "steps_per_generation": Bounds(1),
    "logging_steps": _POSITIVE,
    "torch_empty_cache_steps": Bounds(1),
    "dataloader_num_workers": Bounds(0),
    "dataloader_prefetch_factor": Bounds(1),
    "dataset_num_proc": Bounds(0),
    "pad_to_multiple_of": Bounds(1),
    "beta": Bounds(0),
    "lmbda": Bounds(0, 1),
    "temperature": _POSITIVE,
    "top_p": Bounds(0, 1, "above"),
    "top_k": Bounds(0),  # of stages that draw answers; 0 is all
    "min_p": Bounds(0, 1),
    "repetition_penalty": _POSITIVE,
    "top_entropy_quantile": Bounds(0, 1),
    "r": Bounds(1),
    "lora_alpha": _POSITIVE,
    "lora_dropout": Bounds(0, 1),
}

# Where a stage means something else by the name.
OF_STAGE: Mapping[tuple[str, str], Bounds] = {
    ("trl.DistillationConfig", "beta"): Bounds(0, 1),
    ("trl.experimental.gkd.GKDConfig", "beta"): Bounds(0, 1),
}

# Between which bounds transformers' own processors accept a sampling argument.
SAMPLING: Mapping[str, Bounds] = {
    "temperature": _POSITIVE,
    "top_k": Bounds(1),
    "top_p": Bounds(0, 1, "above"),
    "min_p": Bounds(0, 1),
    "top_h": Bounds(0, 1, "above"),
    "typical_p": Bounds(0, 1, "above"),
    "epsilon_cutoff": Bounds(0, 1, "above"),
    "eta_cutoff": Bounds(0, 1, "above"),
}
