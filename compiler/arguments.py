"""What dagent adds to the libraries' tables: arguments that it decides itself, and why; bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping


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

# Arguments of transformers' generation that vLLM knows, by vLLM's names.
VLLM: Mapping[str, str] = {
    **{
        name: name
        for name in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "do_sample")
    },
    "min_new_tokens": "min_tokens",
    "stop_strings": "stop",
}

# Between which bounds an argument of a stage or of LoRA makes a training, likewise.
TRAINING: Mapping[str, tuple[float, bool, float]] = {
    "learning_rate": (0.0, False, math.inf),
    "weight_decay": (0.0, True, math.inf),
    "warmup_steps": (0.0, True, math.inf),
    "num_train_epochs": (0.0, False, math.inf),
    "adam_beta1": (0.0, True, 1.0),
    "adam_beta2": (0.0, True, 1.0),
    "adam_epsilon": (0.0, True, math.inf),
    "label_smoothing_factor": (0.0, True, 1.0),
    "per_device_train_batch_size": (1, True, math.inf),
    "gradient_accumulation_steps": (1, True, math.inf),
    "r": (1, True, math.inf),
    "lora_alpha": (0.0, False, math.inf),
    "lora_dropout": (0.0, True, 1.0),
}

# Between which bounds transformers' own processors accept a sampling argument: above the first
# (or equal to it, where the flag says so), at most the second.
SAMPLING: Mapping[str, tuple[float, bool, float]] = {
    "temperature": (0.0, False, math.inf),
    "top_k": (1, True, math.inf),
    "top_p": (0.0, False, 1.0),
    "min_p": (0.0, True, 1.0),
    "top_h": (0.0, False, 1.0),
    "typical_p": (0.0, False, 1.0),
    "epsilon_cutoff": (0.0, False, 1.0),
    "eta_cutoff": (0.0, False, 1.0),
}
