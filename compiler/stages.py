"""What the compiler knows of the training stages: where each takes its rows from."""

from __future__ import annotations

# Name -> the stable stage that is nearest.
EXPERIMENTAL = {"orpo": "dpo", "gkd": "distillation"}
# Stages whose rows follow from what the first metric says of the student's own answers.
GRADED = ("dpo", "kto", "orpo", "reward", "grpo", "rloo")
REWARDED = ("grpo", "rloo")
TEACHES = ("distillation", "gkd")
TEACHER = ("teacher_model_name_or_path", "teacher_model_revision")
# Graders that the worker can call for each answer while it trains: all but a language model, whose
# calls are metered and journaled where the budget is.
IN_WORKER = (
    "exact", "normalised", "numeric", "choice", "regex", "json", "code", "sql", "program",
)  # fmt: skip
