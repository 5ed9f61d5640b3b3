"""The chain of training stages: what of it this version can run."""

from __future__ import annotations

from dagent.compiler.spec import Spec
from dagent.dsl.diagnostics import Diagnostics

STAGES = ("sft",)


def check_train(spec: Spec, diagnostics: Diagnostics) -> None:
    for index, stage in enumerate(spec.train):
        if stage.stage not in STAGES:
            diagnostics.error(
                "E190",
                f"`stage = {stage.stage}` is not supported yet",
                spec.at("train", index, "stage"),
                "use " + " or ".join(f"`{name}`" for name in STAGES),
            )
    if len(spec.train) > 1:
        diagnostics.error(
            "E190",
            "a chain of several training stages is not supported yet",
            spec.key("train", 1, "stage"),
            "keep one stage",
        )
